#include "base/signals.h"
#include "closed_form/optimum.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

avi_status avi_closed_form_register(avi_registry *registry, const avi_exact_ops *ops)
{
    if (!ops->check || !ops->solve)
        return avi_fail(AVI_ERR_INTERNAL, "closed form of %s has no %s", ops->name ? ops->name : "a model",
                        ops->check ? "solve" : "check");
    return avi_registry_add(registry, AVI_KIND_CLOSED_FORM, ops);
}

static const avi_exact_ops *closed_form_of(const avi_session *s)
{
    return avi_registry_find(avi_config_registry(s->config), AVI_KIND_CLOSED_FORM, s->model->ops->name);
}

avi_status avi_optimum_check(const avi_session *s)
{
    const avi_registry *r = avi_config_registry(s->config);
    const avi_exact_ops *ops = closed_form_of(s);
    if (ops && !strcmp(avi_config_get_string(s->config, "data", "missing"), "mask"))
        return avi_config_fail(s->config, "data", "missing",
                               "exact answers need rows without missing values; use refuse, or leave exact out");
    if (ops && !s->family->ops->independent && !avi_family_is(s->family, "gaussian_full") &&
        !avi_family_is(s->family, "tridiagonal"))
        return avi_config_fail(s->config, "inference", "family",
                               "exact knows the optima of independent dimensions and of a full covariance, and the "
                               "posterior of a chain; use "
                               "gaussian or gaussian_full, or leave exact out");
    if (ops) AVI_TRY(ops->check(s));
    if (ops && s->problem.global_family)
        return avi_config_fail(s->config, "model", "global",
                               "exact knows the optimum of a factorized q(theta), and model %s has one global "
                               "parameter; use gaussian",
                               s->model->ops->name);
    if (ops) return AVI_OK;
    char names[512] = "";
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_CLOSED_FORM); i++) {
        const size_t used = strlen(names);
        const avi_exact_ops *one = avi_registry_at(r, AVI_KIND_CLOSED_FORM, i);
        snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", one->name);
    }
    return avi_config_fail(s->config, "model", "name",
                           "has no answer in closed form, which exact asks for; %s have one", names);
}

int64_t avi_optimum_bytes(const avi_session *s)
{
    const avi_exact_ops *ops = closed_form_of(s);
    const int ranks = avi_comm_size(s->comm);
    const int64_t rows = (s->partition.rows + ranks - 1) / ranks, l = s->model->latent, d = s->shape.width;
    const int64_t domain = avi_domain_rows(&s->problem.domain) * d,
                  degree = avi_config_get_int(s->config, "run", "exact_degree");
    if (!ops) return 0;
    /* Rows, means, log sds and blocks of the precision; then the larger of what solve takes and what least squares do:
     * three times (features L)^2, and for rows that are taken all at once the features of all rows three times. */
    const int64_t held = 8 * rows * (d + 2 * l + (ops->residuals ? l * l : 0)), solve = ops->bytes ? ops->bytes(s) : 0;
    int64_t features = degree && ops->residuals ? avi_polynomial_width(domain, (int)degree) + 1 : 1;
    if (features > 2000) features = avi_polynomial_width(domain, 1) + 1;
    const int64_t columns = features * l + 2,
                  squares = 3 * 8 * columns * columns + (ops->whole ? 3 * 8 * rows * columns : 0);
    const int64_t fetched = 8 * rows * d;
    const int64_t most = ops->whole ? solve + squares : solve > squares ? solve : squares;
    return held + (most > fetched ? most : fetched);
}

/* ---- from mode and precision to the F-VI optimum ---- */

static bool full_covariance(const avi_optimum *a)
{
    return a->latent > 1 && avi_family_is(a->s->family, "gaussian_full");
}

/* Variances of one factor, independent dimensions or full covariance; adds log(2 pi / P) / 2 of each dimension to *sum.
 */
static avi_status factor(const avi_optimum *a, int64_t n, double *inverse, double *sum)
{
    const int64_t l = a->latent;
    const double *p = a->precision + n * l * l;
    double log_det;
    if (!full_covariance(a)) {
        for (int64_t d = 0; d < l; d++) {
            a->log_sd[n * l + d] = -0.5 * log(p[d * l + d]);
            *sum += 0.5 * LOG_2PI + a->log_sd[n * l + d];
        }
        return AVI_OK;
    }
    AVI_TRY(avi_optimum_block(l, p, &log_det, inverse));
    for (int64_t d = 0; d < l; d++) a->log_sd[n * l + d] = 0.5 * log(inverse[d * l + d]);
    *sum += 0.5 * ((double)l * LOG_2PI - log_det);
    return AVI_OK;
}

/* ELBO* = log p(x, u*) + sum over factors of log(2 pi / P) / 2: E_q[log p] loses 1/2 a value to the variances, the
 * entropy gives it back. */
static avi_status complete(avi_optimum *a)
{
    avi_status status = AVI_OK;
    double sum = 0, *inverse = avi_optimum_memory(a, a->latent * a->latent, &status);
    for (int64_t n = 0; status == AVI_OK && n < a->rows; n++) status = factor(a, n, inverse, &sum);
    AVI_TRY(avi_agree(a->s->comm, status));
    AVI_TRY(avi_comm_sum_double(a->s->comm, &sum, 1));
    a->elbo = a->log_joint + sum;
    if (a->thetas && a->s->problem.global_gaussian) a->elbo += 0.5 * (LOG_2PI - log(a->theta_precision));
    return avi_optimum_before(a, a->latent, a->mean);
}

