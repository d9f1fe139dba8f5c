/* How often a fit is evaluated, on how many rows and with how many draws.
 *
 * The work of a pass is counted in passes of one row through one network: a step takes a row forward and backward (3
 * times forward) through the inference function and, for every draw, through the model; an evaluation takes it forward,
 * through the inference function once for each of its two halves, and through the model twice for every draw where
 * reconstructions are asked for. */
#include "session/session.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 3, MOST = 100 }; /* evaluations by default, the last one aside */
enum { MOST_DRAWS = 65536 };
static const double SHARE = 0.05; /* of the work of the steps */
/* Where the rows of the last evaluation are few, so many draws of all rows together. */
enum { LAST_DRAWS = 8192 };
/* Points times values of a row up to which an evaluation without draws is cheap: exact cubature; quadrature, which for
 * networks is neither cheap nor exact. */
enum { CUBATURE_VALUES = 1 << 15, QUADRATURE_VALUES = 1 << 12, MOST_POINTS = 512 };

static int64_t setting(const avi_session *s, const char *key) { return avi_config_get_int(s->config, "log", key); }

static bool is_fit(const avi_session *s) { return !strcmp(avi_config_get_string(s->config, "run", "task"), "fit"); }

static int64_t rows_of(int64_t rows, int64_t limit) { return limit > 0 && limit < rows ? limit : rows; }

/* ---- draws ---- */

static avi_status read_draws(const avi_session *s, int *draws)
{
    const char *text = avi_config_get_string(s->config, "log", "eval_draws");
    char *end;
    *draws = 0;
    if (!strcmp(text, "auto")) return AVI_OK;
    errno = 0;
    const long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 2 || n > MOST_DRAWS)
        return avi_config_fail(s->config, "log", "eval_draws",
                               "%s is neither auto nor a number of draws; use auto, or a number from 2 to %d", text,
                               MOST_DRAWS);
    *draws = (int)(n + n % 2); /* two halves */
    return AVI_OK;
}

static bool is_cheap(const avi_session *s, const avi_quadrature *rule)
{
    const int64_t values = rule->count * avi_session_row_values(s);
    return rule->count <= MOST_POINTS &&
           values <= (s->model->ops->quadratic == 2 ? CUBATURE_VALUES : QUADRATURE_VALUES);
}

bool avi_evaluation_has_rule(const avi_session *s)
{
    const avi_evaluation_plan *e = &s->evaluation;
    return e->rule && (!e->own_rule || is_cheap(s, e->rule));
}

/* The quadrature of evaluations: that of the steps, or another where there is one that is cheap. */
static avi_status find_rule(avi_session *s)
{
    avi_evaluation_plan *e = &s->evaluation;
    e->rule = s->rule;
    if (e->rule || !s->family->ops->entropy) return AVI_OK;
    /* Points stand for draws of z and theta whose factors are the same for all of them. */
    if (s->problem.global_gaussian && s->infer->theta == AVI_THETA_DRAW) return AVI_OK;
    /* A model's own expectation is for a mean and an sd per dimension. */
    if (avi_quadrature_is_of_model(s->model, avi_theta_form_of(&s->problem)) && !s->family->ops->independent)
        return AVI_OK;
    const avi_status status =
        avi_quadrature_create(s->model, avi_theta_form_of(&s->problem),
                              (int)avi_config_get_int(s->config, "objective", "points"), s->precision, &e->rule);
    if (status == AVI_ERR_CONFIG) {
        avi_error_clear(); /* there is none for this model: draws */
        return AVI_OK;
    }
    if (status == AVI_OK && !is_cheap(s, e->rule)) avi_quadrature_destroy(&e->rule);
    e->own_rule = e->rule != NULL;
    return status;
}

static int even_between(double draws, double most)
{
    const double n = 2 * floor(0.5 * fmin(draws, most));
    return n < 2 ? 2 : n > 1024 ? 1024 : (int)n;
}

/* ---- work ---- */

static double step_row(const avi_session *s)
{
    return 3 * ((s->infer->ops->features ? 1 : 0) + (double)s->problem.draws);
}

static double evaluation_row(const avi_session *s, int draws)
{
    const bool squares =
        s->model->ops->reconstruct && strcmp(avi_config_get_string(s->config, "log", "mse_at"), "means");
    const double halves = s->evaluation.rule ? 1 : 2, points = s->evaluation.rule ? s->evaluation.rule->count : draws;
    return (s->infer->ops->features ? halves : 0) + points * (squares ? 2 : 1);
}

static double test_rows(const avi_session *s, int64_t limit)
{
    const int64_t test = s->test_source ? s->test_source->shape.rows - s->model->ops->lookahead : 0;
    return (double)(test > 0 ? rows_of(test, limit) : 0);
}

/* Rows of both data sets. */
static double evaluated_rows(const avi_session *s, int64_t limit)
{
    return (double)rows_of(s->partition.rows, limit) + (s->infer->ops->local ? 0 : test_rows(s, limit));
}

static double work_of_steps(const avi_session *s) { return (double)s->total_steps * (double)s->batch * step_row(s); }

static double work_of_last(const avi_session *s, int draws)
{
    return evaluated_rows(s, setting(s, "last_rows")) * evaluation_row(s, draws);
}

/* ---- factors of test rows ---- */

