/* Layers and their gradients against PyTorch, in both precisions, and tile by tile as reproducible sums take them. */
#include "avi/nn.h"
#include "nn/onednn.h"
#include "tape/gradient_sink.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct layer_case {
    const char *label, *layer, *activation;
    int64_t rows;
    int64_t size[8]; /* in, out; or planes, channels, height, width, channels last, small channels, kernel, stride */
    const double *x, *weight, *bias, *g, *y, *dx, *dweight, *dbias;
} layer_case;

#include "reference_layers.h"

enum { CASES = sizeof layer_cases / sizeof *layer_cases, MOST = 16384 };

/* What a layer makes of its inputs, in double. */
typedef struct outcome {
    double y[MOST], dx[MOST], dweight[MOST], dbias[MOST];
} outcome;

static bool is(const layer_case *c, const char *layer) { return !strcmp(c->layer, layer); }

static bool has_image(const layer_case *c) { return is(c, "convolution") || is(c, "transposed"); }

static avi_convolution convolution_of(const layer_case *c)
{
    const int64_t *s = c->size;
    const avi_shape data = {.width = s[1] * s[2] * s[3], .height = s[2], .channels = s[1], .channels_last = s[4] != 0};
    avi_view view = avi_view_of(&data);
    avi_convolution made;
    view.planes = s[0];
    assert_true(avi_convolution_make(&view, s[5], s[6], s[7], avi_activation_find(c->activation), &made));
    return made;
}

typedef struct sizes {
    int64_t in, out, weight_rows, weight_cols, bias;
} sizes;

static sizes sizes_of(const layer_case *c, const avi_convolution *made)
{
    const int64_t in = c->size[0], out = c->size[1];
    if (is(c, "dense")) return (sizes){in, out, out, in, out};
    if (is(c, "layer_norm")) return (sizes){in, out, 1, in, in};
    if (is(c, "attention")) return (sizes){3 * in, in, in, in, in};
    const int64_t image = avi_view_values(&made->image), small = avi_convolution_values(made),
                  patch = avi_convolution_patch(made);
    if (is(c, "convolution")) return (sizes){image, small, made->channels, patch, made->channels};
    return (sizes){small, image, patch, made->channels, made->image.channels};
}

static void *as_real(avi_tape *t, const double *values, int64_t n)
{
    void *made = avi_tape_alloc(t, n);
    avi_vector_from_double(avi_tape_precision(t), values, n, made);
    return made;
}

/* Root whose gradient by y is g: the sum over columns of g y. */
static avi_node *root_of(avi_tape *t, avi_node *y, const double *g)
{
    return avi_row_sum(t, avi_mul(t, y, avi_constant(t, y->rows, y->cols, as_real(t, g, y->rows * y->cols))));
}

static avi_node *layer_of(const layer_case *c, avi_tape *t, const avi_convolution *made, avi_node *x, avi_node *weight,
                          avi_node *bias)
{
    if (is(c, "dense")) return avi_affine(t, x, weight, bias, avi_activation_find(c->activation));
    if (is(c, "layer_norm")) return avi_layer_norm(t, x, weight, bias);
    if (is(c, "attention")) {
        int64_t *first = avi_tape_alloc(t, 6);
        memcpy(first, (int64_t[]){0, c->rows - 1, c->rows}, 3 * sizeof *first);
        return avi_affine(t, avi_attention(t, x, c->size[1], 2, first), weight, bias, AVI_IDENTITY);
    }
    return is(c, "convolution") ? avi_convolve(t, x, weight, bias, made)
                                : avi_convolve_transposed(t, x, weight, bias, made);
}

/* ---- gradients that are added up where the leaf says ---- */

