/* The cases of the gradient check. A new line of ops.def needs at least one here. */
#include "gradient.h"
#include "avi/nn.h"

#include <stdlib.h>

/* ---- structure ---- */

static avi_node *gather(const graph *g)
{
    static const int64_t first[] = {4, 0, 7}, count[] = {2, 3, 1};
    return avi_gather(g->tape, g->c->leaf[0].cols, g->value[0], g->grad[0], 3, first, count);
}
static avi_node *slice(const graph *g) { return avi_slice(g->tape, g->in[0], 2, 3); }
static avi_node *slice_rows(const graph *g) { return avi_slice_rows(g->tape, g->in[0], 1, 3); }
static avi_node *concat(const graph *g) { return avi_concat(g->tape, g->in[0], g->in[1]); }
static avi_node *concat_rows(const graph *g) { return avi_concat_rows(g->tape, g->in[0], g->in[1]); }
static avi_node *repeat(const graph *g) { return avi_repeat(g->tape, g->in[0], g->c->number); }
static avi_node *repeat_columns(const graph *g)
{
    return avi_tape_spread(g->tape, g->in[0], g->in[0]->rows * g->c->number, 18, true);
}

/* ---- rows in segments: one of them is empty ---- */

static const int64_t segment_first[] = {0, 2, 2, 9, 10};
static avi_node *gather_rows(const graph *g)
{
    static const int64_t row[] = {3, 0, 3, 3, 1, 0};
    return avi_gather_rows(g->tape, g->in[0], 6, row);
}
static avi_node *segment_sum(const graph *g) { return avi_segment_sum(g->tape, g->in[0], 4, segment_first); }
static avi_node *segment_mean(const graph *g) { return avi_segment_mean(g->tape, g->in[0], 4, segment_first); }

/* ---- arithmetic ---- */

static avi_node *add(const graph *g) { return avi_add(g->tape, g->in[0], g->in[1]); }
static avi_node *sub(const graph *g) { return avi_sub(g->tape, g->in[0], g->in[1]); }
static avi_node *mul(const graph *g) { return avi_mul(g->tape, g->in[0], g->in[1]); }
static avi_node *mul_self(const graph *g) { return avi_mul(g->tape, g->in[0], g->in[0]); }
static avi_node *add_self(const graph *g) { return avi_add(g->tape, g->in[0], g->in[0]); }
static avi_node *scale(const graph *g) { return avi_scale(g->tape, g->in[0], -1.75, 0.5); }
static avi_node *map(const graph *g) { return avi_map(g->tape, g->in[0], (avi_function)g->c->number); }
static avi_node *row_sum(const graph *g) { return avi_row_sum(g->tape, g->in[0]); }
static avi_node *draw_mean(const graph *g) { return avi_draw_mean(g->tape, g->in[0], g->c->number, NULL); }
static avi_node *draw_weighted(const graph *g)
{
    static const double w[] = {0.5, -2, 0.25};
    return avi_draw_mean(g->tape, g->in[0], 3, w);
}
static avi_node *logsumexp(const graph *g) { return avi_draw_logsumexp(g->tape, g->in[0], g->c->number); }
static avi_node *polynomial(const graph *g) { return avi_polynomial(g->tape, g->in[0], (int)g->c->number); }
static avi_node *affine(const graph *g)
{
    return avi_affine(g->tape, g->in[0], g->in[1], g->c->leaf[2].rows ? g->in[2] : NULL, (avi_activation)g->c->number);
}

static avi_node *activate(const graph *g) { return avi_activate(g->tape, g->in[0], (avi_activation)g->c->number); }

static avi_node *layer_norm(const graph *g) { return avi_layer_norm(g->tape, g->in[0], g->in[1], g->in[2]); }

