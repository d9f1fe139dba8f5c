/* Global parameters: draws of theta once a step, and the chain rule from the gradient at the draws to that of q(theta).
 *
 * Layout of draws (and of their gradient): draw s of value i at s * theta + i; where they ride with those of z
 * (avi_theta_rides) at i * S + s, so that a block's draws are the (S, 1) column that the tape uses. Work goes block by
 * block: padding stays zero. */
#include "elbo/global_kernels.h"
#include "elbo/internal.h"

#include <string.h>

#define BY_PRECISION(e, f, ...) ((e)->p.precision == AVI_PRECISION_SINGLE ? f##_f32(__VA_ARGS__) : f##_f64(__VA_ARGS__))

enum { PAD = 16 /* values, as in blocks of parameters */ };

bool avi_problem_sees_means(const avi_problem *p)
{
    return p->infer->theta == AVI_THETA_MEAN || (p->infer->refine.steps && p->infer->refine.full);
}

avi_parameter_layout avi_parameter_layout_of(const avi_problem *p)
{
    avi_parameter_layout l = {.theta = p->model->theta.size, .phi = p->infer->phi.size};
    if (p->global_family)
        l.beside = (p->global_family->width - avi_params_values(&p->model->theta) + PAD - 1) / PAD * PAD;
    else if (p->global_gaussian)
        l.beside = l.theta;
    l.size = l.theta + l.beside + l.phi;
    l.theta_draws = p->moments_rule ? 2 : p->global_gaussian ? p->draws : 1;
    /* Of a point, and in the model's own expectation, the leaves of theta are the means. */
    if (avi_problem_sees_means(p) && p->global_gaussian && !p->moments_rule) l.seen = l.theta;
    l.gradient = l.theta_draws * l.theta + l.phi + l.seen;
    return l;
}

int64_t avi_parameter_layout_log_sd(const avi_problem *p, const avi_parameter_layout *l)
{
    (void)p;
    return l->theta;
}

int64_t avi_parameter_layout_phi(const avi_problem *p, const avi_parameter_layout *l)
{
    (void)p;
    return l->theta + l->beside;
}

bool avi_theta_rides(const avi_problem *p)
{
    return p->model->ops->scalar_theta && !(p->global_gaussian && p->infer->theta == AVI_THETA_DRAW);
}

avi_theta_form avi_theta_form_of(const avi_problem *p)
{
    return p->global_family ? AVI_THETA_JOINT : p->global_gaussian ? AVI_THETA_FACTORS : AVI_THETA_POINT;
}

static const void *at(const avi_estimator *e, const void *v, int64_t i)
{
    return (const char *)v + (size_t)i * avi_real_size(e->p.precision);
}

static void *at_mutable(const avi_estimator *e, void *v, int64_t i)
{
    return (char *)v + (size_t)i * avi_real_size(e->p.precision);
}

/* Where value i of draw s is, and the distance to value i + 1. */
static int64_t draw_index(const avi_estimator *e, int s, int64_t i)
{
    return avi_theta_rides(&e->p) ? i * e->layout.theta_draws + s : s * e->layout.theta + i;
}

static int64_t draw_stride(const avi_estimator *e) { return avi_theta_rides(&e->p) ? e->layout.theta_draws : 1; }

/* Where the gradient by a mean is that the inference function sees. */
static int64_t seen_index(const avi_estimator *e, int64_t i)
{
    return e->layout.theta_draws * e->layout.theta + e->layout.phi + i;
}

avi_global_part avi_global_all(const avi_estimator *e)
{
    return (avi_global_part){0, e->layout.theta, 0, e->layout.phi};
}

/* What of a block of theta is in the part: values [*from, *from + n) of the vector. */
static int64_t in_part(const avi_block *b, const avi_global_part *part, int64_t *from)
{
    const int64_t end = b->offset + b->rows * b->cols, to = end < part->theta_end ? end : part->theta_end;
    *from = b->offset > part->theta ? b->offset : part->theta;
    return to > *from ? to - *from : 0;
}

/* Of block k of theta; a scalar theta has one value in each. */
static void fill_eps(avi_estimator *e, avi_stream stream, int s, int k, int64_t first, int64_t n, bool at_mean)
{
    const avi_precision p = e->p.precision;
    const int64_t at0 = draw_index(e, s, first), stride = draw_stride(e);
    if (at_mean || e->p.rule) {
        const double value = at_mean ? 0 : e->p.rule->theta[s * e->p.rule->thetas + k];
        for (int64_t i = 0; i < n; i++) avi_vector_set(p, e->theta_eps, at0 + i * stride, value);
    } else if (stride == 1 && p == AVI_PRECISION_SINGLE) {
        avi_normal_f32(stream, (uint64_t)s, 1, first, n, (float *)e->theta_eps + at0);
    } else if (stride == 1) {
        avi_normal_f64(stream, (uint64_t)s, 1, first, n, (double *)e->theta_eps + at0);
    } else {
        for (int64_t i = 0; i < n; i++) {
            double value;
            avi_normal_f64(stream, (uint64_t)s, 1, first + i, 1, &value);
            avi_vector_set(p, e->theta_eps, at0 + i * stride, value);
        }
    }
}

