/* Log densities of levels, and their means. Inputs: x, logits or location, (log_scale), mask; row b*S + s of the
 * density has draw s of row b. */
#include "avi/vmath.h"
#include "density/levels.h"
#include "tape/lanes.h"

#include <math.h>

/* Row r of x or mask for row r of the density; NULL where there is no such input. */
static const real *row_of(const avi_node *n, int input, int64_t r)
{
    const avi_node *in = n->in[input];
    return in ? (const real *)in->value + r / (n->rows / in->rows) * in->cols : NULL;
}

/* The level of a value, or -1 where it has none. */
static int64_t level_of(real x, real per_level, int64_t count)
{
    const real level = x * per_level + R(0.5);
    return level >= 0 && level < (real)count ? (int64_t)level : -1;
}

/* ---- categorical ---- */

/* Probabilities of all levels of D values in the places of their logits; top and log_sum (D): log p = logit - top -
 * log_sum. */
static void softmax(const avi_levels *l, int64_t cols, const real *restrict logits, real *restrict p,
                    real *restrict top, real *restrict log_sum)
{
    const int64_t vs = l->value_stride, ls = l->level_stride;
    for (int64_t d = 0; d < cols; d++) {
        top[d] = logits[d * vs];
        log_sum[d] = 0;
    }
    for (int64_t k = 1; k < l->count; k++)
        for (int64_t d = 0; d < cols; d++) {
            const real v = logits[k * ls + d * vs];
            top[d] = v > top[d] ? v : top[d];
        }
    for (int64_t k = 0; k < l->count; k++)
        for (int64_t d = 0; d < cols; d++) log_sum[d] += p[k * ls + d * vs] = vm_exp(logits[k * ls + d * vs] - top[d]);
    for (int64_t k = 0; k < l->count; k++)
        for (int64_t d = 0; d < cols; d++) p[k * ls + d * vs] /= log_sum[d];
    for (int64_t d = 0; d < cols; d++) log_sum[d] = vm_log(log_sum[d]);
}

/* aux: the probabilities (R, K D); two rows of work. */
void AVI_R(avi_forward_categorical_levels)(avi_tape *t, avi_node *n)
{
    const avi_levels *l = n->data;
    const int64_t cols = n->in[0]->cols, all = n->in[1]->cols;
    const real per_level = (real)(1 / l->step);
    real *p = n->aux = avi_tape_alloc(t, n->rows * all + 2 * cols), *top = p + n->rows * all, *term = top + cols;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *x = row_of(n, 0, r), *w = row_of(n, 2, r), *logits = (const real *)n->in[1]->value + r * all;
        softmax(l, cols, logits, p + r * all, top, term);
        for (int64_t d = 0; d < cols; d++) {
            const int64_t k = level_of(x[d], per_level, l->count);
            const real value = k < 0 ? (real)NAN : logits[k * l->level_stride + d * l->value_stride] - top[d] - term[d];
            term[d] = w ? w[d] * value : value;
        }
        row_totals(term, 1, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_categorical_levels)(avi_tape *t, avi_node *n)
{
    const avi_levels *l = n->data;
    const int64_t cols = n->in[0]->cols, all = n->in[1]->cols, vs = l->value_stride, ls = l->level_stride;
    const real per_level = (real)(1 / l->step), *g = n->grad;
    real *to = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    for (int64_t r = 0; to && r < n->rows; r++) {
        const real *x = row_of(n, 0, r), *w = row_of(n, 2, r), *restrict p = (const real *)n->aux + r * all;
        real *restrict d_row = to + r * all;
        for (int64_t k = 0; k < l->count; k++)
            for (int64_t d = 0; d < cols; d++) d_row[k * ls + d * vs] -= g[r] * (w ? w[d] : 1) * p[k * ls + d * vs];
        for (int64_t d = 0; d < cols; d++) {
            const int64_t k = level_of(x[d], per_level, l->count);
            if (k >= 0) d_row[k * ls + d * vs] += g[r] * (w ? w[d] : 1);
        }
    }
}

/* In double: softmax needs room that a mean has not, and evaluations are few. */
void AVI_R(avi_mean_of_logits)(const avi_levels *l, int64_t rows, int64_t cols, const real *logits, real *out)
{
    const int64_t vs = l->value_stride, ls = l->level_stride;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < cols; d++) {
            const real *v = logits + r * cols * l->count + d * vs;
            real top = v[0];
            double sum = 0, mean = 0;
            for (int64_t k = 1; k < l->count; k++) top = v[k * ls] > top ? v[k * ls] : top;
            for (int64_t k = 0; k < l->count; k++) {
                const real p = vm_exp(v[k * ls] - top);
                sum += (double)p;
                mean += (double)p * (double)k;
            }
            out[r * cols + d] = (real)(mean / sum * l->step);
        }
}

