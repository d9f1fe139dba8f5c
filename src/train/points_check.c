#include "train/points_check.h"
#include "output/console.h"

#include <inttypes.h>
#include <math.h>

enum { ROWS = 512, MOST_POINTS = 256 };
/* Differences that count: above rounding, and of so many nats of the ELBO of all rows. */
static const double ROUNDING[2] = {1e-5, 1e-9}, LEAST = 0.1;

static avi_status estimate(const avi_session *s, avi_state *st, const avi_quadrature *rule, double *elbo_per_row)
{
    const avi_estimation how = {.rule = rule, .rows = ROWS};
    avi_estimate sum;
    AVI_TRY(avi_estimator_estimate(s->train_elbo, st->params, st->table, &how, &sum, NULL));
    *elbo_per_row = sum.elbo / sum.rows;
    return AVI_OK;
}

static void warn(const avi_session *s, int points, double apart, double elbo)
{
    const double all = apart * (double)s->partition.rows,
                 rounding = ROUNDING[s->precision == AVI_PRECISION_DOUBLE] * (1 + fabs(elbo));
    if (avi_comm_rank(s->comm) || !(fabs(apart) > rounding) || !(fabs(all) > LEAST)) return;
    avi_console_break();
    avi_warn(
        "objective.points = %d are too few for this fit: with twice the points its ELBO is %+.3g nats per row, %+.3g "
        "nats in all; use objective.points = %d",
        points, apart, all, 2 * points);
}

avi_status avi_points_check(const avi_session *s, avi_state *st)
{
    const int points = (int)avi_config_get_int(s->config, "objective", "points");
    const avi_quadrature *rule = s->evaluation.rule;
    avi_quadrature *finer = NULL;
    double elbo, of_finer;
    if (!rule || s->model->ops->quadratic == 2 || 2 * points > MOST_POINTS) return AVI_OK;
    avi_status status = avi_agree(
        s->comm, avi_quadrature_create(s->model, avi_theta_form_of(&s->problem), 2 * points, s->precision, &finer));
    if (status == AVI_OK) status = estimate(s, st, rule, &elbo);
    if (status == AVI_OK) status = estimate(s, st, finer, &of_finer);
    if (status == AVI_OK) warn(s, points, of_finer - elbo, elbo);
    avi_quadrature_destroy(&finer);
    return status;
}