static void run(const layer_case *c, avi_precision p, outcome *o)
{
    avi_tape *t = avi_tape_create(p);
    avi_convolution made;
    if (has_image(c)) made = convolution_of(c);
    const sizes s = sizes_of(c, &made);
    const int64_t n[3] = {c->rows * s.in, s.weight_rows * s.weight_cols, s.bias};
    const int64_t rows[3] = {c->rows, s.weight_rows, 1};
    const double *const from[3] = {c->x, c->weight, c->bias};
    double *const to[3] = {o->dx, o->dweight, o->dbias};
    avi_node *leaf[3];
    for (int i = 0; i < 3; i++) {
        void *grad = avi_tape_alloc(t, n[i]);
        assert_true(n[i] <= MOST);
        memset(grad, 0, (size_t)n[i] * avi_real_size(p));
        leaf[i] = avi_parameter(t, rows[i], n[i] / rows[i], as_real(t, from[i], n[i]), grad);
    }
    avi_node *y = layer_of(c, t, &made, leaf[0], leaf[1], leaf[2]);
    assert_int_equal(y->cols, s.out);
    avi_vector_to_double(p, y->value, c->rows * s.out, o->y);
    avi_tape_backward(t, root_of(t, y, c->g), 1);
    assert_int_equal(avi_tape_status(t), AVI_OK);
    for (int i = 0; i < 3; i++) avi_vector_to_double(p, leaf[i]->grad, n[i], to[i]);
    avi_tape_destroy(&t);
}

static void compare(const layer_case *c, const char *what, const double *got, const double *want, int64_t n,
                    double bound)
{
    for (int64_t k = 0; k < n; k++)
        if (!(fabs(got[k] - want[k]) <= bound * (1 + fabs(want[k]))))
            fail_msg("%s: %s[%lld] is %.15g, not %.15g", c->label, what, (long long)k, got[k], want[k]);
}

static void layers_are_those_of_pytorch(void **state)
{
    (void)state;
    static outcome o;
    for (int i = 0; i < CASES; i++)
        for (int p = 0; p < 2; p++) {
            const layer_case *c = &layer_cases[i];
            const double bound = p == AVI_PRECISION_DOUBLE ? 1e-14 : 4e-6;
            avi_convolution made;
            if (has_image(c)) made = convolution_of(c);
            const sizes s = sizes_of(c, &made);
            run(c, (avi_precision)p, &o);
            compare(c, "y", o.y, c->y, c->rows * s.out, bound);
            compare(c, "gradient by x", o.dx, c->dx, c->rows * s.in, bound);
            compare(c, "gradient by weight", o.dweight, c->dweight, s.weight_rows * s.weight_cols, bound);
            compare(c, "gradient by bias", o.dbias, c->dbias, s.bias, bound);
        }
}

/* ---- tile by tile ---- */

typedef struct taken {
    double value[2 * MOST];
    int calls;
} taken;

static void take_values(void *context, int64_t place, int64_t n, const void *gradient)
{
    taken *k = context;
    k->calls++;
    for (int64_t i = 0; i < n; i++) k->value[place + i] += ((const double *)gradient)[i];
}

static void take_products(void *context, int64_t place, int count, const avi_product *p)
{
    (void)context, (void)place, (void)count, (void)p;
    fail_msg("a weight of few values goes as values");
}

/* Two tiles of different sizes: the first row by itself, then the others. */
static void layers_know_the_tiles_of_their_rows(void **state)
{
    (void)state;
    static taken got;
    static double gradient[2 * MOST];
    for (int i = 0; i < CASES; i++) {
        const layer_case *c = &layer_cases[i];
        const int64_t rows[2] = {1, c->rows - 1};
        const avi_gradient_sink sink = {.gradient = gradient,
                                        .tiles = 2,
                                        .rows = rows,
                                        .values = take_values,
                                        .products = take_products,
                                        .context = &got};
        avi_convolution made;
        if (has_image(c)) made = convolution_of(c);
        const sizes s = sizes_of(c, &made);
        avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
        got = (taken){0};
        avi_tape_set_sink(t, &sink);
        avi_node *weight = avi_parameter_in_sink(t, s.weight_rows, s.weight_cols, c->weight, 0),
                 *bias = avi_parameter_in_sink(t, 1, s.bias, c->bias, MOST);
        avi_node *y = layer_of(c, t, &made, avi_constant(t, c->rows, s.in, c->x), weight, bias);
        avi_tape_backward(t, root_of(t, y, c->g), 1);
        assert_false(avi_tape_end_sink(t));
        assert_int_equal(got.calls, 4);
        compare(c, "y by tiles", y->value, c->y, c->rows * s.out, 1e-14);
        compare(c, "gradient by weight, by tiles", got.value, c->dweight, s.weight_rows * s.weight_cols, 1e-14);
        compare(c, "gradient by bias, by tiles", got.value + MOST, c->dbias, s.bias, 1e-14);
        avi_tape_destroy(&t);
    }
}

