/* Layer norm: y = gain h + offset, h = (x - mean) / sd row by row. It knows the tiles of its rows, so that blocks of
 * several tiles stay possible under reproducible sums. */
#include "tape/lanes.h"
#include "tape/tiles.h"

#include <math.h>
#include <string.h>

static const real epsilon = R(1e-5); /* PyTorch's */

/* aux: (R, 2): mean and 1 / sd of each row. */
void AVI_R(avi_forward_layer_norm)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->cols;
    const real *gain = n->in[1]->value, *offset = n->in[2]->value;
    real *statistic = n->aux = avi_tape_alloc(t, 2 * n->rows);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = (const real *)n->in[0]->value + r * cols;
        real *restrict y = (real *)n->value + r * cols;
        real mean, variance;
#define VALUE(k) (x[k])
        LANE_SUM(mean, 0, cols, VALUE);
#undef VALUE
        mean /= (real)cols;
#define SQUARE(k) ((x[k] - mean) * (x[k] - mean))
        LANE_SUM(variance, 0, cols, SQUARE);
#undef SQUARE
        const real inverse = 1 / R_FN(sqrt)(variance / (real)cols + epsilon);
        for (int64_t c = 0; c < cols; c++) y[c] = gain[c] * ((x[c] - mean) * inverse) + offset[c];
        statistic[2 * r] = mean;
        statistic[2 * r + 1] = inverse;
    }
}

/* What rows [first, first + rows) owe to gain and offset, added to (cols) each; NULL: not wanted. */
static void sum_rows(const avi_node *n, int64_t first, int64_t rows, real *gain, real *offset)
{
    const int64_t cols = n->cols;
    for (int64_t r = first; r < first + rows; r++) {
        const real *restrict g = (const real *)n->grad + r * cols, *restrict x =
                                                                       (const real *)n->in[0]->value + r * cols;
        const real mean = ((const real *)n->aux)[2 * r], inverse = ((const real *)n->aux)[2 * r + 1];
        for (int64_t c = 0; gain && c < cols; c++) gain[c] += g[c] * ((x[c] - mean) * inverse);
        for (int64_t c = 0; offset && c < cols; c++) offset[c] += g[c];
    }
}

static void hand_over(avi_tape *t, const avi_gradient_sink *sink, const avi_node *n, const avi_node *leaf)
{
    const int64_t draws = tiles_draws(sink, n->rows, "layer_norm");
    real *sum = avi_tape_alloc(t, n->cols);
    for (int64_t i = 0, at = 0; i < sink->tiles; at += tiles_rows(sink, n->rows, draws, i++)) {
        memset(sum, 0, (size_t)n->cols * sizeof *sum);
        sum_rows(n, at, tiles_rows(sink, n->rows, draws, i), leaf == n->in[1] ? sum : NULL,
                 leaf == n->in[2] ? sum : NULL);
        sink->values(sink->context, leaf->size[0], n->cols, sum);
    }
}

static void derive_leaf(avi_tape *t, const avi_node *n, avi_node *leaf)
{
    const avi_gradient_sink *sink = avi_tape_tile_sink(t);
    bool fresh;
    if (!leaf->needs_grad) return;
    if (sink && leaf->in_sink) {
        hand_over(t, sink, n, leaf);
        return;
    }
    real *d = avi_tape_affine_grad(t, leaf, &fresh);
    if (fresh) memset(d, 0, (size_t)n->cols * sizeof *d);
    sum_rows(n, 0, n->rows, leaf == n->in[1] ? d : NULL, leaf == n->in[2] ? d : NULL);
}

/* dx = (v - mean(v) - h mean(v h)) / sd with v = gain g. */
static void derive_rows(avi_tape *t, const avi_node *n)
{
    const int64_t cols = n->cols;
    const real *gain = n->in[1]->value;
    bool fresh;
    real *to = avi_tape_grad_fresh(t, n->in[0], &fresh);
    for (int64_t r = 0; to && r < n->rows; r++) {
        const real *restrict g = (const real *)n->grad + r * cols, *restrict x =
                                                                       (const real *)n->in[0]->value + r * cols;
        const real mean = ((const real *)n->aux)[2 * r], inverse = ((const real *)n->aux)[2 * r + 1];
        real *restrict d = to + r * cols;
        real total, along;
#define WEIGHED(k) (gain[k] * g[k])
        LANE_SUM(total, 0, cols, WEIGHED);
#undef WEIGHED
#define ALONG(k) (gain[k] * g[k] * ((x[k] - mean) * inverse))
        LANE_SUM(along, 0, cols, ALONG);
#undef ALONG
        total /= (real)cols;
        along /= (real)cols;
        for (int64_t c = 0; c < cols; c++) {
            const real value = inverse * (gain[c] * g[c] - total - (x[c] - mean) * inverse * along);
            d[c] = fresh ? value : d[c] + value;
        }
    }
}

void AVI_R(avi_backward_layer_norm)(avi_tape *t, avi_node *n)
{
    derive_leaf(t, n, n->in[1]);
    derive_leaf(t, n, n->in[2]);
    derive_rows(t, n);
}
