/* E |z|^2 of Gaussian factors that are correlated in K directions, with A_K .. A_1 = I + U W' as in
 * family/gaussian_lowrank.c: u_k = c_k v_k, w_k = v_k + sum_{j<k} (u_j' v_k) w_j, and the variance of dimension i is
 * d_i^2 r_i,
 *   r_i = 1 + sum_k u_ki (2 w_ki + sum_m (w_k' w_m) u_mi). */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "density/full_square.h"
#include "tape/internal.h"

#include <math.h>
#include <string.h>

/* Of one row, (K, L) and (K, K); on the tape. */
typedef struct maps {
    int64_t l, k;
    real *v, *u, *w, *x; /* x: 2 w_k + sum_m (w_k' w_m) u_m */
    real *c, *g, *r, *d; /* c (K), g = W'W (K, K), r (L), d: the squares of D (L) */
    real *half;          /* (L): of d, 1/2 for each map that begins at the dimension */
} maps;

static maps allocate(avi_tape *t, const avi_node *n)
{
    maps a = {.l = *(const int64_t *)n->data};
    a.k = n->in[0]->cols / a.l - 2;
    const int64_t all = a.k * a.l;
    a.v = avi_tape_alloc(t, 4 * all + a.k + a.k * a.k + 3 * a.l);
    a.u = a.v + all;
    a.w = a.u + all;
    a.x = a.w + all;
    a.c = a.x + all;
    a.g = a.c + a.k;
    a.r = a.g + a.k * a.k;
    a.d = a.r + a.l;
    a.half = a.d + a.l;
    for (int64_t i = 0; i < a.l; i++) a.half[i] = (real)ldexp(1, -(int)(a.k / a.l + (i < a.k % a.l ? 1 : 0)));
    return a;
}

static real inner(int64_t n, const real *restrict a, const real *restrict b)
{
    real lane[8] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) lane[j] += a[i + j] * b[i + j];
    for (; i < n; i++) sum += a[i] * b[i];
    for (int j = 0; j < 8; j++) sum += lane[j];
    return sum;
}

static void add(int64_t n, real f, const real *restrict a, real *restrict to)
{
    for (int64_t i = 0; i < n; i++) to[i] += f * a[i];
}

/* All of it for one row of nu. */
static void work_out(const maps *a, const real *nu)
{
    const int64_t l = a->l, k = a->k;
    memcpy(a->v, nu + 2 * l, (size_t)(k * l) * sizeof(real));
    for (int64_t j = 0; j < k; j++) {
        real *v = a->v + j * l, *u = a->u + j * l, *w = a->w + j * l;
        v[j % l] += 1;
        a->c[j] = 1 / (1 + (real)sqrt((double)(1 + inner(l, v, v)))); /* (sqrt(1 + q) - 1) / q */
        for (int64_t i = 0; i < l; i++) u[i] = a->c[j] * v[i];
        memcpy(w, v, (size_t)l * sizeof(real));
        for (int64_t m = 0; m < j; m++) add(l, inner(l, a->u + m * l, v), a->w + m * l, w);
        for (int64_t m = 0; m <= j; m++) a->g[j * k + m] = a->g[m * k + j] = inner(l, w, a->w + m * l);
    }
    for (int64_t i = 0; i < l; i++) a->d[i] = vm_exp(2 * nu[l + i]) * a->half[i];
    for (int64_t i = 0; i < l; i++) a->r[i] = 1;
    for (int64_t j = 0; j < k; j++) {
        real *x = a->x + j * l;
        const real *u = a->u + j * l;
        for (int64_t i = 0; i < l; i++) x[i] = 2 * a->w[j * l + i];
        for (int64_t m = 0; m < k; m++) add(l, a->g[j * k + m], a->u + m * l, x);
        for (int64_t i = 0; i < l; i++) a->r[i] += u[i] * x[i];
    }
}

void AVI_R(avi_forward_lowrank_square)(avi_tape *t, avi_node *n)
{
    const avi_node *nu = n->in[0];
    const maps a = allocate(t, n);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *row = (const real *)nu->value + b * nu->cols;
        work_out(&a, row);
        ((real *)n->value)[b] = inner(a.l, row, row) + inner(a.l, a.d, a.r);
    }
}

/* From the derivatives by u_k and w_k of all k to those by v~_k: du, dw, to (K, L). */
static void derive_maps(const maps *a, real *du, real *dw, real *to)
{
    const int64_t l = a->l;
    for (int64_t j = a->k - 1; j >= 0; j--) {
        const real *v = a->v + j * l;
        real *d = to + j * l;
        add(l, 1, dw + j * l, d);
        for (int64_t m = 0; m < j; m++) {
            const real along = inner(l, a->u + m * l, v), by = inner(l, dw + j * l, a->w + m * l);
            add(l, along, dw + j * l, dw + m * l);
            add(l, by, v, du + m * l);
            add(l, by, a->u + m * l, d);
        }
        const real c = a->c[j], root = 1 / c - 1; /* dc / dq = - c^2 / (2 sqrt(1 + q)) */
        add(l, c, du + j * l, d);
        add(l, -c * c / root * inner(l, du + j * l, v), v, d);
    }
}

void AVI_R(avi_backward_lowrank_square)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const maps a = allocate(t, n);
    const int64_t l = a.l, k = a.k;
    real *grad = avi_tape_grad(t, nu), *du = avi_tape_alloc(t, 2 * k * l + l), *dw = du + k * l, *s = dw + k * l;
    for (int64_t b = 0; b < n->rows; b++) {
        const real *row = (const real *)nu->value + b * nu->cols, by = ((const real *)n->grad)[b];
        real *to = grad + b * nu->cols;
        work_out(&a, row);
        add(l, 2 * by, row, to);
        for (int64_t i = 0; i < l; i++) {
            s[i] = by * a.d[i];
            to[l + i] += 2 * s[i] * a.r[i];
        }
        for (int64_t j = 0; j < k; j++) /* x has 2 w, of which r_i is linear, and sum g u, of which it is quadratic */
            for (int64_t i = 0; i < l; i++) {
                du[j * l + i] = 2 * s[i] * (a.x[j * l + i] - a.w[j * l + i]);
                dw[j * l + i] = 2 * s[i] * a.u[j * l + i];
            }
        for (int64_t j = 0; j < k; j++) /* by g_jm: sum_i s_i u_ji u_mi, and g is symmetric */
            for (int64_t m = 0; m < k; m++) {
                real h = 0;
                for (int64_t i = 0; i < l; i++) h += s[i] * a.u[j * l + i] * a.u[m * l + i];
                add(l, 2 * h, a.w + m * l, dw + j * l);
            }
        derive_maps(&a, du, dw, to + 2 * l);
    }
}
