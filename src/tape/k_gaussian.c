/* Gaussian variational factors with independent dimensions: nu = (mean (L), log_sd (L)) of each row. Exponentials of
 * log_sd are taken over all rows at once, so that they vectorise for few dimensions too; one draw of one dimension has
 * its own loops over rows. */
#include "avi/vmath.h"
#include "tape/lanes.h"

#define HALF_LOG_2PI R(0.91893853320467274178)

static void exp_row(const real *restrict v, real factor, int64_t n, real *restrict out)
{
    for (int64_t k = 0; k < n; k++) out[k] = vm_exp(factor * v[k]);
}

/* out (B, L) = exp(factor * log_sd): row by row, or laid out first where rows are too short to vectorise. */
static void exp_log_sd(const avi_node *nu, real factor, real *restrict out)
{
    const int64_t dims = nu->cols / 2, rows = nu->rows;
    const real *restrict v = nu->value;
    if (dims >= LANES) {
        for (int64_t b = 0; b < rows; b++) exp_row(v + (2 * b + 1) * dims, factor, dims, out + b * dims);
        return;
    }
    if (dims == 1)
        for (int64_t b = 0; b < rows; b++) out[b] = v[2 * b + 1];
    else
        for (int64_t b = 0; b < rows; b++)
            for (int64_t l = 0; l < dims; l++) out[b * dims + l] = v[(2 * b + 1) * dims + l];
    for (int64_t k = 0; k < rows * dims; k++) out[k] = vm_exp(factor * out[k]);
}

/* z[b*S + s] = mean[b] + sd[b] * eps[b*S + s]. aux: sd (B, L). */
void AVI_R(avi_forward_gaussian_draw)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    const int64_t dims = n->cols, rows = nu->rows, draws = n->rows / rows;
    const real *restrict v = nu->value, *restrict eps = n->in[1]->value;
    real *restrict z = n->value, *restrict sd = n->aux = avi_tape_alloc(t, rows * dims);
    exp_log_sd(nu, 1, sd);
    if (dims == 1 && draws == 1) {
        for (int64_t b = 0; b < rows; b++) z[b] = v[2 * b] + sd[b] * eps[b];
        return;
    }
    for (int64_t b = 0; b < rows; b++) {
        const real *mean = v + 2 * b * dims, *sb = sd + b * dims;
        const int64_t first = b * draws * dims;
        if (dims == 1)
            for (int64_t s = 0; s < draws; s++) z[first + s] = mean[0] + sb[0] * eps[first + s];
        else
            for (int64_t s = first; s < first + draws * dims; s += dims)
                for (int64_t l = 0; l < dims; l++) z[s + l] = mean[l] + sb[l] * eps[s + l];
    }
}

/* Sums of g and g * eps over the draws of one dimension. */
static void sums_over_draws(const real *restrict g, const real *restrict eps, int64_t n, real *sum_g, real *sum_ge)
{
#define TERM(k) (g[k])
    LANE_SUM(*sum_g, 0, n, TERM);
#undef TERM
#define TERM(k) (g[k] * eps[k])
    LANE_SUM(*sum_ge, 0, n, TERM);
#undef TERM
}

void AVI_R(avi_backward_gaussian_draw)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t dims = n->cols, rows = nu->rows, draws = n->rows / rows;
    const real *restrict g = n->grad, *restrict eps = n->in[1]->value, *restrict sd = n->aux;
    real *restrict d = avi_tape_grad(t, nu);
    for (int64_t b = 0; dims == 1 && draws == 1 && b < rows; b++) {
        d[2 * b] += g[b];
        d[2 * b + 1] += g[b] * eps[b] * sd[b];
    }
    for (int64_t b = 0; dims == 1 && draws > 1 && b < rows; b++) {
        real sum_g, sum_ge;
        sums_over_draws(g + b * draws, eps + b * draws, draws, &sum_g, &sum_ge);
        d[2 * b] += sum_g;
        d[2 * b + 1] += sum_ge * sd[b];
    }
    for (int64_t b = 0; dims > 1 && b < rows; b++) {
        real *restrict dm = d + 2 * b * dims, *restrict dls = dm + dims;
        for (int64_t s = b * draws * dims; s < (b + 1) * draws * dims; s += dims)
            for (int64_t l = 0; l < dims; l++) {
                dm[l] += g[s + l];
                dls[l] += g[s + l] * eps[s + l] * sd[b * dims + l];
            }
    }
}

void AVI_R(avi_forward_gaussian_entropy)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t dims = n->in[0]->cols / 2;
    const real *restrict v = n->in[0]->value, constant = (real)dims * (R(0.5) + HALF_LOG_2PI);
    real *restrict y = n->value;
    if (dims == 1)
        for (int64_t b = 0; b < n->rows; b++) y[b] = constant + v[2 * b + 1];
    else
        for (int64_t b = 0; b < n->rows; b++) {
            row_totals(v + (2 * b + 1) * dims, 1, dims, y + b);
            y[b] += constant;
        }
}

void AVI_R(avi_backward_gaussian_entropy)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[0]->cols / 2;
    const real *restrict g = n->grad;
    real *restrict d = avi_tape_grad(t, n->in[0]);
    if (dims == 1)
        for (int64_t b = 0; b < n->rows; b++) d[2 * b + 1] += g[b];
    else
        for (int64_t b = 0; b < n->rows; b++)
            for (int64_t l = 0; l < dims; l++) d[(2 * b + 1) * dims + l] += g[b];
}