/* Means as draw 0, log sds as draw 1: what the model's own expectation takes. */
static void copy_moments(const avi_estimator *e, const void *params, const avi_global_part *part, void *draws)
{
    const avi_params *theta = &e->p.model->theta;
    for (int s = 0; s < 2; s++)
        for (int k = 0; k < theta->count; k++) {
            int64_t first;
            const int64_t n = in_part(&theta->block[k], part, &first);
            if (n)
                memcpy(at_mutable(e, draws, draw_index(e, s, first)), at(e, params, s * e->layout.theta + first),
                       (size_t)n * avi_real_size(e->p.precision));
        }
}

/* Draws of a q(theta) that is a family's, of all of theta: their values are not independent. */
static void draw_family(avi_estimator *e, const void *params, avi_stream stream, bool at_mean, void *draws)
{
    const avi_theta_family *q = e->theta_family;
    const double *from =
        avi_theta_family_draw(e->theta_family, params, e->p.rule, stream, e->layout.theta_draws, at_mean);
    if (avi_theta_family_status(q) != AVI_OK) e->failed = avi_theta_family_status(q);
    for (int s = 0; s < e->layout.theta_draws; s++)
        for (int64_t i = 0; i < q->count; i++)
            avi_vector_set(e->p.precision, draws, draw_index(e, s, q->place[i]), *from++);
}

void avi_global_draw_into(avi_estimator *e, const void *params, avi_stream stream, bool at_mean,
                          const avi_global_part *part, void *draws)
{
    const avi_params *theta = &e->p.model->theta;
    if (e->theta_family) {
        draw_family(e, params, stream, at_mean, draws);
        return;
    }
    if (e->p.moments_rule) {
        copy_moments(e, params, part, draws);
        return;
    }
    for (int s = 0; s < e->layout.theta_draws; s++)
        for (int k = 0; k < theta->count; k++) {
            int64_t first;
            const int64_t n = in_part(&theta->block[k], part, &first), d = draw_index(e, s, first);
            if (n == 0) continue;
            fill_eps(e, stream, s, k, first, n, at_mean);
            BY_PRECISION(e, avi_global_draw, n, at(e, params, first), at(e, params, e->layout.theta + first),
                         at(e, e->theta_eps, d), draw_stride(e), at_mutable(e, draws, d));
        }
}

void avi_global_draw(avi_estimator *e, const void *params, avi_stream stream, bool at_mean)
{
    const avi_global_part all = avi_global_all(e);
    e->graph.theta_draws = e->p.global_gaussian ? e->own_draws : params; /* a point is its own draw */
    if (e->p.global_gaussian) avi_global_draw_into(e, params, stream, at_mean, &all, e->own_draws);
}

static double prior_precision(const avi_estimator *e)
{
    const double sd = e->p.model->prior_sd;
    return sd > 0 ? 1 / (sd * sd) : 0;
}

static void theta_gradient(const avi_estimator *e, const void *params, const void *summed, const avi_global_part *part,
                           void *gradient)
{
    const avi_params *theta = &e->p.model->theta;
    const bool gaussian = e->p.global_gaussian;
    const double row_weight = 1 / avi_partition_step_rows(&e->data->partition),
                 kl_weight = 1 / (double)e->data->partition.rows;
    for (int k = 0; k < theta->count; k++) {
        int64_t first;
        const int64_t n = in_part(&theta->block[k], part, &first);
        if (n == 0) continue;
        const void *mean = at(e, params, first), *log_sd = gaussian ? at(e, params, e->layout.theta + first) : NULL;
        void *dm = at_mutable(e, gradient, first),
             *dls = gaussian ? at_mutable(e, gradient, e->layout.theta + first) : NULL;
        const bool moments = e->p.moments_rule != NULL; /* the summed gradient is that of means and of log sds */
        for (int s = 0; moments && s < 2; s++)
            avi_vector_scaled(e->p.precision, at(e, summed, draw_index(e, s, first)), n, row_weight, s ? dls : dm);
        for (int s = 0; gaussian && !moments && s < e->layout.theta_draws; s++) {
            const int64_t d = draw_index(e, s, first);
            BY_PRECISION(e, avi_global_chain, n, log_sd, at(e, e->theta_eps, d), at(e, summed, d), draw_stride(e),
                         row_weight, dm, dls);
        }
        if (!gaussian) avi_vector_scaled(e->p.precision, at(e, summed, first), n, row_weight, dm);
        if (e->layout.seen) BY_PRECISION(e, avi_global_add, n, at(e, summed, seen_index(e, first)), row_weight, dm);
        if (gaussian || prior_precision(e) > 0)
            BY_PRECISION(e, avi_global_kl_gradient, n, mean, log_sd, prior_precision(e), e->p.notebook, kl_weight, dm,
                         dls);
    }
}

