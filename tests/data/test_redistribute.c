/* Rows go from slabs to their owners and back, for partitions with and without empty ranks. The expected byte of a row
 * is a formula in its given number. */
#include "data_support.h"

static unsigned char byte_of(int64_t given, size_t column)
{
    return (unsigned char)((uint64_t)given * 131 + (uint64_t)given / 7 + column * 17 + column / 256);
}

static void check_rows(const unsigned char *rows, size_t row_bytes, int64_t first, int64_t count,
                       const avi_partition *p)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t given = p ? avi_partition_original(p, first + i) : first + i;
        for (size_t c = 0; c<row_bytes; c += row_bytes> 4096 ? 997 : 1)
            assert_int_equal(rows[(size_t)i * row_bytes + c], byte_of(given, c));
    }
}

static void round_trip(int64_t rows, int64_t tile, int64_t lanes, size_t row_bytes, bool shuffled)
{
    avi_partition p;
    assert_int_equal(avi_partition_make(rows, tile, lanes, P, 11, shuffled, &p), AVI_OK);
    const int64_t slab_first = avi_slab_first(rows, P, self),
                  slab_rows = avi_slab_first(rows, P, self + 1) - slab_first;
    const int64_t own_first = avi_partition_first_row(&p, self),
                  own_rows = avi_partition_first_row(&p, self + 1) - own_first;
    unsigned char *slab = malloc((size_t)slab_rows * row_bytes + 1), *owned = malloc((size_t)own_rows * row_bytes + 1);
    assert_non_null(slab);
    assert_non_null(owned);
    for (int64_t i = 0; i < slab_rows; i++)
        for (size_t c = 0; c < row_bytes; c++) slab[(size_t)i * row_bytes + c] = byte_of(slab_first + i, c);
    memset(owned, 0, (size_t)own_rows * row_bytes + 1);
    owned[(size_t)own_rows * row_bytes] = 99; /* a guard behind the last row */
    assert_int_equal(avi_partition_to_owner(&p, world, row_bytes, slab, owned), AVI_OK);
    check_rows(owned, row_bytes, own_first, own_rows, &p);
    assert_int_equal(owned[(size_t)own_rows * row_bytes], 99);
    memset(slab, 0, (size_t)slab_rows * row_bytes + 1);
    slab[(size_t)slab_rows * row_bytes] = 99;
    assert_int_equal(avi_partition_to_given(&p, world, row_bytes, owned, slab), AVI_OK);
    check_rows(slab, row_bytes, slab_first, slab_rows, NULL);
    assert_int_equal(slab[(size_t)slab_rows * row_bytes], 99);
    free(slab);
    free(owned);
}

static void small_partitions(void **state)
{
    (void)state;
    const int64_t rows[] = {1, 2, 5, 100, 1013}, tiles[] = {1, 4, 64}, lanes[] = {1, 2, 3, 50};
    for (int a = 0; a < 5; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++) {
                round_trip(rows[a], tiles[b], lanes[c], 1, true);
                round_trip(rows[a], tiles[b], lanes[c], 24, true);
                round_trip(rows[a], tiles[b], lanes[c], 13, false);
            }
}

/* More than one piece a rank: rows of 3 MiB, and all of them on one rank (one lane). */
static void many_pieces(void **state)
{
    (void)state;
    const size_t row_bytes = 3 * 1048576 + 5;
    round_trip(20, 2, 1, row_bytes, true);
    round_trip(20, 2, 10, row_bytes, true);
    round_trip(17, 3, 1, row_bytes, false);
}

/* A row that is larger than a piece. */
static void huge_rows(void **state)
{
    (void)state;
    round_trip(3, 1, 3, 17 * 1048576, true);
}

/* Windows of given rows, of other sizes on other ranks and empty ones between them, of several arrays at once. */
static void pull_all(int64_t rows, int64_t tile, int64_t lanes, size_t row_bytes, int columns, int64_t most,
                     bool shuffled)
{
    avi_partition p;
    avi_file_order *pull;
    assert_int_equal(avi_partition_make(rows, tile, lanes, P, 11, shuffled, &p), AVI_OK);
    const int64_t own_first = avi_partition_first_row(&p, self),
                  own = avi_partition_first_row(&p, self + 1) - own_first;
    unsigned char *owned[3], *window[3];
    void *out[3];
    for (int k = 0; k < columns; k++) {
        owned[k] = malloc((size_t)own * row_bytes + 1);
        window[k] = out[k] = malloc((size_t)most * row_bytes + 1);
        assert_true(owned[k] && window[k]);
        for (int64_t i = 0; i < own; i++)
            for (size_t c = 0; c < row_bytes; c++)
                owned[k][(size_t)i * row_bytes + c] =
                    (unsigned char)(byte_of(avi_partition_original(&p, own_first + i), c) + k);
    }
    assert_int_equal(avi_file_order_create(&p, world, row_bytes, columns, (const void *const *)out, most, &pull),
                     AVI_OK);
    avi_file_order_destroy(&pull);
    assert_null(pull);
    assert_int_equal(avi_file_order_create(&p, world, row_bytes, columns, (const void *const *)owned, most, &pull),
                     AVI_OK);
    for (int64_t round = 0; round < 5; round++) {
        const int64_t first = (int64_t)(avi_mix64((uint64_t)round, (uint64_t)self) % (uint64_t)rows);
        int64_t count = (round + self) % 3 == 2 ? 0 : most;
        if (count > rows - first) count = rows - first;
        for (int k = 0; k < columns; k++) window[k][(size_t)count * row_bytes] = 99;
        assert_int_equal(avi_file_order_rows(pull, first, count, out), AVI_OK);
        for (int k = 0; k < columns; k++) {
            for (size_t i = 0; i < (size_t)count * row_bytes; i++) window[k][i] = (unsigned char)(window[k][i] - k);
            check_rows(window[k], row_bytes, first, count, NULL);
            assert_int_equal(window[k][(size_t)count * row_bytes], 99);
        }
    }
    avi_file_order_destroy(&pull);
    for (int k = 0; k < columns; k++) free(owned[k]), free(window[k]);
}

static void windows(void **state)
{
    (void)state;
    const int64_t rows[] = {1, 5, 100, 1013}, lanes[] = {1, 3, 50};
    const size_t bytes[] = {1, 8, 16, 24};
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++)
                for (int columns = 1; columns <= 3; columns++) {
                    pull_all(rows[a], 4, lanes[b], bytes[c], columns, 37, true);
                    pull_all(rows[a], 4, lanes[b], bytes[c], columns, 2000, true);
                    pull_all(rows[a], 4, lanes[b], bytes[c], columns, 37, false);
                }
}

static void refusals(void **state)
{
    (void)state;
    avi_partition p;
    unsigned char byte = 0;
    assert_int_equal(avi_partition_make(10, 1, 10, P + 1, 1, true, &p), AVI_OK);
    assert_int_equal(avi_partition_to_owner(&p, world, 1, &byte, &byte), AVI_ERR_INTERNAL);
    avi_file_order *pull = NULL;
    const void *owned = &byte;
    assert_int_equal(avi_file_order_create(&p, world, 1, 1, &owned, 5, &pull), AVI_ERR_INTERNAL);
    assert_null(pull);
    avi_error_clear();
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_partitions), cmocka_unit_test(many_pieces), cmocka_unit_test(huge_rows),
        cmocka_unit_test(windows),          cmocka_unit_test(refusals),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
