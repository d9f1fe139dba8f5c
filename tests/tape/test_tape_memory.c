/* Memory of the tape: nothing is allocated once the shape of a round is known, and memory that runs out is a status.
 * The linker sends the library's allocations through the functions below (tests.cmake: --wrap). */
#include "avi/rng.h"
#include "avi/tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int allocations;
static size_t refuse_from; /* blocks of this many bytes and more are refused to the arena; 0: none */

/* Names that the linker asks for. */
/* NOLINTBEGIN(cert-dcl37-c,cert-dcl51-cpp) */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);

void *__wrap_malloc(size_t bytes) { return allocations++, __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return allocations++, __real_calloc(count, bytes); }
void *__wrap_realloc(void *old, size_t bytes) { return allocations++, __real_realloc(old, bytes); }
void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    allocations++;
    return refuse_from && bytes >= refuse_from ? NULL : __real_aligned_alloc(align, bytes);
}
/* NOLINTEND(cert-dcl37-c,cert-dcl51-cpp) */

enum { ROWS = 256, LATENT = 20, WIDTH = 784, PIXELS = ROWS * WIDTH, NOISE = ROWS * LATENT, WEIGHTS = LATENT * WIDTH };

static struct {
    float x[PIXELS], eps[NOISE], w1[2 * WEIGHTS], w2[WEIGHTS], g1[2 * WEIGHTS], g2[WEIGHTS];
} a;

static void fill(void)
{
    avi_normal_f32(avi_stream_make(1, AVI_DRAW_TEST, 0), 0, 1, 0, PIXELS, a.x);
    for (int k = 0; k < PIXELS; k++) a.x[k] = a.x[k] > 0;
    avi_normal_f32(avi_stream_make(1, AVI_DRAW_TEST, 1), 0, 1, 0, NOISE, a.eps);
    avi_normal_f32(avi_stream_make(1, AVI_DRAW_TEST, 2), 0, 1, 0, (int64_t)2 * WEIGHTS, a.w1);
    avi_normal_f32(avi_stream_make(1, AVI_DRAW_TEST, 3), 0, 1, 0, WEIGHTS, a.w2);
    for (int k = 0; k < 2 * WEIGHTS; k++) a.w1[k] *= 0.01f;
}

/* An encoder, a draw, a decoder: the ELBO of a tile. */
static double round_of(avi_tape *t)
{
    avi_tape_reset(t);
    avi_node *x = avi_constant(t, ROWS, WIDTH, a.x);
    avi_node *nu = avi_affine(t, x, avi_parameter(t, (int64_t)2 * LATENT, WIDTH, a.w1, a.g1), NULL, AVI_IDENTITY);
    avi_node *z = avi_gaussian_draw(t, nu, avi_constant(t, ROWS, LATENT, a.eps));
    avi_node *logits = avi_affine(t, z, avi_parameter(t, WIDTH, LATENT, a.w2, a.g2), NULL, AVI_IDENTITY);
    avi_node *elbo = avi_sub(t, avi_bernoulli_logit_lpdf(t, x, logits), avi_gaussian_kl_std(t, nu));
    avi_tape_backward(t, elbo, 1.0 / ROWS);
    double sum = 0;
    for (int r = 0; r < ROWS; r++) sum += avi_vector_get(AVI_PRECISION_SINGLE, elbo->value, r);
    return sum;
}

static void two_rounds_are_all_it_takes(void **state)
{
    (void)state;
    fill();
    avi_tape *t = avi_tape_create(AVI_PRECISION_SINGLE);
    assert_non_null(t);
    const double first = round_of(t);
    round_of(t);
    const size_t peak = avi_tape_peak(t);
    assert_true(peak > (size_t)2 * ROWS * WIDTH * sizeof(float));
    allocations = 0;
    for (int i = 0; i < 5; i++) assert_true(round_of(t) == first);
    assert_int_equal(allocations, 0);
    assert_int_equal(avi_tape_peak(t), peak);
    assert_int_equal(avi_tape_status(t), AVI_OK);
    avi_tape_destroy(&t);
}

/* The counter counts: a first round does allocate. */
static void the_counter_counts(void **state)
{
    (void)state;
    avi_tape *t = avi_tape_create(AVI_PRECISION_SINGLE);
    assert_non_null(t);
    allocations = 0;
    round_of(t);
    assert_true(allocations > 0);
    avi_tape_destroy(&t);
}

static void memory_that_runs_out_is_a_status(void **state)
{
    (void)state;
    avi_tape *t = avi_tape_create(AVI_PRECISION_SINGLE);
    assert_non_null(t);
    refuse_from = (size_t)ROWS * WIDTH * sizeof(float);
    round_of(t);
    assert_int_equal(avi_tape_status(t), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "smaller tile"));
    refuse_from = 0;
    avi_error_clear();
    round_of(t);
    assert_int_equal(avi_tape_status(t), AVI_OK);
    avi_tape_destroy(&t);
    refuse_from = (size_t)1 << 20;
    assert_null(avi_tape_create(AVI_PRECISION_SINGLE));
    refuse_from = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_rounds_are_all_it_takes),
        cmocka_unit_test(the_counter_counts),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
