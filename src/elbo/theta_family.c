#include "elbo/theta_family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

static void list_places(const avi_params *theta, int64_t *place)
{
    for (int k = 0; k < theta->count; k++)
        for (int64_t i = 0; i < theta->block[k].rows * theta->block[k].cols; i++) *place++ = theta->block[k].offset + i;
}

avi_status avi_theta_family_create(const avi_problem *p, avi_theta_family **out)
{
    avi_theta_family *q = *out = calloc(1, sizeof *q);
    if (!q) return avi_fail_memory(sizeof *q, "q(theta)");
    *q = (avi_theta_family){.p = p, .family = p->global_family, .count = avi_params_values(&p->model->theta)};
    q->tape = avi_tape_create(AVI_PRECISION_DOUBLE);
    q->place = malloc((size_t)q->count * sizeof *q->place);
    q->nu = calloc((size_t)q->family->width, sizeof *q->nu);
    q->gradient = calloc((size_t)q->family->width, sizeof *q->gradient);
    if (q->tape && q->place && q->nu && q->gradient) {
        list_places(&p->model->theta, q->place);
        return AVI_OK;
    }
    const size_t bytes = 2 * (size_t)q->family->width * sizeof *q->nu;
    avi_theta_family_destroy(out);
    return avi_fail_memory(bytes, "q(theta)");
}

void avi_theta_family_destroy(avi_theta_family **out)
{
    avi_theta_family *q = *out;
    if (!q) return;
    avi_tape_destroy(&q->tape);
    free(q->place);
    free(q->nu);
    free(q->gradient);
    free(q);
    *out = NULL;
}

size_t avi_theta_family_bytes(const avi_theta_family *q)
{
    return avi_tape_peak(q->tape) + 2 * (size_t)q->family->width * sizeof *q->nu;
}

avi_status avi_theta_family_status(const avi_theta_family *q) { return avi_tape_status(q->tape); }

void avi_theta_nu(const avi_problem *p, const void *params, double *nu)
{
    const avi_params *theta = &p->model->theta;
    int64_t at = 0;
    for (int k = 0; k < theta->count; k++) {
        const int64_t n = theta->block[k].rows * theta->block[k].cols;
        for (int64_t i = 0; i < n; i++) nu[at++] = avi_vector_get(p->precision, params, theta->block[k].offset + i);
    }
    for (int64_t i = 0; at < p->global_family->width; i++)
        nu[at++] = avi_vector_get(p->precision, params, theta->size + i);
}

/* nu of params as a leaf of a tape that is reset. */
static void begin(avi_theta_family *q, const void *params)
{
    avi_tape_reset(q->tape);
    avi_theta_nu(q->p, params, q->nu);
    q->draw = NULL;
    q->factor = avi_parameter(q->tape, 1, q->family->width, q->nu, q->gradient);
}

const double *avi_theta_family_draw(avi_theta_family *q, const void *params, const avi_quadrature *rule,
                                    avi_stream stream, int draws, bool at_mean)
{
    begin(q, params);
    avi_node *eps = avi_constant_new(q->tape, draws, q->count);
    const size_t values = (size_t)(draws * q->count);
    if (at_mean)
        memset(eps->value, 0, values * sizeof(double));
    else if (rule)
        memcpy(eps->value, rule->theta, values * sizeof(double));
    else
        avi_normal_f64(stream, 0, draws, 0, q->count, eps->value);
    q->draw = q->family->ops->draw(q->family, q->tape, q->factor, NULL, eps, NULL);
    return q->draw->value;
}

/* KL(q || p) less constants: E |theta|^2 / (2 prior variance) - entropy, (1, 1). */
static avi_node *divergence(avi_theta_family *q)
{
    const avi_family_ops *f = q->family->ops;
    const double sd = q->p->model->prior_sd;
    avi_node *kl = avi_scale(q->tape, f->entropy(q->family, q->tape, q->factor), -1, 0);
    if (!(sd > 0)) return kl;
    avi_node *square = f->second_moment(q->family, q->tape, q->factor);
    return avi_add(q->tape, kl, avi_scale(q->tape, square, 0.5 / (sd * sd), 0));
}

const double *avi_theta_family_gradient(avi_theta_family *q, const double *of_draws, double weight)
{
    memset(q->gradient, 0, (size_t)q->family->width * sizeof *q->gradient);
    avi_node *by = avi_constant(q->tape, q->draw->rows, q->draw->cols, of_draws);
    avi_tape_seed(q->tape, avi_row_sum(q->tape, avi_mul(q->tape, q->draw, by)), 1);
    avi_tape_backward(q->tape, divergence(q), weight);
    return q->gradient;
}

double avi_theta_family_kl(avi_theta_family *q, const void *params)
{
    const double sd = q->p->model->prior_sd;
    begin(q, params);
    const double kl = *(const double *)divergence(q)->value;
    return sd > 0 ? kl + (double)q->count * (log(sd) + 0.5 * LOG_2PI) : kl;
}