/* Between parts of the work, since none can be left half done: a signal that could not end the process by itself. */
static avi_status look_for_signals(const avi_optimum *a) { return avi_agree(a->s->comm, avi_signals_status()); }

static avi_status solve(avi_optimum *a)
{
    AVI_TRY(avi_optimum_rows(a));
    AVI_TRY(look_for_signals(a));
    AVI_TRY(avi_agree(a->s->comm, a->ops->solve(a)));
    if (!a->ops->residuals) return AVI_OK;
    AVI_TRY(look_for_signals(a));
    AVI_TRY(complete(a));
    AVI_TRY(look_for_signals(a));
    return avi_best_polynomials_find(a);
}

avi_status avi_optimum_create(const avi_session *s, avi_optimum **answer)
{
    avi_optimum *a = calloc(1, sizeof *a);
    *answer = a;
    AVI_TRY(avi_agree(s->comm, a ? AVI_OK : avi_fail_memory(sizeof *a, "exact answers")));
    a->s = s;
    avi_status status = avi_optimum_check(s);
    a->ops = closed_form_of(s);
    if (status == AVI_OK) status = solve(a);
    if (status != AVI_OK) avi_optimum_destroy(answer);
    return status;
}

void avi_optimum_destroy(avi_optimum **answer)
{
    avi_optimum *a = *answer;
    if (!a) return;
    if (a->ops && a->ops->destroy) a->ops->destroy(a);
    avi_fields_free(&a->fields);
    free(a);
    *answer = NULL;
}

/* ---- a fit held against it ---- */

typedef struct apart {
    const avi_optimum *a;
    double *z; /* (1 + rows, L): fit - u* */
    double gap;
} apart;

static void fill_apart(void *self, int64_t first, int64_t count, double *z)
{
    const apart *p = self;
    memcpy(z, p->z + (1 + first) * p->a->latent, (size_t)(count * p->a->latent) * sizeof *z);
}

static avi_status add_apart(void *self, int64_t first, int64_t count, int64_t rows, const double *out)
{
    apart *p = self;
    (void)first, (void)count;
    for (int64_t i = 0; i < rows; i++) p->gap += 0.5 * out[i] * out[i];
    return AVI_OK;
}

/* |J (fit - u*)|^2 / 2, this rank's share. mean (rows, L): the fit's. */
static avi_status means_apart(avi_optimum *a, const double *mean, double theta, double *gap)
{
    const int64_t l = a->latent, n = a->rows * l;
    const size_t bytes = (size_t)(n + l) * sizeof(double);
    apart p = {.a = a, .z = malloc(bytes)};
    theta -= a->theta_mean;
    const avi_optimum_blocks blocks = {.cols = 1, .theta = &theta, .self = &p, .fill = fill_apart, .take = add_apart};
    avi_status status = avi_agree(a->s->comm, p.z ? AVI_OK : avi_fail_memory(bytes, "exact answers"));
    for (int64_t i = 0; status == AVI_OK && i < n; i++) p.z[l + i] = mean[i] - a->mean[l + i];
    if (status == AVI_OK) status = avi_optimum_before(a, l, p.z);
    if (status == AVI_OK) status = avi_optimum_residuals(a, &blocks);
    *gap = p.gap;
    free(p.z);
    return status;
}

static avi_status gaussian_gap(avi_optimum *a, avi_state *st, double *gap)
{
    const avi_session *s = a->s;
    const int64_t l = a->latent;
    double *mean, *log_sd, theta = 0;
    AVI_TRY(avi_run_file_local(s, st, &a->fields, &mean, &log_sd));
    if (a->thetas) theta = avi_vector_get(s->precision, st->params, s->model->theta.block[0].offset);
    AVI_TRY(means_apart(a, mean, theta, gap));
    for (int64_t i = 0; i < a->rows * l; i++) {
        const int64_t n = i / l, d = i % l;
        *gap += avi_optimum_excess(a->precision[(n * l + d) * l + d] * exp(2 * log_sd[i]));
    }
    AVI_TRY(avi_comm_sum_double(s->comm, gap, 1));
    if (!a->thetas || !s->problem.global_gaussian) return AVI_OK;
    const int64_t at = avi_parameter_layout_log_sd(&s->problem, &s->layout) + s->model->theta.block[0].offset;
    *gap += avi_optimum_excess(a->theta_precision * exp(2 * avi_vector_get(s->precision, st->params, at)));
    return AVI_OK;
}

bool avi_optimum_given_theta(const avi_session *s)
{
    return s->problem.global_gaussian && s->infer->theta == AVI_THETA_DRAW;
}

avi_status avi_optimum_compare_fit(avi_optimum *a, avi_state *st, const double *evaluation, avi_fit_comparison *fit)
{
    const double rows = (double)a->s->partition.rows, elbo = evaluation[AVI_EVAL_ELBO_TRAIN] * rows;
    *fit = (avi_fit_comparison){
        .elbo = elbo, .gap = a->elbo - elbo, .error = evaluation[AVI_EVAL_ELBO_TRAIN_ERROR] * rows, .estimated = true};
    fit->evidence_gap = a->log_evidence - elbo;
    /* The closed form is that of factors which do not depend on each other or on theta. */
    if (!a->ops->residuals || full_covariance(a) || a->s->family->ops->draw_after || avi_optimum_given_theta(a->s))
        return AVI_OK;
    AVI_TRY(gaussian_gap(a, st, &fit->gap));
    fit->elbo = a->elbo - fit->gap;
    fit->evidence_gap = a->log_evidence - fit->elbo;
    fit->error = 0;
    fit->estimated = false;
    return AVI_OK;
}