/* Passes forward and backward until a row's own factor is at its optimum (a VAE of images with 20 dimensions: 10), each
 * at so many points (factors/fixed_theta.c). */
static double fit_of_factor(const avi_session *s)
{
    enum { PASSES = 10, LEAST_POINTS = 40, POINTS = 64 };
    const double l = (double)s->model->latent, points = l > 1 ? fmax(LEAST_POINTS, 2 * l) : POINTS;
    return 3 * PASSES * points;
}

/* A row of a step is passed again for each of its own steps. */
static bool is_half_of_the_steps(const avi_session *s, double rows)
{
    return rows * fit_of_factor(s) <= 0.5 * work_of_steps(s) * (double)s->local_steps;
}

static void choose_test_factors(avi_session *s)
{
    avi_evaluation_plan *e = &s->evaluation;
    const char *asked = avi_config_get_string(s->config, "log", "test_factors");
    const double rows = test_rows(s, setting(s, "last_rows"));
    const bool able = s->infer->ops->local && s->model->ops->coupling == AVI_INDEPENDENT && rows > 0,
               patient = avi_config_get_int(s->config, "stop", "patience") > 0;
    e->test_factors[0] = able && patient;
    e->test_factors[1] =
        able && (patient || !strcmp(asked, "yes") || (!strcmp(asked, "auto") && is_half_of_the_steps(s, rows)));
}

bool avi_evaluation_has_test(const avi_session *s, bool last)
{
    return s->test_elbo && (!s->infer->ops->local || s->evaluation.test_factors[last]);
}

/* At the end more draws where rows are few; of a fit within half of the share. */
static void choose_draws(avi_session *s)
{
    avi_evaluation_plan *e = &s->evaluation;
    double most = MOST_DRAWS;
    if (is_fit(s)) most = 2 * 0.5 * SHARE * work_of_steps(s) / work_of_last(s, 2);
    e->draws = 2;
    e->last_draws = even_between((double)LAST_DRAWS / (double)e->last_rows, most);
}

/* ---- steps ---- */

static bool stops(const avi_session *s)
{
    return avi_config_get_real(s->config, "stop", "mse") > 0 ||
           avi_config_get_real(s->config, "stop", "elbo_per_row") < 1e300 ||
           avi_config_get_int(s->config, "stop", "patience") > 0;
}

/* Evaluations that the share pays for, beside the last one. */
static int64_t affordable(const avi_session *s, double each)
{
    const double n = (SHARE * work_of_steps(s) - work_of_last(s, s->evaluation.last_draws)) / each;
    return n < LEAST ? LEAST : n > MOST ? MOST : (int64_t)n;
}

static void choose_steps(avi_session *s)
{
    avi_evaluation_plan *e = &s->evaluation;
    const int64_t asked = setting(s, "eval_every"), epoch = s->epoch_steps, total = s->total_steps;
    const double each = evaluated_rows(s, setting(s, "eval_rows")) * evaluation_row(s, e->draws) +
                        (e->test_factors[0] ? test_rows(s, setting(s, "eval_rows")) * fit_of_factor(s) : 0);
    e->first = e->every = asked < 0 ? 0 : asked;
    if (asked == 0) {
        const int64_t most = !stops(s)            ? affordable(s, each)
                             : e->test_factors[0] ? 2 * MOST / 10
                                                  : MOST,
                      spread = (total + most - 1) / most;
        e->first = epoch;
        e->every = spread > epoch ? spread : epoch;
        if (stops(s)) e->first = e->every;
    }
    const double fitted = e->test_factors[1] ? test_rows(s, setting(s, "last_rows")) * fit_of_factor(s) : 0,
                 work = (double)avi_evaluation_count(e, total) * each + work_of_last(s, e->last_draws) + fitted;
    e->share = total > 0 ? work / work_of_steps(s) : 0;
}

avi_status avi_evaluation_plan_make(avi_session *s)
{
    avi_evaluation_plan *e = &s->evaluation;
    int draws;
    AVI_TRY(read_draws(s, &draws));
    e->rows = rows_of(s->partition.rows, setting(s, "eval_rows"));
    e->last_rows = rows_of(s->partition.rows, is_fit(s) ? setting(s, "last_rows") : 0);
    if (s->objective->ops->needs_weights)
        e->draws = e->last_draws = 2 * s->problem.draws; /* its value is one of so many draws: that of each half */
    else if (draws)
        e->draws = e->last_draws = draws;
    else
        AVI_TRY(find_rule(s));
    if (e->draws == 0 && !e->rule) choose_draws(s);
    choose_test_factors(s);
    choose_steps(s);
    return AVI_OK;
}

int64_t avi_evaluation_count(const avi_evaluation_plan *e, int64_t steps)
{
    return e->every > 0 ? (steps - 1) / e->every + (e->first < e->every && steps > e->first) : 0;
}

double avi_evaluation_passes(const avi_session *s, bool last)
{
    return evaluation_row(s, last ? s->evaluation.last_draws : s->evaluation.draws);
}

void avi_evaluation_plan_free(avi_evaluation_plan *p)
{
    if (p->own_rule) avi_quadrature_destroy(&p->rule);
    *p = (avi_evaluation_plan){0};
}

bool avi_evaluation_due(const avi_evaluation_plan *p, int64_t step)
{
    return p->every > 0 && (step == p->first || step % p->every == 0);
}