/* ---- by oneDNN ---- */

enum { ROWS = 37 /* of which 16 and 16 go to the gradients of weights together, and 5 are left */ };

/* Two layers that oneDNN takes in single precision. */
static layer_case wide_case(int transposed)
{
    static double values[4][MOST];
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < MOST; k++) values[i][k] = sin(1.7 * k + i);
    const char *layer = transposed ? "transposed" : "convolution";
    return (layer_case){.label = layer,
                        .layer = layer,
                        .activation = "tanh",
                        .rows = ROWS,
                        .size = {1, 16, 4, 4, 1, 16, 3, 1},
                        .x = values[0],
                        .weight = values[1],
                        .bias = values[2],
                        .g = values[3]};
}

/* Against double precision, whose GEMM is held against PyTorch above. Twice, since nothing of the first run must be in
 * the second. */
static void single_precision_is_that_of_double(void **state)
{
    (void)state;
    static outcome exact, first, second;
    for (int i = 0; i < 2; i++) {
        const layer_case c = wide_case(i);
        const avi_convolution made = convolution_of(&c);
        const sizes s = sizes_of(&c, &made);
        run(&c, AVI_PRECISION_DOUBLE, &exact);
        run(&c, AVI_PRECISION_SINGLE, &first);
        run(&c, AVI_PRECISION_SINGLE, &second);
        compare(&c, "y", first.y, exact.y, ROWS * s.out, 2e-5);
        compare(&c, "gradient by x", first.dx, exact.dx, ROWS * s.in, 2e-4);
        compare(&c, "gradient by weight", first.dweight, exact.dweight, s.weight_rows * s.weight_cols, 2e-4);
        compare(&c, "gradient by bias", first.dbias, exact.dbias, s.bias, 2e-4);
        assert_memory_equal(&first, &second, sizeof first);
    }
}

/* run.reproducible stands on this: a row has the same bits beside any others, whatever code oneDNN takes. */
static void rows_are_the_same_in_any_company(void **state)
{
    (void)state;
    static outcome all, one;
    for (int i = 0; i < 2; i++) {
        layer_case c = wide_case(i);
        const avi_convolution made = convolution_of(&c);
        const sizes s = sizes_of(&c, &made);
        if (!avi_onednn_of(&made, i)) skip(); /* built without oneDNN, or it has no code for this processor */
        run(&c, AVI_PRECISION_SINGLE, &all);
        c.rows = 1;
        for (int64_t r = 0; r < ROWS; r++, c.x += s.in, c.g += s.out) {
            run(&c, AVI_PRECISION_SINGLE, &one);
            assert_memory_equal(one.y, all.y + r * s.out, (size_t)s.out * sizeof *one.y);
            assert_memory_equal(one.dx, all.dx + r * s.in, (size_t)s.in * sizeof *one.dx);
        }
    }
}

/* gelu over its range against the error function of the C library. */
static void gelu_is_right_everywhere(void **state)
{
    (void)state;
    enum { VALUES = 8001 };
    static double x[VALUES], y[VALUES];
    for (int i = 0; i < VALUES; i++) x[i] = (i - VALUES / 2) / 100.0;
    for (int p = 0; p < 2; p++) {
        avi_tape *t = avi_tape_create((avi_precision)p);
        avi_node *a = avi_constant(t, VALUES, 1, as_real(t, x, VALUES));
        avi_vector_to_double((avi_precision)p, avi_activate(t, a, AVI_ACT_GELU)->value, VALUES, y);
        for (int i = 0; i < VALUES; i++) {
            const double seen = p == AVI_PRECISION_DOUBLE ? x[i] : (double)(float)x[i],
                         want = 0.5 * seen * erfc(-seen / sqrt(2.0)), unit = p == AVI_PRECISION_DOUBLE ? 1e-15 : 5e-7;
            if (!(fabs(y[i] - want) <= unit * (1 + fabs(seen))))
                fail_msg("gelu(%g) is %.17g, not %.17g", seen, y[i], want);
        }
        avi_tape_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_those_of_pytorch),      cmocka_unit_test(layers_know_the_tiles_of_their_rows),
        cmocka_unit_test(rows_are_the_same_in_any_company), cmocka_unit_test(single_precision_is_that_of_double),
        cmocka_unit_test(gelu_is_right_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