/* ---- discretised logistic ----
 *
 * With a = (k - 1/2 - mu) / s, b = (k + 1/2 - mu) / s and sigma the logistic function, a level inside has
 *     log(sigma(b) - sigma(a)) = -softplus(-b) - softplus(a) + log(1 - exp(-1 / s)),
 * without a difference of numbers that are nearly the same; the first one has the first term alone, the last one the
 * second. */

/* Of each value: 1 / s, log(1 - exp(-1 / s)) and its derivative by log s less its sign. */
static void widths(const avi_levels *l, int64_t cols, const real *log_scale, real *inverse, real *inside, real *slope)
{
    for (int64_t d = 0; d < cols; d++) {
        const double u = exp(-(double)log_scale[d]) / (double)(l->count - 1);
        inverse[d] = (real)u;
        inside[d] = (real)log(-expm1(-u));
        slope[d] = (real)(u / expm1(u));
        if (u > 700) slope[d] = 0;
    }
}

/* aux: the derivatives by location and by log_scale, (R, D) each; four rows of work. */
void AVI_R(avi_forward_discretised_logistic)(avi_tape *t, avi_node *n)
{
    const avi_levels *l = n->data;
    const int64_t cols = n->in[0]->cols, values = n->rows * cols;
    const real per_level = (real)(1 / l->step), top = (real)(l->count - 1);
    real *kept = n->aux = avi_tape_alloc(t, 2 * values + 4 * cols), *restrict term = kept + 2 * values,
         *restrict inverse = term + cols, *restrict inside = inverse + cols, *restrict slope = inside + cols;
    widths(l, cols, n->in[2]->value, inverse, inside, slope);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = row_of(n, 0, r), *restrict w = row_of(n, 3, r);
        const real *restrict m = (const real *)n->in[1]->value + r * cols;
        real *restrict dm = kept + r * cols, *restrict ds = dm + values;
        for (int64_t d = 0; d < cols; d++) {
            const real raw = x[d] * per_level, level = (raw + VM_ROUND) - VM_ROUND, i = inverse[d];
            const real from = (level - R(0.5) - top * m[d]) * i, to = (level + R(0.5) - top * m[d]) * i;
            const real low = level > 0 ? 1 : 0, high = level < top ? 1 : 0, both = low * high;
            const real below = vm_sigmoid(from), above = vm_sigmoid(-to);
            const real value = both * inside[d] - high * vm_softplus(-to) - low * vm_softplus(from);
            term[d] = level >= 0 && level <= top ? value : (real)NAN;
            dm[d] = top * i * (low * below - high * above);
            ds[d] = low * from * below - high * to * above - both * slope[d];
        }
        for (int64_t d = 0; w && d < cols; d++) {
            term[d] *= w[d];
            dm[d] *= w[d];
            ds[d] *= w[d];
        }
        row_totals(term, 1, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_discretised_logistic)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[0]->cols, values = n->rows * cols;
    const real *restrict kept = n->aux, *g = n->grad;
    real *restrict to_location = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *restrict to_scale = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; to_location && r < n->rows; r++)
        for (int64_t d = 0; d < cols; d++) to_location[r * cols + d] += g[r] * kept[r * cols + d];
    for (int64_t r = 0; to_scale && r < n->rows; r++)
        for (int64_t d = 0; d < cols; d++) to_scale[d] += g[r] * kept[values + r * cols + d];
}

/* E k = sum over k >= 1 of the probability of k or more. */
void AVI_R(avi_mean_of_logistic)(const avi_levels *l, int64_t rows, int64_t cols, const real *location,
                                 const real *log_scale, real *out)
{
    const real top = (real)(l->count - 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t d = 0; d < cols; d++) {
            const real inverse = vm_exp(-log_scale[d]) / top, middle = top * location[r * cols + d] + R(0.5);
            double sum = 0;
            for (int64_t k = 1; k < l->count; k++) sum += (double)vm_sigmoid((middle - (real)k) * inverse);
            out[r * cols + d] = (real)(sum * l->step);
        }
}
