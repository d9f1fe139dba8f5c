/* Fused densities of the scalar models: N * S values pass through them each step, so value and gradient take one pass
 * each. Row b * S + s holds draw s of datapoint b. Work goes in pieces that stay in cache, whatever the number of draws
 * is. */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "density/normal_1d.h"
#include "density/wave_normal.h"
#include "tape/internal.h"

#include <math.h>

#define HALF_LOG_2PI R(0.91893853320467274178)

enum { PIECE = 256 /* rows */ };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- y and theta: values and gradients of operands with fewer rows than the density ---- */

/* d = y - b theta for `count` rows from r; y is in[0], theta is in[2]. */
static void differences(const avi_node *n, int64_t r, int64_t count, real b, real *restrict d)
{
    const int64_t draws = n->rows / n->in[0]->rows;
    const real *y = n->in[0]->value, *theta = n->in[2] ? n->in[2]->value : NULL;
    const bool each = theta && n->in[2]->rows > 1;
    const real shift = theta && !each ? b * theta[0] : 0;
    if (draws == 1) {
        for (int64_t k = 0; k < count; k++) d[k] = y[r + k] - shift;
        return;
    }
    for (int64_t k = 0, part; k < count; k += part) {
        const int64_t s = (r + k) % draws;
        const real yb = y[(r + k) / draws];
        part = least(count - k, draws - s);
        if (each)
            for (int64_t j = 0; j < part; j++) d[k + j] = yb - b * theta[s + j];
        else
            for (int64_t j = 0; j < part; j++) d[k + j] = yb - shift;
    }
}

static real sum_of(int64_t count, const real *restrict e)
{
    real lane[8] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (int j = 0; j < 8; j++) lane[j] += e[k + j];
    for (; k < count; k++) sum += e[k];
    for (int j = 0; j < 8; j++) sum += lane[j];
    return sum;
}

/* to (1, 1) or (draws, 1) += factor * e, e being `count` rows from r. */
static void add_theta(real *restrict to, bool each, int64_t draws, int64_t r, int64_t count, real factor,
                      const real *restrict e)
{
    if (!each) {
        *to += factor * sum_of(count, e);
        return;
    }
    for (int64_t k = 0, part; k < count; k += part) {
        const int64_t s = (r + k) % draws;
        part = least(count - k, draws - s);
        for (int64_t j = 0; j < part; j++) to[s + j] += factor * e[k + j];
    }
}

/* to (B, 1) -= e. */
static void subtract_y(real *restrict to, int64_t draws, int64_t r, int64_t count, const real *restrict e)
{
    if (draws == 1)
        for (int64_t k = 0; k < count; k++) to[r + k] -= e[k];
    else
        for (int64_t k = 0, part; k < count; k += part) {
            part = least(count - k, draws - (r + k) % draws);
            to[(r + k) / draws] -= sum_of(part, e + k);
        }
}

/* ---- log N(y; a u + b theta, sd^2) ---- */

static void residuals(const avi_node *n, int64_t r, int64_t count, real *restrict e)
{
    const avi_scalar_normal *p = n->data;
    const real a = (real)p->a, *restrict u = (const real *)n->in[1]->value + r;
    differences(n, r, count, (real)p->b, e);
    for (int64_t k = 0; k < count; k++) e[k] -= a * u[k];
}

void AVI_R(avi_forward_scalar_normal)(avi_tape *t, avi_node *n)
{
    (void)t;
    const double sd = ((const avi_scalar_normal *)n->data)->sd;
    const real inv = (real)(1 / sd), constant = (real)log(sd) + HALF_LOG_2PI;
    real e[PIECE];
    for (int64_t r = 0; r < n->rows; r += PIECE) {
        const int64_t count = least(PIECE, n->rows - r);
        real *restrict out = (real *)n->value + r;
        residuals(n, r, count, e);
        for (int64_t k = 0; k < count; k++) out[k] = R(-0.5) * (e[k] * inv) * (e[k] * inv) - constant;
    }
}

void AVI_R(avi_backward_scalar_normal)(avi_tape *t, avi_node *n)
{
    const avi_scalar_normal *p = n->data;
    const int64_t draws = n->rows / n->in[0]->rows;
    const real precision = (real)(1 / (p->sd * p->sd)), a = (real)p->a;
    bool fresh;
    real *dy = n->in[0]->needs_grad ? avi_tape_grad(t, n->in[0]) : NULL;
    real *dtheta = n->in[2] && n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    real *du = avi_tape_grad_fresh(t, n->in[1], &fresh);
    real e[PIECE];
    for (int64_t r = 0; r < n->rows; r += PIECE) {
        const int64_t count = least(PIECE, n->rows - r);
        const real *restrict g = (const real *)n->grad + r;
        residuals(n, r, count, e);
        for (int64_t k = 0; k < count; k++) e[k] *= g[k] * precision;
        if (du && fresh)
            for (int64_t k = 0; k < count; k++) du[r + k] = a * e[k];
        else if (du)
            for (int64_t k = 0; k < count; k++) du[r + k] += a * e[k];
        if (dy) subtract_y(dy, draws, r, count, e);
        if (dtheta) add_theta(dtheta, n->in[2]->rows > 1, draws, r, count, (real)p->b, e);
    }
}

/* ---- log N(x; theta + z sin z + z, exp(cos z)^2) ---- */

/* aux: derivatives with respect to the mean and to z, (R) each. */
void AVI_R(avi_forward_wave)(avi_tape *t, avi_node *n)
{
    const real keep = *(const bool *)n->data ? R(0.0) : R(1.0);
    const real *z = n->in[1]->value;
    real *value = n->value, *to_mean = n->aux = avi_tape_alloc(t, 2 * n->rows), *to_z = to_mean + n->rows;
    real d[PIECE];
    for (int64_t r = 0; r < n->rows; r += PIECE) {
        const int64_t count = least(PIECE, n->rows - r);
        differences(n, r, count, 1, d);
        avi_wave_piece(count, keep, z + r, d, value + r, to_mean + r, to_z + r);
    }
}

void AVI_R(avi_backward_wave)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->rows / n->in[0]->rows;
    const real *restrict g = n->grad, *restrict to_mean = n->aux, *restrict to_z = to_mean + n->rows;
    bool fresh;
    real *dx = n->in[0]->needs_grad ? avi_tape_grad(t, n->in[0]) : NULL;
    real *dtheta = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    real *restrict dz = avi_tape_grad_fresh(t, n->in[1], &fresh), e[PIECE];
    for (int64_t r = 0; r < n->rows; r += PIECE) {
        const int64_t count = least(PIECE, n->rows - r);
        if (dz && fresh)
            for (int64_t k = r; k < r + count; k++) dz[k] = g[k] * to_z[k];
        else if (dz)
            for (int64_t k = r; k < r + count; k++) dz[k] += g[k] * to_z[k];
        if (!dx && !dtheta) continue;
        for (int64_t k = 0; k < count; k++) e[k] = g[r + k] * to_mean[r + k];
        if (dx) subtract_y(dx, draws, r, count, e);
        if (dtheta) add_theta(dtheta, n->in[2]->rows > 1, draws, r, count, 1, e);
    }
}
