/* Gaussian variational factors with independent dimensions: nu = (mean (L), log_sd (L)) of each row. */
#include "base/real.h"
#include "base/vmath.h"
#include "tape/internal.h"

#define HALF_LOG_2PI R(0.91893853320467274178)

/* z[b*S + s] = mean[b] + sd[b] * eps[b*S + s]. aux: sd (B, L). */
void AVI_R(avi_forward_gaussian_draw)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    const int64_t dims = n->cols, rows = nu->rows, draws = n->rows / rows;
    n->aux = avi_tape_alloc(t, rows * dims);
    for (int64_t b = 0; b < rows; b++) {
        const real *restrict mean = (const real *)nu->value + 2 * b * dims, *restrict log_sd = mean + dims;
        const real *restrict eps = (const real *)n->in[1]->value + b * draws * dims;
        real *restrict z = (real *)n->value + b * draws * dims, *restrict sd = (real *)n->aux + b * dims;
        for (int64_t l = 0; l < dims; l++) sd[l] = vm_exp(log_sd[l]);
        if (dims == 1) {
            const real m = mean[0], s0 = sd[0];
            for (int64_t s = 0; s < draws; s++) z[s] = m + s0 * eps[s];
            continue;
        }
        for (int64_t s = 0; s < draws; s++)
            for (int64_t l = 0; l < dims; l++) z[s * dims + l] = mean[l] + sd[l] * eps[s * dims + l];
    }
}

/* Sums of g and g * eps over the draws of one dimension. */
static void sums_over_draws(const real *restrict g, const real *restrict eps, int64_t n, real *sum_g, real *sum_ge)
{
    real a[16] = {0}, e[16] = {0};
    int64_t k = 0;
    for (; k + 16 <= n; k += 16)
        for (int j = 0; j < 16; j++) {
            a[j] += g[k + j];
            e[j] += g[k + j] * eps[k + j];
        }
    for (; k < n; k++) {
        a[0] += g[k];
        e[0] += g[k] * eps[k];
    }
    *sum_g = *sum_ge = 0;
    for (int j = 0; j < 16; j++) {
        *sum_g += a[j];
        *sum_ge += e[j];
    }
}

void AVI_R(avi_backward_gaussian_draw)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t dims = n->cols, rows = nu->rows, draws = n->rows / rows;
    real *d = avi_tape_grad(t, nu);
    for (int64_t b = 0; b < rows; b++) {
        const real *restrict eps = (const real *)n->in[1]->value + b * draws * dims;
        const real *restrict g = (const real *)n->grad + b * draws * dims, *restrict sd = (const real *)n->aux + b * dims;
        real *restrict dm = d + 2 * b * dims, *restrict dls = dm + dims;
        if (dims == 1) {
            real sum_g, sum_ge;
            sums_over_draws(g, eps, draws, &sum_g, &sum_ge);
            dm[0] += sum_g;
            dls[0] += sum_ge * sd[0];
            continue;
        }
        for (int64_t s = 0; s < draws; s++)
            for (int64_t l = 0; l < dims; l++) {
                dm[l] += g[s * dims + l];
                dls[l] += g[s * dims + l] * eps[s * dims + l] * sd[l];
            }
    }
}

void AVI_R(avi_forward_gaussian_entropy)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t dims = n->in[0]->cols / 2;
    for (int64_t b = 0; b < n->rows; b++) {
        const real *log_sd = (const real *)n->in[0]->value + (2 * b + 1) * dims;
        real sum = (real)dims * (R(0.5) + HALF_LOG_2PI);
        for (int64_t l = 0; l < dims; l++) sum += log_sd[l];
        ((real *)n->value)[b] = sum;
    }
}

void AVI_R(avi_backward_gaussian_entropy)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[0]->cols / 2;
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t l = 0; l < dims; l++) d[(2 * b + 1) * dims + l] += ((const real *)n->grad)[b];
}

/* KL(N(m, s^2) || N(0, 1)) = sum (m^2 + s^2 - 1) / 2 - log s. Kingma & Welling 2014, appendix B. */
void AVI_R(avi_forward_gaussian_kl_std)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t dims = n->in[0]->cols / 2;
    for (int64_t b = 0; b < n->rows; b++) {
        const real *m = (const real *)n->in[0]->value + 2 * b * dims, *ls = m + dims;
        real sum = 0;
        for (int64_t l = 0; l < dims; l++) sum += R(0.5) * (m[l] * m[l] + vm_exp(2 * ls[l]) - 1) - ls[l];
        ((real *)n->value)[b] = sum;
    }
}

void AVI_R(avi_backward_gaussian_kl_std)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[0]->cols / 2;
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *m = (const real *)n->in[0]->value + 2 * b * dims, *ls = m + dims, g = ((const real *)n->grad)[b];
        real *restrict dm = d + 2 * b * dims, *restrict dls = dm + dims;
        for (int64_t l = 0; l < dims; l++) {
            dm[l] += g * m[l];
            dls[l] += g * (vm_exp(2 * ls[l]) - 1);
        }
    }
}

void AVI_R(avi_forward_gaussian_logq)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *nu = n->in[0], *zn = n->in[1];
    const int64_t dims = zn->cols, draws = n->rows / nu->rows;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *m = (const real *)nu->value + 2 * (r / draws) * dims, *ls = m + dims;
        const real *z = (const real *)zn->value + r * dims;
        real sum = 0;
        for (int64_t l = 0; l < dims; l++) {
            const real u = (z[l] - m[l]) * vm_exp(-ls[l]);
            sum -= R(0.5) * u * u + ls[l] + HALF_LOG_2PI;
        }
        ((real *)n->value)[r] = sum;
    }
}

void AVI_R(avi_backward_gaussian_logq)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0], *zn = n->in[1];
    const int64_t dims = zn->cols, draws = n->rows / nu->rows;
    real *dnu = nu->needs_grad ? avi_tape_grad(t, nu) : NULL, *dz = zn->needs_grad ? avi_tape_grad(t, zn) : NULL;
    for (int64_t r = 0; r < n->rows; r++) {
        const int64_t b = r / draws;
        const real *m = (const real *)nu->value + 2 * b * dims, *ls = m + dims, g = ((const real *)n->grad)[r];
        const real *z = (const real *)zn->value + r * dims;
        for (int64_t l = 0; l < dims; l++) {
            const real inv = vm_exp(-ls[l]), u = (z[l] - m[l]) * inv;
            if (dz) dz[r * dims + l] -= g * u * inv;
            if (!dnu) continue;
            dnu[2 * b * dims + l] += g * u * inv;
            dnu[(2 * b + 1) * dims + l] += g * (u * u - 1);
        }
    }
}
