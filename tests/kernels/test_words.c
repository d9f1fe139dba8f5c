/* Random words: the known answers of Random123 1.14 (tests/kat_vectors), the panels against Random123 itself, uniforms.
 */
#include "avi/rng.h"
#include "base/philox.h"

#include <Random123/philox.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void known_answers(void **state)
{
    (void)state;
    static const uint32_t kat[3][10] = {
        /* counter, key, words: lines "philox4x32 10" */
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (int k = 0; k < 3; k++) {
        const uint32_t *c = kat[k];
        avi_stream s = {.key = {c[4], c[5]}, .step = (uint64_t)c[3] << 32 | c[2]};
        uint32_t w[4];
        avi_words(s, c[0], c[1], w); /* row below 2^32: the block is the whole second word */
        for (int j = 0; j < 4; j++) assert_int_equal(w[j], c[6 + j]);
    }
}

static void high_bits_of_the_row(void **state)
{
    (void)state;
    avi_stream s = avi_stream_make(9, AVI_DRAW_TEST, UINT64_C(0x123456789abc));
    uint32_t w[4];
    avi_words(s, (UINT64_C(0xa5) << 32) + 77, 0x00123456, w);
    philox4x32_ctr_t c = {{77, 0xa5123456, 0x56789abc, 0x1234}}, r;
    philox4x32_key_t k = {{s.key[0], s.key[1]}};
    r = philox4x32_R(10, c, k);
    for (int j = 0; j < 4; j++) assert_int_equal(w[j], r.v[j]);
}

static void panels_are_random123(void **state)
{
    (void)state;
    enum { N = 4096, SIDE = 64 };
    static uint32_t w[4][N], before[2][N];
    uint64_t seed = 5, step[N / SIDE];
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < N; i++) before[j][i] = w[j][i] = (uint32_t)(seed = avi_mix64(seed, (uint64_t)i));
    const uint32_t key[2] = {0xdeadbeef, 0x80000001};
    for (int i = 0; i < N; i += SIDE)
        philox_words(w[0] + i, w[1] + i, w[2] + i, w[3] + i, SIDE, step[i / SIDE] = avi_mix64(seed, (uint64_t)i), key);
    for (int i = 0; i < N; i++) {
        const uint64_t s = step[i / SIDE];
        philox4x32_ctr_t c = {{before[0][i], before[1][i], (uint32_t)s, (uint32_t)(s >> 32)}};
        philox4x32_key_t k = {{key[0], key[1]}};
        c = philox4x32_R(10, c, k);
        for (int j = 0; j < 4; j++) assert_int_equal(w[j][i], c.v[j]);
    }
}

static void streams_differ(void **state)
{
    (void)state;
    avi_stream a = avi_stream_make(1, AVI_DRAW_LOCAL, 0), b = avi_stream_make(1, AVI_DRAW_GLOBAL, 0),
               c = avi_stream_make(2, AVI_DRAW_LOCAL, 0), d = avi_stream_make(1, AVI_DRAW_LOCAL, 1);
    assert_true(a.key[0] != b.key[0] && a.key[1] != b.key[1] && a.key[0] != c.key[0] && a.key[1] != c.key[1]);
    uint32_t wa[4], wd[4];
    avi_words(a, 0, 0, wa);
    avi_words(d, 0, 0, wd);
    assert_true(wa[0] != wd[0]);
    assert_true(avi_mix64(0, 0) != 0 && avi_mix64(1, 2) != avi_mix64(2, 1) && avi_mix64(0, 1) != avi_mix64(1, 0));
}

static void uniforms(void **state)
{
    (void)state;
    enum { ROWS = 1000, COLS = 101 };
    static double u[ROWS * COLS], part[3 * 7];
    avi_stream s = avi_stream_make(3, AVI_DRAW_TEST, 4);
    avi_uniform_f64(s, 10, ROWS, 0, COLS, u);
    double mean = 0, square = 0;
    for (int i = 0; i < ROWS * COLS; i++) {
        assert_true(u[i] > 0 && u[i] < 1);
        mean += u[i] / (ROWS * COLS);
        square += u[i] * u[i] / (ROWS * COLS);
    }
    assert_true(fabs(mean - 0.5) < 4 * sqrt(1 / 12.0 / (ROWS * COLS)));
    assert_true(fabs(square - 1 / 3.0) < 4 * sqrt(4 / 45.0 / (ROWS * COLS)));
    avi_uniform_f64(s, 15, 3, 6, 7, part);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 7; j++) assert_true(part[i * 7 + j] == u[(5 + i) * COLS + 6 + j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(high_bits_of_the_row),
        cmocka_unit_test(panels_are_random123),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(uniforms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
