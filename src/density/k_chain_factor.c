/* Factors of a chain (chain_factor.h). L is small: plain loops over the rows. */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "density/chain_factor.h"
#include "tape/internal.h"

#include <math.h>

static int64_t at(int64_t i, int64_t j) { return i * (i + 1) / 2 + j; } /* j <= i, row-wise lower triangle */

/* The triangle with its diagonal as it is, (L, L); 0 above it. */
static void read_triangle(const real *from, int64_t l, real *m)
{
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j < l; j++) m[i * l + j] = j < i ? from[at(i, j)] : j == i ? vm_exp(from[at(i, i)]) : 0;
}

/* a = m m' + p p', (L, L). */
static void covariance(const real *m, const real *p, int64_t l, real *a)
{
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j <= i; j++) {
            real sum = 0;
            for (int64_t k = 0; k <= j; k++) sum += m[i * l + k] * m[j * l + k];
            for (int64_t k = 0; k < l; k++) sum += p[i * l + k] * p[j * l + k];
            a[i * l + j] = a[j * l + i] = sum;
        }
}

/* The lower Cholesky factor in place of a; 0 above the diagonal. */
static void factorise(int64_t l, real *a)
{
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j < l; j++) {
            if (j > i) {
                a[i * l + j] = 0;
                continue;
            }
            real sum = a[i * l + j];
            for (int64_t k = 0; k < j; k++) sum -= a[i * l + k] * a[j * l + k];
            a[i * l + j] = i == j ? (real)sqrt((double)sum) : sum / a[j * l + j];
        }
}

/* aux: M and C of each row, (B, 2, L, L). */
void AVI_R(avi_forward_chain_marginal)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    int64_t l = 0;
    while (l + l * (l + 1) / 2 < n->cols) l++;
    n->size[0] = l;
    real *work = n->aux = avi_tape_alloc(t, 2 * n->rows * l * l);
    for (int64_t r = 0; work && r < n->rows; r++, work += 2 * l * l) {
        const real *row = (const real *)nu->value + r * nu->cols, *p = row + n->cols;
        real *m = work, *c = work + l * l, *out = (real *)n->value + r * n->cols;
        read_triangle(row + l, l, m);
        covariance(m, p, l, c);
        factorise(l, c);
        for (int64_t i = 0; i < l; i++) {
            out[i] = row[i];
            for (int64_t j = 0; j <= i; j++) out[l + at(i, j)] = i == j ? vm_log(c[i * l + i]) : c[i * l + j];
        }
    }
}

/* phi = the lower triangle of C' G, half its diagonal (G: the gradient by C). */
static void lower_half(int64_t l, const real *c, const real *gradient, real *phi)
{
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j < l; j++) {
            real sum = 0;
            for (int64_t k = i; j <= i && k < l; k++)
                sum += c[k * l + i] * (k == j ? gradient[at(k, k)] / c[k * l + k] : gradient[at(k, j)]);
            phi[i * l + j] = j < i ? sum : j == i ? R(0.5) * sum : 0;
        }
}

/* s = C^-T s C^-1 in place, (L, L). */
static void conjugate(int64_t l, const real *c, real *s)
{
    for (int64_t i = 0; i < l; i++) /* rows x of s: x C = s_i */
        for (int64_t j = l - 1; j >= 0; j--) {
            for (int64_t k = j + 1; k < l; k++) s[i * l + j] -= s[i * l + k] * c[k * l + j];
            s[i * l + j] /= c[j * l + j];
        }
    for (int64_t j = 0; j < l; j++) /* columns y of s: C' y = s_j */
        for (int64_t i = l - 1; i >= 0; i--) {
            for (int64_t k = i + 1; k < l; k++) s[i * l + j] -= c[k * l + i] * s[k * l + j];
            s[i * l + j] /= c[i * l + i];
        }
}

/* Row i of (S + S') times column j of x (L, L). */
static real symmetric_product(int64_t l, const real *s, const real *x, int64_t i, int64_t j)
{
    real sum = 0;
    for (int64_t k = 0; k < l; k++) sum += (s[i * l + k] + s[k * l + i]) * x[k * l + j];
    return sum;
}

/* With S = C^-T phi C^-1 the gradient by A = C C' is (S + S') / 2 (Murray 2016), so that by M it is (S + S') M, and by
 * P (S + S') P. */
void AVI_R(avi_backward_chain_marginal)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t l = n->size[0];
    const real *work = n->aux;
    real *dnu = avi_tape_grad(t, nu), *s = avi_tape_alloc(t, l * l);
    for (int64_t r = 0; work && s && r < n->rows; r++, work += 2 * l * l) {
        const real *m = work, *c = work + l * l, *g = (const real *)n->grad + r * n->cols,
                   *p = (const real *)nu->value + r * nu->cols + n->cols;
        real *d = dnu + r * nu->cols, *dp = d + n->cols;
        lower_half(l, c, g + l, s);
        conjugate(l, c, s);
        for (int64_t i = 0; i < l; i++) {
            d[i] += g[i];
            for (int64_t j = 0; j <= i; j++)
                d[l + at(i, j)] += symmetric_product(l, s, m, i, j) * (i == j ? m[i * l + i] : 1);
            for (int64_t j = 0; j < l; j++) dp[i * l + j] += symmetric_product(l, s, p, i, j);
        }
    }
}

void AVI_R(avi_forward_chain_after)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    const int64_t l = n->cols, draws = n->rows / nu->rows;
    real *m = avi_tape_alloc(t, l * l);
    for (int64_t r = 0; m && r < n->rows; r++) {
        const real *row = (const real *)nu->value + (r / draws) * nu->cols, *p = row + nu->cols - l * l,
                   *e = (const real *)n->in[1]->value + r * l, *before = (const real *)n->in[2]->value + r * l;
        real *z = (real *)n->value + r * l;
        if (r % draws == 0) read_triangle(row + l, l, m);
        for (int64_t i = 0; i < l; i++) {
            z[i] = row[i];
            for (int64_t j = 0; j <= i; j++) z[i] += m[i * l + j] * e[j];
            for (int64_t j = 0; j < l; j++) z[i] += p[i * l + j] * before[j];
        }
    }
}

void AVI_R(avi_backward_chain_after)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t l = n->cols, draws = n->rows / nu->rows;
    real *dnu = avi_tape_grad(t, nu);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *row = (const real *)nu->value + (r / draws) * nu->cols, *e = (const real *)n->in[1]->value + r * l,
                   *before = (const real *)n->in[2]->value + r * l, *g = (const real *)n->grad + r * l;
        real *d = dnu + (r / draws) * nu->cols, *dp = d + nu->cols - l * l;
        for (int64_t i = 0; i < l; i++) {
            d[i] += g[i];
            for (int64_t j = 0; j < i; j++) d[l + at(i, j)] += g[i] * e[j];
            d[l + at(i, i)] += g[i] * e[i] * vm_exp(row[l + at(i, i)]);
            for (int64_t j = 0; j < l; j++) dp[i * l + j] += g[i] * before[j];
        }
    }
}