/* Convolutions by number: strides and pads, channels first and last, a plane of what is missing, a sequence. */
static const avi_convolution *convolution_of(int64_t number)
{
    static const avi_view view[] = {
        {1, 2, 4, 5, 40, 1, 10, 2},  /* channels last */
        {1, 2, 4, 5, 40, 20, 5, 1},  /* channels first */
        {2, 1, 5, 4, 20, 20, 4, 1},  /* with a mask */
        {1, 3, 1, 7, 21, 1, 21, 3},  /* a window of 7 rows of 3 columns */
        {2, 2, 1, 3, 6, 1, 6, 2},    /* a kernel wider than the window */
        {1, 70, 3, 3, 630, 9, 3, 1}, /* many channels */
    };
    static avi_convolution c[sizeof view / sizeof *view];
    const int64_t kernel = number == 4 ? 4 : 3, stride = number == 1 ? 1 : 2;
    if (!avi_convolution_make(&view[number], number == 5 ? 1 : 3, kernel, stride, number == 2 ? AVI_ACT_SILU : AVI_TANH,
                              &c[number]))
        abort();
    return &c[number];
}
static avi_node *convolution(const graph *g)
{
    return avi_convolve(g->tape, g->in[0], g->in[1], g->in[2], convolution_of(g->c->number));
}
static avi_node *transposed(const graph *g)
{
    return avi_convolve_transposed(g->tape, g->in[0], g->in[1], g->in[2], convolution_of(g->c->number));
}

static avi_node *patches(const graph *g)
{
    static avi_convolution c;
    if (!avi_patches_make(&(avi_view){2, 2, 4, 2, 16, 8, 2, 1}, 2, &c)) abort();
    return avi_patches(g->tape, g->in[0], &c);
}
static avi_node *reshape(const graph *g) { return avi_reshape(g->tape, g->in[0], 6, 4); }
/* Segments of 3, 0, 1 and 2 rows, or two of 4. */
static avi_node *attention(const graph *g)
{
    static const int64_t uneven[] = {0, 3, 3, 4, 6}, even[] = {0, 4, 8};
    return g->in[0]->rows == 6 ? avi_attention(g->tape, g->in[0], g->c->number, 4, uneven)
                               : avi_attention(g->tape, g->in[0], g->c->number, 2, even);
}

/* ---- factors and densities ---- */

static avi_node *draw(const graph *g) { return avi_gaussian_draw(g->tape, g->in[0], g->in[1]); }
static avi_node *entropy(const graph *g) { return avi_gaussian_entropy(g->tape, g->in[0]); }
static avi_node *kl_std(const graph *g) { return avi_gaussian_kl_std(g->tape, g->in[0]); }
static avi_node *logq(const graph *g) { return avi_gaussian_logq(g->tape, g->in[0], g->in[1]); }
static avi_node *full_draw(const graph *g) { return avi_gaussian_full_draw(g->tape, g->in[0], g->in[1]); }
static avi_node *full_entropy(const graph *g) { return avi_gaussian_full_entropy(g->tape, g->in[0]); }
static avi_node *full_logq(const graph *g) { return avi_gaussian_full_logq(g->tape, g->in[0], g->in[1]); }
/* log q at a draw of the same factor: both paths into nu. */
static avi_node *logq_of_draw(const graph *g)
{
    return avi_gaussian_logq(g->tape, g->in[0], avi_gaussian_draw(g->tape, g->in[0], g->in[1]));
}
static avi_node *full_logq_of_draw(const graph *g)
{
    return avi_gaussian_full_logq(g->tape, g->in[0], avi_gaussian_full_draw(g->tape, g->in[0], g->in[1]));
}
static avi_node *std_normal(const graph *g) { return avi_std_normal_lpdf(g->tape, g->in[0]); }
static avi_node *normal(const graph *g) { return avi_normal_lpdf(g->tape, g->in[0], g->in[1], g->in[2]); }
static avi_node *normal_sd(const graph *g) { return avi_normal_lpdf_sd(g->tape, g->in[0], g->in[1], 0.7); }
static avi_node *bernoulli(const graph *g) { return avi_bernoulli_logit_lpdf(g->tape, g->in[0], g->in[1]); }
static avi_node *poisson(const graph *g) { return avi_poisson_log_lpdf(g->tape, g->in[0], g->in[1]); }
static avi_node *categorical(const graph *g) { return avi_categorical_logit_lpdf(g->tape, g->in[0], g->in[1]); }

/* ---- a hand-written pair: y = a^2 b, b (1, 1) ---- */

#define CUSTOM_PAIR(real, suffix)                                                                                      \
    static void custom_forward_##suffix(avi_tape *t, avi_node *out)                                                    \
    {                                                                                                                  \
        (void)t;                                                                                                       \
        const real *a = out->in[0]->value, *b = out->in[1]->value;                                                     \
        real *y = out->value;                                                                                          \
        for (int64_t k = 0; k < out->rows * out->cols; k++) y[k] = a[k] * a[k] * b[0];                                 \
    }                                                                                                                  \
    static void custom_backward_##suffix(avi_tape *t, avi_node *out)                                                   \
    {                                                                                                                  \
        const real *a = out->in[0]->value, *b = out->in[1]->value, *g = out->grad;                                     \
        real *da = avi_tape_grad(t, out->in[0]), *db = avi_tape_grad(t, out->in[1]);                                   \
        for (int64_t k = 0; k < out->rows * out->cols; k++) {                                                          \
            if (da) da[k] += 2 * g[k] * a[k] * b[0];                                                                   \
            if (db) db[0] += g[k] * a[k] * a[k];                                                                       \
        }                                                                                                              \
    }