/* KL(N(m, s^2) || N(0, 1)) = sum (m^2 + s^2 - 1) / 2 - log s. Kingma & Welling 2014, appendix B. aux: s^2 (B, L). */
void AVI_R(avi_forward_gaussian_kl_std)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[0]->cols / 2;
    const real *restrict v = n->in[0]->value;
    real *restrict y = n->value, *restrict var = n->aux = avi_tape_alloc(t, n->rows * dims);
    exp_log_sd(n->in[0], 2, var);
    if (dims == 1) {
        for (int64_t b = 0; b < n->rows; b++) y[b] = R(0.5) * (v[2 * b] * v[2 * b] + var[b] - 1) - v[2 * b + 1];
        return;
    }
    for (int64_t b = 0; b < n->rows; b++) {
        const real *restrict m = v + 2 * b * dims, *restrict ls = m + dims, *restrict vb = var + b * dims;
#define TERM(l) (R(0.5) * (m[l] * m[l] + vb[l] - 1) - ls[l])
        ROW_SUMS(y + b, 1, dims, TERM);
#undef TERM
    }
}

void AVI_R(avi_backward_gaussian_kl_std)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[0]->cols / 2;
    const real *restrict v = n->in[0]->value, *restrict var = n->aux, *restrict g = n->grad;
    real *restrict d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; dims == 1 && b < n->rows; b++) {
        d[2 * b] += g[b] * v[2 * b];
        d[2 * b + 1] += g[b] * (var[b] - 1);
    }
    for (int64_t b = 0; dims > 1 && b < n->rows; b++) {
        const real *m = v + 2 * b * dims;
        real *restrict dm = d + 2 * b * dims, *restrict dls = dm + dims;
        for (int64_t l = 0; l < dims; l++) dm[l] += g[b] * m[l];
        for (int64_t l = 0; l < dims; l++) dls[l] += g[b] * (var[b * dims + l] - 1);
    }
}

/* aux: u = (z - mean) / sd (B*S, L), then 1 / sd (B, L). */
void AVI_R(avi_forward_gaussian_logq)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    const int64_t dims = n->in[1]->cols, draws = n->rows / nu->rows;
    const real *restrict v = nu->value, *restrict z = n->in[1]->value;
    real *restrict y = n->value, *u = n->aux = avi_tape_alloc(t, (n->rows + nu->rows) * dims),
                   *inv = u + n->rows * dims;
    exp_log_sd(nu, -1, inv);
    for (int64_t r = 0; dims == 1 && draws == 1 && r < n->rows; r++) {
        u[r] = (z[r] - v[2 * r]) * inv[r];
        y[r] = R(-0.5) * u[r] * u[r] - v[2 * r + 1] - HALF_LOG_2PI;
    }
    for (int64_t r = 0; dims * draws > 1 && r < n->rows; r++) {
        const int64_t b = r / draws;
        const real *restrict m = v + 2 * b * dims, *restrict ls = m + dims, *restrict ib = inv + b * dims;
        const real *restrict zr = z + r * dims;
        real *restrict ur = u + r * dims;
        for (int64_t l = 0; l < dims; l++) ur[l] = (zr[l] - m[l]) * ib[l];
#define TERM(l) (R(-0.5) * ur[l] * ur[l] - ls[l] - HALF_LOG_2PI)
        ROW_SUMS(y + r, 1, dims, TERM);
#undef TERM
    }
}

static void logq_to_nu(const avi_node *n, int64_t dims, int64_t draws, real *restrict d)
{
    const real *restrict g = n->grad, *restrict u = n->aux, *restrict inv = u + n->rows * dims;
    for (int64_t r = 0; dims == 1 && draws == 1 && r < n->rows; r++) {
        d[2 * r] += g[r] * u[r] * inv[r];
        d[2 * r + 1] += g[r] * (u[r] * u[r] - 1);
    }
    for (int64_t r = 0; dims * draws > 1 && r < n->rows; r++) {
        const int64_t b = r / draws;
        const real *restrict ur = u + r * dims, *restrict ib = inv + b * dims;
        real *restrict dm = d + 2 * b * dims, *restrict dls = dm + dims;
        for (int64_t l = 0; l < dims; l++) {
            dm[l] += g[r] * ur[l] * ib[l];
            dls[l] += g[r] * (ur[l] * ur[l] - 1);
        }
    }
}

void AVI_R(avi_backward_gaussian_logq)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->in[1]->cols, draws = n->rows / n->in[0]->rows;
    const real *restrict g = n->grad, *restrict u = n->aux, *restrict inv = u + n->rows * dims;
    real *dnu = avi_tape_grad(t, n->in[0]), *restrict dz = avi_tape_grad(t, n->in[1]);
    if (dnu) logq_to_nu(n, dims, draws, dnu);
    for (int64_t r = 0; dz && dims == 1 && draws == 1 && r < n->rows; r++) dz[r] -= g[r] * u[r] * inv[r];
    for (int64_t r = 0; dz && dims * draws > 1 && r < n->rows; r++)
        for (int64_t l = 0; l < dims; l++) dz[r * dims + l] -= g[r] * u[r * dims + l] * inv[r / draws * dims + l];
}