/* Of all of theta at once, which is one factor. */
static void family_gradient(const avi_estimator *e, const void *summed, void *gradient)
{
    const avi_theta_family *q = e->theta_family;
    const avi_precision p = e->p.precision;
    const double row_weight = 1 / avi_partition_step_rows(&e->data->partition);
    double *by = e->of_draws;
    for (int s = 0; s < e->layout.theta_draws; s++)
        for (int64_t i = 0; i < q->count; i++)
            *by++ = row_weight * avi_vector_get(p, summed, draw_index(e, s, q->place[i]));
    const double *nu = avi_theta_family_gradient(e->theta_family, e->of_draws, 1 / (double)e->data->partition.rows);
    for (int64_t i = 0; i < q->count; i++) {
        const double seen = e->layout.seen ? avi_vector_get(p, summed, seen_index(e, q->place[i])) : 0;
        avi_vector_set(p, gradient, q->place[i], nu[i] + row_weight * seen);
    }
    avi_vector_from_double(p, nu + q->count, q->family->width - q->count,
                           at_mutable(e, gradient, avi_parameter_layout_log_sd(&e->p, &e->layout)));
}

void avi_global_gradient(const avi_estimator *e, const void *params, const void *summed, const avi_global_part *part,
                         void *gradient)
{
    const avi_precision p = e->p.precision;
    const size_t theta_bytes = (size_t)(part->theta_end - part->theta) * avi_real_size(p);
    for (int i = 0; e->p.global_gaussian && !e->theta_family && i < 2; i++)
        memset(at_mutable(e, gradient, i * e->layout.theta + part->theta), 0, theta_bytes); /* draws are added up */
    if (e->theta_family)
        family_gradient(e, summed, gradient);
    else
        theta_gradient(e, params, summed, part, gradient);
    void *phi = at_mutable(e, gradient, avi_parameter_layout_phi(&e->p, &e->layout) + part->phi);
    avi_vector_scaled(p, at(e, summed, e->layout.theta_draws * e->layout.theta + part->phi), part->phi_end - part->phi,
                      1 / avi_partition_step_rows(&e->data->partition), phi);
}

int64_t avi_global_bad_value(const avi_estimator *e, const avi_global_part *part, const void *gradient)
{
    const int64_t first[3] = {part->theta, e->layout.theta + part->theta,
                              avi_parameter_layout_phi(&e->p, &e->layout) + part->phi},
                  n = part->theta_end - part->theta;
    const int64_t beside = e->theta_family        ? e->layout.beside
                           : e->p.global_gaussian ? n
                                                  : 0,
                  count[3] = {n, beside, part->phi_end - part->phi};
    for (int i = 0; i < 3; i++) {
        int64_t bad = -1;
        if (avi_vector_nonfinite(e->p.precision, at(e, gradient, first[i]), count[i], &bad) > 0) return first[i] + bad;
    }
    return -1;
}

double avi_estimator_kl_global(const avi_estimator *e, const void *params)
{
    const avi_params *theta = &e->p.model->theta;
    double sum = 0;
    if (e->theta_family) return avi_theta_family_kl(e->theta_family, params);
    for (int k = 0; k < theta->count; k++) {
        const avi_block *b = &theta->block[k];
        sum +=
            BY_PRECISION(e, avi_global_kl, b->rows * b->cols, at(e, params, b->offset),
                         e->p.global_gaussian ? at(e, params, e->layout.theta + b->offset) : NULL, prior_precision(e));
    }
    return sum;
}

double avi_estimator_step_kl_global(const avi_estimator *e, const void *params)
{
    const avi_params *theta = &e->p.model->theta;
    double sum = avi_estimator_kl_global(e, params);
    for (int k = 0; e->p.notebook && e->p.global_gaussian && k < theta->count; k++) {
        const avi_block *b = &theta->block[k];
        sum +=
            BY_PRECISION(e, avi_global_notebook_excess, b->rows * b->cols, at(e, params, e->layout.theta + b->offset));
    }
    return sum;
}
