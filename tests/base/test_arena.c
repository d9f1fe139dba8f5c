/* The arena: alignment, no overlap, one block after the first round. */
#include "avi/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 50 };

/* 0, 37, 74, ... bytes: none a multiple of the alignment but the first. */
static size_t piece_bytes(int i) { return (size_t)i * 37; }
static size_t rounded(size_t bytes) { return bytes == 0 ? 64 : (bytes + 63) / 64 * 64; }

static void fill(avi_arena *arena, unsigned char *piece[PIECES])
{
    for (int i = 0; i < PIECES; i++) {
        piece[i] = avi_arena_alloc(arena, piece_bytes(i));
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 64, 0);
        memset(piece[i], i, piece_bytes(i));
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t k = 0; k < piece_bytes(i); k++) assert_int_equal(piece[i][k], i);
}

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    for (size_t first = 0; first <= 100000; first = first * 10 + 100) {
        avi_arena *arena = avi_arena_create(first);
        assert_non_null(arena);
        unsigned char *piece[PIECES];
        fill(arena, piece);
        avi_arena_destroy(&arena);
        assert_null(arena);
    }
}

/* From the second round on, allocation is an addition in one block: same addresses in every round, without gaps. */
static void after_a_reset_it_is_one_block(void **state)
{
    (void)state;
    avi_arena *arena = avi_arena_create(64);
    assert_non_null(arena);
    unsigned char *first[PIECES], *second[PIECES], *third[PIECES];
    fill(arena, first);
    avi_arena_reset(arena);
    fill(arena, second);
    avi_arena_reset(arena);
    fill(arena, third);
    for (int i = 0; i < PIECES; i++) assert_ptr_equal(second[i], third[i]);
    for (int i = 0; i + 1 < PIECES; i++) assert_int_equal(second[i + 1] - second[i], rounded(piece_bytes(i)));
    avi_arena_destroy(&arena);
}

static void the_peak_is_the_largest_round(void **state)
{
    (void)state;
    avi_arena *arena = avi_arena_create(1000);
    assert_non_null(arena);
    assert_int_equal(avi_arena_peak(arena), 0);
    assert_non_null(avi_arena_alloc(arena, 100)); /* 128 */
    assert_non_null(avi_arena_alloc(arena, 1));   /* 64 */
    assert_int_equal(avi_arena_peak(arena), 192);
    avi_arena_reset(arena);
    assert_int_equal(avi_arena_peak(arena), 192);
    assert_non_null(avi_arena_alloc(arena, 64));
    assert_int_equal(avi_arena_peak(arena), 192);
    assert_non_null(avi_arena_alloc(arena, 6400));
    assert_int_equal(avi_arena_peak(arena), 6464);
    avi_arena_destroy(&arena);
}

static void too_much_is_refused_and_the_rest_goes_on(void **state)
{
    (void)state;
    assert_null(avi_arena_create(SIZE_MAX));
    avi_arena *arena = avi_arena_create(128);
    assert_non_null(arena);
    unsigned char *before = avi_arena_alloc(arena, 10);
    assert_non_null(before);
    memset(before, 7, 10);
    assert_null(avi_arena_alloc(arena, SIZE_MAX));
    assert_null(avi_arena_alloc(arena, SIZE_MAX / 2));
    assert_non_null(avi_arena_alloc(arena, 1000));
    assert_int_equal(before[9], 7);
    assert_int_equal(avi_arena_peak(arena), 64 + 1024);
    avi_arena_destroy(&arena);
}

static void destroying_nothing_is_fine(void **state)
{
    (void)state;
    avi_arena *none = NULL;
    avi_arena_destroy(&none);
    avi_arena_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),  cmocka_unit_test(after_a_reset_it_is_one_block),
        cmocka_unit_test(the_peak_is_the_largest_round), cmocka_unit_test(too_much_is_refused_and_the_rest_goes_on),
        cmocka_unit_test(destroying_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
