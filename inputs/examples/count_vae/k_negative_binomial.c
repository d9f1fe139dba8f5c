/* log NB(x; mu, r) = log G(x + r) - log G(r) - log G(x + 1) + x m - (x + r) log(1 + exp(m)), m = log mu - log r, with G
 * the gamma function. Row b*S + s holds draw s of row b. Compiled for both precisions. */
#include "negative_binomial.h"
#include "avi/kernel.h"
#include "avi/vmath.h"

enum { SHIFT = 10 }; /* Stirling's series below is right to 1e-13 from there on */

static inline real log1p_of(real u) { return vm_pick(u <= 1, vm_log1p_unit(vm_pick(u <= 1, u, 0)), vm_log(1 + u)); }

/* What Stirling's series of log G(y) and of its derivative has beyond (y - 1/2) log y - y and log y. */
static inline real rest_of_log(real y)
{
    const real i = 1 / y, q = i * i;
    return i * (R(1.0) / 12 - q * (R(1.0) / 360 - q * (R(1.0) / 1260 - q * (R(1.0) / 1680 - q * R(1.0) / 1188))));
}

static inline real rest_of_slope(real y)
{
    const real i = 1 / y, q = i * i;
    return -R(0.5) * i - q * (R(1.0) / 12 - q * (R(1.0) / 120 - q * (R(1.0) / 252 - q * (R(1.0) / 240 - q / 132))));
}

/* log G(r + x) - log G(r) and its derivative by r, for r > 0 and x >= 0, without the difference of two large numbers:
 * both arguments are moved up by SHIFT, where Stirling's series holds, and its terms are subtracted one by one. */
static inline real rising(real r, real x, real *slope)
{
    real first = 1, second = 1, sum = 0; /* two products, so that neither overflows */
    for (int k = 0; k < SHIFT; k++) {
        const real low = r + (real)k, high = low + x;
        if (k % 2)
            second *= high / low;
        else
            first *= high / low;
        sum += x / (low * high);
    }
    const real low = r + SHIFT, high = low + x, up = log1p_of(x / low);
    *slope = up + rest_of_slope(high) - rest_of_slope(low) + sum;
    return (low - R(0.5)) * up + x * (vm_log(high) - 1) + rest_of_log(high) - rest_of_log(low) - vm_log(first) -
           vm_log(second);
}

/* aux: the derivatives with respect to log_mu and log_r, (B*S, D) each. */
void AVI_R(forward_negative_binomial)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, draws = n->rows / n->in[0]->rows;
    const real *log_mu = n->in[1]->value, *restrict log_r = n->in[2]->value;
    n->aux = avi_tape_alloc(t, (2 * n->rows + 1) * cols);
    real *restrict term = (real *)n->aux + 2 * n->rows * cols;
    for (int64_t row = 0; row < n->rows; row++) {
        const real *restrict x = (const real *)n->in[0]->value + row / draws * cols;
        const real *restrict m = log_mu + row * cols;
        real *restrict dm = (real *)n->aux + row * cols, *restrict dr = dm + n->rows * cols, sum = 0;
        for (int64_t d = 0; d < cols; d++) {
            real slope, of_one;
            const real r = vm_exp(log_r[d]), u = m[d] - log_r[d], softplus = vm_softplus(u);
            const real expected = (x[d] + r) * vm_sigmoid(u);
            term[d] = rising(r, x[d], &slope) - rising(1, x[d], &of_one) + x[d] * u - (x[d] + r) * softplus;
            dm[d] = x[d] - expected;
            dr[d] = r * (slope - softplus) + expected - x[d];
        }
        for (int64_t d = 0; d < cols; d++) sum += term[d];
        ((real *)n->value)[row] = sum;
    }
}

void AVI_R(backward_negative_binomial)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, rows = n->rows;
    const real *dm = n->aux, *dr = dm + rows * cols, *restrict g = n->grad;
    real *restrict to_mu = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *restrict to_r = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t row = 0; to_mu && row < rows; row++)
        for (int64_t d = 0; d < cols; d++) to_mu[row * cols + d] += g[row] * dm[row * cols + d];
    for (int64_t row = 0; to_r && row < rows; row++)
        for (int64_t d = 0; d < cols; d++) to_r[d] += g[row] * dr[row * cols + d];
}
