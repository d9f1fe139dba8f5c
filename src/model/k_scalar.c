/* Fused densities of the scalar models: N * S values pass through them each step, so value and gradient take one pass
 * each. Row b * S + s holds draw s of datapoint b. */
#include "base/real.h"
#include "base/vmath.h"
#include "model/scalar.h"
#include "tape/internal.h"

#include <math.h>

#define HALF_LOG_2PI R(0.91893853320467274178)

enum { PIECE = 256 /* rows worked on at a time: they stay in cache */ };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- log N(y; a u + b theta, sd^2) ---- */

/* Rows of a piece from row r: draws of one datapoint; where nothing is repeated, any rows. */
static int64_t piece_of(const avi_node *n, int64_t r)
{
    const int64_t draws = n->rows / n->in[0]->rows;
    return least(PIECE, draws > 1 ? draws - r % draws : n->rows - r);
}

/* e = y - b theta - a u for `count` rows from r. */
static void residuals(const avi_node *n, int64_t r, int64_t count, real *restrict e)
{
    const avi_scalar_normal *p = n->data;
    const int64_t draws = n->rows / n->in[0]->rows;
    const real a = (real)p->a, b = (real)p->b;
    const real *restrict u = (const real *)n->in[1]->value + r, *theta = n->in[2] ? n->in[2]->value : NULL,
                         *y = n->in[0]->value;
    const real shift = theta && n->in[2]->rows == 1 ? b * theta[0] : 0;
    if (draws == 1)
        for (int64_t k = 0; k < count; k++) e[k] = (y[r + k] - shift) - a * u[k];
    else if (theta && n->in[2]->rows > 1) {
        const real *restrict th = theta + r % draws, yb = y[r / draws];
        for (int64_t k = 0; k < count; k++) e[k] = (yb - b * th[k]) - a * u[k];
    } else {
        const real yb = y[r / draws] - shift;
        for (int64_t k = 0; k < count; k++) e[k] = yb - a * u[k];
    }
}

void AVI_R(avi_forward_scalar_normal)(avi_tape *t, avi_node *n)
{
    (void)t;
    const double sd = ((const avi_scalar_normal *)n->data)->sd;
    const real inv = (real)(1 / sd), constant = (real)log(sd) + HALF_LOG_2PI;
    real e[PIECE];
    for (int64_t r = 0, count; r < n->rows; r += count) {
        real *restrict out = (real *)n->value + r;
        residuals(n, r, count = piece_of(n, r), e);
        for (int64_t k = 0; k < count; k++) out[k] = R(-0.5) * (e[k] * inv) * (e[k] * inv) - constant;
    }
}

/* to[k] += factor * e[k], where `to` has one row for each of e; else to[0] += factor * sum e. */
static void pass_on(real *restrict to, bool each, int64_t count, real factor, const real *restrict e)
{
    if (each) {
        for (int64_t k = 0; k < count; k++) to[k] += factor * e[k];
        return;
    }
    real lane[8] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (int j = 0; j < 8; j++) lane[j] += e[k + j];
    for (; k < count; k++) sum += e[k];
    for (int j = 0; j < 8; j++) sum += lane[j];
    *to += factor * sum;
}

void AVI_R(avi_backward_scalar_normal)(avi_tape *t, avi_node *n)
{
    const avi_scalar_normal *p = n->data;
    const int64_t draws = n->rows / n->in[0]->rows;
    const real precision = (real)(1 / (p->sd * p->sd)), to_u = (real)p->a, to_theta = (real)p->b;
    bool fresh = false;
    real *dy = n->in[0]->needs_grad ? avi_tape_grad(t, n->in[0]) : NULL;
    real *dtheta = n->in[2] && n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    real *du = avi_tape_grad_fresh(t, n->in[1], &fresh);
    real e[PIECE];
    for (int64_t r = 0, count; r < n->rows; r += count) {
        const real *restrict g = (const real *)n->grad + r;
        residuals(n, r, count = piece_of(n, r), e);
        for (int64_t k = 0; k < count; k++) e[k] *= g[k] * precision;
        if (du && fresh)
            for (int64_t k = 0; k < count; k++) du[r + k] = to_u * e[k];
        else if (du)
            pass_on(du + r, true, count, to_u, e);
        if (dy) pass_on(dy + r / draws, draws == 1, count, -1, e);
        if (dtheta) pass_on(dtheta + (n->in[2]->rows > 1 ? r % draws : 0), n->in[2]->rows > 1, count, to_theta, e);
    }
}

/* ---- log N(x; theta + z sin z + z, exp(cos z)^2) ---- */

/* Value, and its derivatives with respect to the mean and to z. keep = 0 leaves out the term -log sigma. */
static inline void wave_point(real x, real theta, real z, real keep, real *value, real *to_mean, real *to_z)
{
    vm_bits quarter;
    const real rest = vm_quarter_turns(z, &quarter), s = vm_quarter(rest, quarter), c = vm_quarter(rest, quarter + 1);
    const real inv = vm_exp(-c), u = (x - theta - z * s - z) * inv;
    *value = R(-0.5) * u * u - keep * c - HALF_LOG_2PI;
    *to_mean = u * inv;
    *to_z = u * inv * (s + z * c + 1) - s * (u * u - keep);
}

/* aux: derivatives with respect to the mean and to z, (R) each. */
void AVI_R(avi_forward_wave)(avi_tape *t, avi_node *n)
{
    const int64_t rows = n->in[0]->rows, draws = n->rows / rows;
    const real keep = *(const bool *)n->data ? 0 : 1;
    const real *x = n->in[0]->value, *theta = n->in[2]->value;
    n->aux = avi_tape_alloc(t, 2 * n->rows);
    for (int64_t b = 0; b < rows; b++) {
        const real *restrict z = (const real *)n->in[1]->value + b * draws;
        real *restrict value = (real *)n->value + b * draws, *restrict to_mean = (real *)n->aux + b * draws;
        real *restrict to_z = (real *)n->aux + n->rows + b * draws;
        const real xb = x[b];
        if (n->in[2]->rows > 1)
            for (int64_t s = 0; s < draws; s++) wave_point(xb, theta[s], z[s], keep, &value[s], &to_mean[s], &to_z[s]);
        else
            for (int64_t s = 0; s < draws; s++) wave_point(xb, theta[0], z[s], keep, &value[s], &to_mean[s], &to_z[s]);
    }
}

void AVI_R(avi_backward_wave)(avi_tape *t, avi_node *n)
{
    const int64_t rows = n->in[0]->rows, draws = n->rows / rows;
    const real *restrict g = n->grad, *restrict to_mean = n->aux, *restrict to_z = to_mean + n->rows;
    bool fresh;
    real *restrict dz = avi_tape_grad_fresh(t, n->in[1], &fresh),
                   *dtheta = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    if (dz && fresh)
        for (int64_t k = 0; k < n->rows; k++) dz[k] = g[k] * to_z[k];
    else if (dz)
        for (int64_t k = 0; k < n->rows; k++) dz[k] += g[k] * to_z[k];
    real e[PIECE];
    for (int64_t r = 0, count; dtheta && r < n->rows; r += count) {
        count = least(PIECE, draws - r % draws);
        for (int64_t k = 0; k < count; k++) e[k] = g[r + k] * to_mean[r + k];
        pass_on(dtheta + (n->in[2]->rows > 1 ? r % draws : 0), n->in[2]->rows > 1, count, 1, e);
    }
}
