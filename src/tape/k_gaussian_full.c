/* Gaussian factors with full covariance: nu = (mean (L), rows of the lower Cholesky factor C with log of its diagonal):
 * z = mean + C eps. L is small (a handful): plain loops, one work array of 2L values on the tape. */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "tape/internal.h"

#define HALF_LOG_2PI R(0.91893853320467274178)

static int64_t at(int64_t i, int64_t j) { return i * (i + 1) / 2 + j; } /* j <= i, row-wise lower triangle */

void AVI_R(avi_forward_gaussian_full_draw)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *nu = n->in[0];
    const int64_t dims = n->cols, draws = n->rows / nu->rows;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *m = (const real *)nu->value + (r / draws) * nu->cols, *c = m + dims;
        const real *eps = (const real *)n->in[1]->value + r * dims;
        real *z = (real *)n->value + r * dims;
        for (int64_t i = 0; i < dims; i++) {
            z[i] = m[i] + vm_exp(c[at(i, i)]) * eps[i];
            for (int64_t j = 0; j < i; j++) z[i] += c[at(i, j)] * eps[j];
        }
    }
}

void AVI_R(avi_backward_gaussian_full_draw)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t dims = n->cols, draws = n->rows / nu->rows;
    real *d = avi_tape_grad(t, nu);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *c = (const real *)nu->value + (r / draws) * nu->cols + dims;
        const real *eps = (const real *)n->in[1]->value + r * dims, *g = (const real *)n->grad + r * dims;
        real *dm = d + (r / draws) * nu->cols, *dc = dm + dims;
        for (int64_t i = 0; i < dims; i++) {
            dm[i] += g[i];
            dc[at(i, i)] += g[i] * eps[i] * vm_exp(c[at(i, i)]);
            for (int64_t j = 0; j < i; j++) dc[at(i, j)] += g[i] * eps[j];
        }
    }
}

void AVI_R(avi_forward_gaussian_full_entropy)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t dims = n->size[0];
    for (int64_t b = 0; b < n->rows; b++) {
        const real *c = (const real *)n->in[0]->value + b * n->in[0]->cols + dims;
        real sum = (real)dims * (R(0.5) + HALF_LOG_2PI);
        for (int64_t i = 0; i < dims; i++) sum += c[at(i, i)];
        ((real *)n->value)[b] = sum;
    }
}

void AVI_R(avi_backward_gaussian_full_entropy)(avi_tape *t, avi_node *n)
{
    const int64_t dims = n->size[0];
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t i = 0; i < dims; i++) d[b * n->in[0]->cols + dims + at(i, i)] += ((const real *)n->grad)[b];
}

/* u = C^-1 (z - m). */
static void solve_lower(const real *m, const real *c, const real *z, int64_t dims, real *u)
{
    for (int64_t i = 0; i < dims; i++) {
        u[i] = z[i] - m[i];
        for (int64_t j = 0; j < i; j++) u[i] -= c[at(i, j)] * u[j];
        u[i] *= vm_exp(-c[at(i, i)]);
    }
}

void AVI_R(avi_forward_gaussian_full_logq)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0], *zn = n->in[1];
    const int64_t dims = zn->cols, draws = n->rows / nu->rows;
    real *u = avi_tape_alloc(t, 2 * dims);
    n->aux = u;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *m = (const real *)nu->value + (r / draws) * nu->cols, *c = m + dims;
        solve_lower(m, c, (const real *)zn->value + r * dims, dims, u);
        real sum = 0;
        for (int64_t i = 0; i < dims; i++) sum -= R(0.5) * u[i] * u[i] + c[at(i, i)] + HALF_LOG_2PI;
        ((real *)n->value)[r] = sum;
    }
}

/* With w = C^-T u: d/dz = -w, d/dm = w, d/dC_ij = w_i u_j (j < i), d/dlog C_ii = w_i u_i C_ii - 1. */
void AVI_R(avi_backward_gaussian_full_logq)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0], *zn = n->in[1];
    const int64_t dims = zn->cols, draws = n->rows / nu->rows;
    real *dnu = nu->needs_grad ? avi_tape_grad(t, nu) : NULL, *dz = zn->needs_grad ? avi_tape_grad(t, zn) : NULL;
    real *u = n->aux, *w = u + dims;
    for (int64_t r = 0; r < n->rows; r++) {
        const int64_t b = r / draws;
        const real *m = (const real *)nu->value + b * nu->cols, *c = m + dims, g = ((const real *)n->grad)[r];
        solve_lower(m, c, (const real *)zn->value + r * dims, dims, u);
        for (int64_t i = dims - 1; i >= 0; i--) {
            w[i] = u[i];
            for (int64_t k = i + 1; k < dims; k++) w[i] -= c[at(k, i)] * w[k];
            w[i] *= vm_exp(-c[at(i, i)]);
        }
        for (int64_t i = 0; i < dims; i++) {
            if (dz) dz[r * dims + i] -= g * w[i];
            if (!dnu) continue;
            real *dm = dnu + b * nu->cols, *dc = dm + dims;
            dm[i] += g * w[i];
            dc[at(i, i)] += g * (w[i] * u[i] * vm_exp(c[at(i, i)]) - 1);
            for (int64_t j = 0; j < i; j++) dc[at(i, j)] += g * w[i] * u[j];
        }
    }
}
