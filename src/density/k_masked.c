/* Log densities of the values that are there. The elementwise density is a number whatever the mask says, since a
 * missing value is 0 here and not NaN. */
#include "avi/vmath.h"
#include "density/masked.h"
#include "tape/lanes.h"

#include <math.h>

#define HALF_LOG_2PI R(0.91893853320467274178)

/* Row r of x or mask for row r of the density. */
static const real *row_of(const avi_node *n, int input, int64_t r)
{
    const avi_node *in = n->in[input];
    return (const real *)in->value + r / (n->rows / in->rows) * in->cols;
}

void AVI_R(avi_forward_masked_normal)(avi_tape *t, avi_node *n)
{
    (void)t;
    const double sd = *(const double *)n->data;
    const real inv = (real)(1 / sd), constant = (real)log(sd) + HALF_LOG_2PI;
    const int64_t cols = n->in[2]->cols;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 1, r), *restrict m = row_of(n, 2, r);
        real *y = (real *)n->value + r;
#define TERM(k) (w[k] * (R(-0.5) * ((x[k] - m[k]) * inv) * ((x[k] - m[k]) * inv) - constant))
        LANE_SUM(*y, 0, cols, TERM);
#undef TERM
    }
}

void AVI_R(avi_backward_masked_normal)(avi_tape *t, avi_node *n)
{
    const double sd = *(const double *)n->data;
    const real precision = (real)(1 / (sd * sd)), *g = n->grad;
    const int64_t cols = n->in[2]->cols;
    real *to = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; to && r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 1, r), *restrict m = row_of(n, 2, r);
        real *restrict d = to + r * cols;
        for (int64_t k = 0; k < cols; k++) d[k] += g[r] * w[k] * (x[k] - m[k]) * precision;
    }
}

/* aux: mask * (x - sigmoid(l)), the derivative (R, D); a row of terms. */
void AVI_R(avi_forward_masked_bernoulli)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[2]->cols;
    real *derivative = n->aux = avi_tape_alloc(t, (n->rows + 1) * cols);
    if (!derivative) return;
    real *restrict term = derivative + n->rows * cols;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 1, r), *restrict l = row_of(n, 2, r);
        real *restrict d = derivative + r * cols;
        for (int64_t k = 0; k < cols; k++) {
            const real e = vm_exp(-vm_abs(l[k])), q = 1 / (1 + e);
            d[k] = w[k] * (x[k] - (l[k] < 0 ? e * q : q));
            term[k] = w[k] * ((x[k] * l[k] - (l[k] < 0 ? 0 : l[k])) - vm_log1p_unit(e));
        }
        row_totals(term, 1, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_masked_bernoulli)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[2]->cols;
    const real *g = n->grad, *derivative = n->aux;
    real *to = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; to && derivative && r < n->rows; r++)
        for (int64_t k = 0; k < cols; k++) to[r * cols + k] += g[r] * derivative[r * cols + k];
}