CUSTOM_PAIR(float, f32)
CUSTOM_PAIR(double, f64)

static avi_node *custom(const graph *g)
{
    static const avi_custom_op op = {.name = "square_times",
                                     .forward = {custom_forward_f32, custom_forward_f64},
                                     .backward = {custom_backward_f32, custom_backward_f64}};
    return avi_custom(g->tape, &op, g->in[0]->rows, g->in[0]->cols, 2, g->in, NULL);
}

#define FREE(r, c)                                                                                                     \
    {                                                                                                                  \
        r, c, -2, 2, false, false                                                                                      \
    }
#define WITHIN(r, c, low, high)                                                                                        \
    {                                                                                                                  \
        r, c, low, high, false, false                                                                                  \
    }
#define FIXED(r, c)                                                                                                    \
    {                                                                                                                  \
        r, c, -2, 2, true, false                                                                                       \
    }
#define COUNTS(r, c, high)                                                                                             \
    {                                                                                                                  \
        r, c, 0, high, true, true                                                                                      \
    }

const gradient_case gradient_cases[] = {
    {&avi_op_gather, "three runs out of order", {FREE(8, 5)}, gather, 0},
    {&avi_op_slice, "columns from the middle", {FREE(4, 7)}, slice, 0},
    {&avi_op_slice_rows, "rows from the middle", {FREE(5, 3)}, slice_rows, 0},
    {&avi_op_concat, "two widths", {FREE(4, 3), FREE(4, 18)}, concat, 0},
    {&avi_op_concat, "a constant first", {FIXED(4, 3), FREE(4, 2)}, concat, 0},
    {&avi_op_concat_rows, "2 rows above 5", {FREE(2, 3), FREE(5, 3)}, concat_rows, 0},
    {&avi_op_concat_rows, "below a constant", {FIXED(2, 3), FREE(5, 3)}, concat_rows, 0},
    {&avi_op_spread, "rows repeated", {FREE(3, 5)}, repeat, 4},
    {&avi_op_spread, "rows of one column repeated", {FREE(3, 1)}, repeat, 20},
    {&avi_op_spread, "one column, repeated", {FREE(3, 1)}, repeat_columns, 2},
    {&avi_op_spread, "one column, as many rows", {FREE(3, 1)}, repeat_columns, 1},
    {&avi_op_spread, "cyclic rows", {FREE(6, 5), FREE(2, 5)}, add, 0},
    {&avi_op_spread, "cyclic rows of one column", {FREE(6, 1), FREE(3, 1)}, add, 0},
    {&avi_op_spread, "cyclic rows, one column", {FREE(6, 19), FREE(2, 1)}, mul, 0},
    {&avi_op_spread, "one row", {FREE(6, 5), FREE(1, 5)}, mul, 0},
    {&avi_op_spread, "one value", {FREE(6, 5), FREE(1, 1)}, sub, 0},
    {&avi_op_spread, "one value over a column", {FREE(37, 1), FREE(1, 1)}, mul, 0},
    {&avi_op_gather_rows, "rows more than once", {FREE(4, 5)}, gather_rows, 0},
    {&avi_op_segment_sum, "one empty", {FREE(10, 3)}, segment_sum, 0},
    {&avi_op_segment_sum, "one column", {FREE(10, 1)}, segment_sum, 0},
    {&avi_op_segment_sum, "means", {FREE(10, 19)}, segment_mean, 0},
    {&avi_op_add, "equal shapes", {FREE(4, 5), FREE(4, 5)}, add, 0},
    {&avi_op_add, "a node with itself", {FREE(4, 5)}, add_self, 0},
    {&avi_op_sub, "equal shapes", {FREE(4, 5), FREE(4, 5)}, sub, 0},
    {&avi_op_sub, "from a constant", {FIXED(4, 5), FREE(4, 5)}, sub, 0},
    {&avi_op_mul, "equal shapes", {FREE(4, 5), FREE(4, 5)}, mul, 0},
    {&avi_op_mul, "a node with itself", {FREE(4, 5)}, mul_self, 0},
    {&avi_op_scale, "factor and offset", {FREE(4, 5)}, scale, 0},
    {&avi_op_map, "sin", {FREE(3, 7)}, map, AVI_SIN},
    {&avi_op_map, "cos", {FREE(3, 7)}, map, AVI_COS},
    {&avi_op_map, "exp", {FREE(3, 7)}, map, AVI_EXP},
    {&avi_op_map, "log", {WITHIN(3, 7, 0.7, 3)}, map, AVI_LOG},
    {&avi_op_map, "softplus", {WITHIN(3, 7, -6, 6)}, map, AVI_SOFTPLUS},
    {&avi_op_map, "sigmoid", {WITHIN(3, 7, -6, 6)}, map, AVI_SIGMOID},
    {&avi_op_map, "square", {FREE(3, 7)}, map, AVI_SQUARE},
    {&avi_op_map, "tanh", {FREE(3, 7)}, map, AVI_FN_TANH},
    {&avi_op_row_sum, "35 columns", {FREE(3, 35)}, row_sum, 0},
    {&avi_op_row_sum, "2 columns", {FREE(5, 2)}, row_sum, 0},
    {&avi_op_draw_mean, "4 draws", {FREE(12, 5)}, draw_mean, 4},
    {&avi_op_draw_mean, "40 draws of one column", {FREE(120, 1)}, draw_mean, 40},
    {&avi_op_draw_mean, "2 draws of 70 columns", {FREE(4, 70)}, draw_mean, 2},
    {&avi_op_draw_mean, "weights", {FREE(12, 5)}, draw_weighted, 0},
    {&avi_op_draw_mean, "weights, one column", {FREE(12, 1)}, draw_weighted, 0},
    {&avi_op_draw_logsumexp, "1 draw", {FREE(4, 1)}, logsumexp, 1},
    {&avi_op_draw_logsumexp, "5 draws", {FREE(20, 1)}, logsumexp, 5},
    {&avi_op_draw_logsumexp, "37 draws", {WITHIN(74, 1, -30, 5)}, logsumexp, 37},
    {&avi_op_polynomial, "3 inputs, degree 3", {FREE(5, 3)}, polynomial, 3},
    {&avi_op_polynomial, "1 input, degree 4", {FREE(5, 1)}, polynomial, 4},
    {&avi_op_polynomial, "20 inputs, degree 2", {FREE(3, 20)}, polynomial, 2},
    {&avi_op_affine, "identity", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_IDENTITY},
    {&avi_op_affine, "relu", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_RELU},
    {&avi_op_affine, "leaky relu", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_LEAKY_RELU},
    {&avi_op_affine, "tanh", {FREE(6, 5), WITHIN(7, 5, -0.5, 0.5), FREE(1, 7)}, affine, AVI_TANH},
    {&avi_op_affine, "gelu", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_ACT_GELU},
    {&avi_op_affine, "silu", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_ACT_SILU},
    {&avi_op_affine, "softplus", {FREE(6, 5), FREE(7, 5), FREE(1, 7)}, affine, AVI_ACT_SOFTPLUS},
    {&avi_op_activate, "relu", {FREE(6, 5)}, activate, AVI_RELU},
    {&avi_op_activate, "leaky relu", {FREE(6, 5)}, activate, AVI_LEAKY_RELU},
    {&avi_op_activate, "tanh", {FREE(6, 5)}, activate, AVI_TANH},
    {&avi_op_activate, "gelu", {WITHIN(6, 5, -6, 6)}, activate, AVI_ACT_GELU},
    {&avi_op_activate, "silu", {WITHIN(6, 5, -6, 6)}, activate, AVI_ACT_SILU},
    {&avi_op_activate, "softplus", {WITHIN(6, 5, -6, 6)}, activate, AVI_ACT_SOFTPLUS},
    {NULL, "layer norm", {FREE(4, 7), FREE(1, 7), FREE(1, 7)}, layer_norm, 0},
    {NULL, "layer norm of 37 columns", {FREE(3, 37), FREE(1, 37), FREE(1, 37)}, layer_norm, 0},
    {NULL, "convolution, channels last", {FREE(3, 40), WITHIN(3, 18, -0.3, 0.3), FREE(1, 3)}, convolution, 0},
    {NULL, "convolution, channels first", {FREE(2, 40), WITHIN(3, 18, -0.3, 0.3), FREE(1, 3)}, convolution, 1},
    {NULL, "convolution with a mask", {FREE(2, 40), WITHIN(3, 18, -0.3, 0.3), FREE(1, 3)}, convolution, 2},
    {NULL, "convolution of a window", {FREE(4, 21), WITHIN(3, 9, -0.3, 0.3), FREE(1, 3)}, convolution, 3},
    {NULL, "convolution, wide kernel", {FREE(4, 12), WITHIN(3, 16, -0.3, 0.3), FREE(1, 3)}, convolution, 4},
    {NULL, "convolution of data", {FIXED(3, 40), WITHIN(3, 18, -0.3, 0.3), FREE(1, 3)}, convolution, 0},
    {NULL, "convolution of 70 channels", {FREE(2, 630), WITHIN(1, 630, -0.1, 0.1), FREE(1, 1)}, convolution, 5},
    {NULL, "transposed, channels last", {FREE(3, 18), WITHIN(18, 3, -0.3, 0.3), FREE(1, 2)}, transposed, 0},
    {NULL, "transposed, channels first", {FREE(2, 60), WITHIN(18, 3, -0.3, 0.3), FREE(1, 2)}, transposed, 1},
    {NULL, "transposed to a window", {FREE(4, 12), WITHIN(9, 3, -0.3, 0.3), FREE(1, 3)}, transposed, 3},
    {NULL, "patches", {FREE(2, 32)}, patches, 0},
    {NULL, "attention, 2 heads", {FREE(8, 12)}, attention, 2},
    {NULL, "attention, uneven segments", {FREE(6, 9)}, attention, 1},
    {&avi_op_reshape, "to fewer columns", {FREE(3, 8)}, reshape, 0},
    {&avi_op_affine, "no bias", {FREE(6, 5), FREE(7, 5)}, affine, AVI_IDENTITY},
    {&avi_op_affine, "no bias, relu", {FREE(6, 5), FREE(7, 5)}, affine, AVI_RELU},
    {&avi_op_affine, "data in", {FIXED(6, 5), FREE(1, 5), FREE(1, 1)}, affine, AVI_IDENTITY},
    {&avi_op_gaussian_draw, "1 draw", {FREE(4, 6), FIXED(4, 3)}, draw, 0},
    {&avi_op_gaussian_draw, "3 draws of 19 dimensions", {FREE(2, 38), FIXED(6, 19)}, draw, 0},
    {&avi_op_gaussian_draw, "1 dimension", {FREE(37, 2), FIXED(37, 1)}, draw, 0},
    {&avi_op_gaussian_draw, "20 draws of 1 dimension", {FREE(3, 2), FIXED(60, 1)}, draw, 0},
    {&avi_op_gaussian_entropy, "3 dimensions", {FREE(4, 6)}, entropy, 0},
    {&avi_op_gaussian_entropy, "1 dimension", {FREE(37, 2)}, entropy, 0},
    {&avi_op_gaussian_kl_std, "19 dimensions", {FREE(4, 38)}, kl_std, 0},
    {&avi_op_gaussian_kl_std, "1 dimension", {FREE(37, 2)}, kl_std, 0},
    {&avi_op_gaussian_logq, "1 draw", {WITHIN(4, 6, -1, 1), FREE(4, 3)}, logq, 0},
    {&avi_op_gaussian_logq, "3 draws of 19 dimensions", {WITHIN(2, 38, -1, 1), FREE(6, 19)}, logq, 0},
    {&avi_op_gaussian_logq, "1 dimension", {WITHIN(37, 2, -1, 1), FREE(37, 1)}, logq, 0},
    {&avi_op_gaussian_logq, "5 draws of 1 dimension", {WITHIN(7, 2, -1, 1), FREE(35, 1)}, logq, 0},
    {&avi_op_gaussian_logq, "fixed z", {WITHIN(4, 6, -1, 1), FIXED(8, 3)}, logq, 0},
    {&avi_op_gaussian_logq, "fixed nu", {{4, 6, -1, 1, true, false}, FREE(8, 3)}, logq, 0},
    {&avi_op_gaussian_logq, "at its own draw", {WITHIN(4, 6, -1, 1), FIXED(8, 3)}, logq_of_draw, 0},
    {&avi_op_gaussian_full_draw, "L = 1", {FREE(3, 2), FIXED(6, 1)}, full_draw, 0},
    {&avi_op_gaussian_full_draw, "L = 2", {FREE(3, 5), FIXED(6, 2)}, full_draw, 0},
    {&avi_op_gaussian_full_draw, "L = 3", {FREE(3, 9), FIXED(6, 3)}, full_draw, 0},
    {&avi_op_gaussian_full_draw, "L = 4", {FREE(3, 14), FIXED(3, 4)}, full_draw, 0},
    {&avi_op_gaussian_full_entropy, "L = 1", {FREE(3, 2)}, full_entropy, 0},
    {&avi_op_gaussian_full_entropy, "L = 4", {FREE(3, 14)}, full_entropy, 0},
    {&avi_op_gaussian_full_logq, "L = 1", {WITHIN(3, 2, -1, 1), FREE(6, 1)}, full_logq, 0},
    {&avi_op_gaussian_full_logq, "L = 2", {WITHIN(3, 5, -1, 1), FREE(6, 2)}, full_logq, 0},
    {&avi_op_gaussian_full_logq, "L = 3", {WITHIN(3, 9, -1, 1), FREE(6, 3)}, full_logq, 0},
    {&avi_op_gaussian_full_logq, "L = 4", {WITHIN(3, 14, -1, 1), FREE(3, 4)}, full_logq, 0},
    {&avi_op_gaussian_full_logq, "fixed nu", {{3, 9, -1, 1, true, false}, FREE(6, 3)}, full_logq, 0},
    {&avi_op_gaussian_full_logq, "at its own draw", {WITHIN(3, 9, -1, 1), FIXED(6, 3)}, full_logq_of_draw, 0},
    {&avi_op_std_normal_lpdf, "37 columns", {FREE(4, 37)}, std_normal, 0},
    {&avi_op_std_normal_lpdf, "1 column", {FREE(37, 1)}, std_normal, 0},
    {&avi_op_normal_lpdf, "all of one shape", {FREE(3, 19), FREE(3, 19), WITHIN(3, 19, -1, 1)}, normal, 0},
    {&avi_op_normal_lpdf, "1 column", {FREE(37, 1), FREE(37, 1), WITHIN(37, 1, -1, 1)}, normal, 0},
    {&avi_op_normal_lpdf,
     "x over 2 draws, one log_sd a column",
     {FREE(2, 5), FREE(4, 5), WITHIN(1, 5, -1, 1)},
     normal,
     0},
    {&avi_op_normal_lpdf, "mean and log_sd by draw", {FREE(2, 5), FREE(4, 1), WITHIN(2, 1, -1, 1)}, normal, 0},
    {&avi_op_normal_lpdf, "one number as log_sd", {FIXED(5, 4), FREE(5, 4), WITHIN(1, 1, -1, 1)}, normal, 0},
    {&avi_op_normal_lpdf, "fixed sd", {FREE(2, 19), FREE(6, 19)}, normal_sd, 0},
    {&avi_op_normal_lpdf, "fixed sd, 1 column", {FREE(7, 1), FREE(1, 1)}, normal_sd, 0},
    {&avi_op_bernoulli_logit_lpdf, "37 columns, 2 draws", {WITHIN(2, 37, 0, 1), WITHIN(4, 37, -8, 8)}, bernoulli, 0},
    {&avi_op_bernoulli_logit_lpdf, "1 column", {WITHIN(37, 1, 0, 1), WITHIN(37, 1, -8, 8)}, bernoulli, 0},
    {&avi_op_bernoulli_logit_lpdf, "bits", {COUNTS(4, 16, 2), WITHIN(4, 16, -8, 8)}, bernoulli, 0},
    {&avi_op_poisson_log_lpdf, "19 columns, 2 draws", {COUNTS(2, 19, 9), FREE(4, 19)}, poisson, 0},
    {&avi_op_poisson_log_lpdf, "1 column, large counts", {COUNTS(37, 1, 200), WITHIN(37, 1, 0, 4)}, poisson, 0},
    {&avi_op_categorical_logit_lpdf, "5 classes, 3 draws", {COUNTS(2, 1, 5), FREE(6, 5)}, categorical, 0},
    {&avi_op_categorical_logit_lpdf, "37 classes", {COUNTS(3, 1, 37), FREE(3, 37)}, categorical, 0},
    {NULL, "custom", {FREE(4, 5), FREE(1, 1)}, custom, 0},
};
const int gradient_case_count = (int)(sizeof gradient_cases / sizeof gradient_cases[0]);
