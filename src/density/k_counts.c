/* Log densities of counts. Inputs: x, log_mean, (log_r), mask; row b*S + s of the density has draw s of row b. */
#include "base/log_factorial.h"
#include "density/counts.h"
#include "tape/lanes.h"

/* Row r of x or mask for row r of the density; NULL where there is no such input. */
static const real *row_of(const avi_node *n, int input, int64_t r)
{
    const avi_node *in = n->in[input];
    return in ? (const real *)in->value + r / (n->rows / in->rows) * in->cols : NULL;
}

/* to[k] += g d[k] for the values of a row. */
static void add_row(real *restrict to, real g, const real *restrict d, int64_t cols)
{
    for (int64_t k = 0; k < cols; k++) to[k] += g * d[k];
}

/* ---- Poisson ---- */

/* aux: the derivatives by log_mean, (R, D); a row of terms. */
void AVI_R(avi_forward_masked_poisson)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols;
    real *derivative = n->aux = avi_tape_alloc(t, (n->rows + 1) * cols);
    if (!derivative) return;
    real *restrict term = derivative + n->rows * cols;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 2, r);
        const real *restrict l = (const real *)n->in[1]->value + r * cols;
        real *restrict d = derivative + r * cols;
        avi_log_factorials(x, cols, term);
        for (int64_t k = 0; k < cols; k++) {
            const real rate = vm_exp(l[k]);
            d[k] = w[k] * (x[k] - rate);
            term[k] = w[k] * (x[k] * l[k] - rate - term[k]);
        }
        row_totals(term, 1, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_masked_poisson)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols;
    const real *g = n->grad, *derivative = n->aux;
    real *to = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    for (int64_t r = 0; to && derivative && r < n->rows; r++) add_row(to + r * cols, g[r], derivative + r * cols, cols);
}

/* ---- negative binomial ----
 *
 * log NB(x; mu, r) = log G(x + r) - log G(r) - log x! + x u - (x + r) log(1 + exp(u)), u = log mu - log r, G the gamma
 * function. */

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
static real rising(real r, real x, real *slope)
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

/* The part without gamma functions, in `term` less log x! at first, and its derivatives by log_mean and log_r. */
static void smooth_part(const real *restrict x, const real *restrict m, const real *restrict log_r, int64_t cols,
                        real *restrict term, real *restrict dm, real *restrict dr)
{
    for (int64_t k = 0; k < cols; k++) {
        const real r = vm_exp(log_r[k]), u = m[k] - log_r[k], softplus = vm_softplus(u);
        const real expected = (x[k] + r) * vm_sigmoid(u);
        term[k] = x[k] * u - (x[k] + r) * softplus - term[k];
        dm[k] = x[k] - expected;
        dr[k] = expected - x[k] - r * softplus;
    }
}

/* The gamma functions cancel where x = 0, as most counts of a sparse table are. */
static void gamma_part(const real *restrict x, const real *restrict log_r, int64_t cols, real *restrict term,
                       real *restrict dr)
{
    for (int64_t k = 0; k < cols; k++) {
        if (x[k] == 0) continue;
        real slope;
        const real r = vm_exp(log_r[k]);
        term[k] += rising(r, x[k], &slope);
        dr[k] += r * slope;
    }
}

/* aux: the derivatives by log_mean and by log_r, (R, D) each; a row of terms. */
void AVI_R(avi_forward_negative_binomial)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, values = n->rows * cols;
    const real *log_r = n->in[2]->value;
    real *kept = n->aux = avi_tape_alloc(t, 2 * values + cols);
    if (!kept) return;
    real *restrict term = kept + 2 * values;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 3, r);
        real *restrict dm = kept + r * cols, *restrict dr = dm + values;
        avi_log_factorials(x, cols, term);
        smooth_part(x, (const real *)n->in[1]->value + r * cols, log_r, cols, term, dm, dr);
        gamma_part(x, log_r, cols, term, dr);
        for (int64_t k = 0; w && k < cols; k++) {
            term[k] *= w[k];
            dm[k] *= w[k];
            dr[k] *= w[k];
        }
        row_totals(term, 1, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_negative_binomial)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, values = n->rows * cols;
    const real *kept = n->aux, *g = n->grad;
    real *to_mean = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *to_r = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; to_mean && kept && r < n->rows; r++) add_row(to_mean + r * cols, g[r], kept + r * cols, cols);
    for (int64_t r = 0; to_r && kept && r < n->rows; r++) add_row(to_r, g[r], kept + values + r * cols, cols);
}
