/* The closed formulas of avi/partition.h against counting one by one. */
#include "data_support.h"

static const int64_t rows_tried[] = {1, 2, 7, 10, 64, 129, 1000};
static const int64_t tiles_tried[] = {1, 3, 8, 64, 2000};
static const int64_t lanes_tried[] = {1, 2, 5, 8, 100};
static const int ranks_tried[] = {1, 2, 3, 4, 7, 64};
#define LENGTH(a) ((int)(sizeof(a) / sizeof((a)[0])))

/* Calls `check` for every combination. */
static void each_partition(void (*check)(const avi_partition *p))
{
    for (int a = 0; a < LENGTH(rows_tried); a++)
        for (int b = 0; b < LENGTH(tiles_tried); b++)
            for (int c = 0; c < LENGTH(lanes_tried); c++)
                for (int d = 0; d < LENGTH(ranks_tried); d++)
                    for (int shuffled = 0; shuffled < 2; shuffled++) {
                        avi_partition p;
                        assert_int_equal(avi_partition_make(rows_tried[a], tiles_tried[b], lanes_tried[c],
                                                            ranks_tried[d], 5, shuffled, &p),
                                         AVI_OK);
                        check(&p);
                    }
}

/* Ranks, lanes and tiles are runs that follow each other; sizes of neighbours' shares differ by one at most. */
static void check_ownership(const avi_partition *p)
{
    assert_true(p->lanes >= 1 && p->lanes <= p->tiles);
    assert_true(p->tiles * p->tile >= p->rows && (p->tiles - 1) * p->tile < p->rows);
    int64_t rows = 0, tile = 0, lane = 0;
    for (int r = 0; r < p->ranks; r++) {
        assert_int_equal(avi_partition_first_row(p, r), rows);
        assert_int_equal(avi_partition_first_lane(p, r), lane);
        for (; lane < avi_partition_first_lane(p, r + 1); lane++) {
            assert_int_equal(avi_partition_first_tile(p, lane), tile);
            const int64_t share = avi_partition_first_tile(p, lane + 1) - tile;
            assert_true(share == p->tiles / p->lanes || share == p->tiles / p->lanes + 1);
            for (; tile < avi_partition_first_tile(p, lane + 1); tile++) {
                assert_int_equal(avi_partition_tile_first(p, tile), rows);
                const int64_t end = rows + avi_partition_tile_rows(p, tile);
                assert_true(end > rows && (end - rows == p->tile || tile == p->tiles - 1));
                for (; rows < end; rows++) assert_int_equal(avi_partition_owner(p, rows), r);
            }
        }
    }
    assert_int_equal(rows, p->rows);
    assert_int_equal(tile, p->tiles);
    assert_int_equal(lane, p->lanes);
    assert_int_equal(avi_partition_first_row(p, p->ranks), p->rows);
}

static void ownership(void **state)
{
    (void)state;
    each_partition(check_ownership);
}

/* Every given row has one position, and the way back finds it. */
static void check_numbers(const avi_partition *p)
{
    unsigned char seen[1000] = {0};
    for (int64_t i = 0; i < p->rows; i++) {
        const int64_t given = avi_partition_original(p, i);
        assert_true(given >= 0 && given < p->rows && !seen[given]);
        seen[given] = 1;
        assert_int_equal(avi_partition_shuffled(p, given), i);
        if (!p->shuffled) assert_int_equal(given, i);
    }
}

static void numbers(void **state)
{
    (void)state;
    each_partition(check_numbers);
}

/* Every tile once an epoch, from the lane that owns it; nothing before the first and after the last. */
static void check_epoch(const avi_partition *p)
{
    int64_t longest = 0;
    for (int64_t epoch = 0; epoch < 3; epoch++) {
        unsigned char seen[1000] = {0};
        int64_t given_out = 0;
        for (int64_t lane = 0; lane < p->lanes; lane++) {
            int64_t index = 0, tile;
            while ((tile = avi_partition_step_tile(p, lane, epoch, index)) >= 0) {
                assert_true(tile >= avi_partition_first_tile(p, lane) && tile < avi_partition_first_tile(p, lane + 1));
                assert_false(seen[tile]);
                seen[tile] = 1;
                index++;
                given_out++;
            }
            assert_int_equal(avi_partition_step_tile(p, lane, epoch, index + 1), -1);
            assert_int_equal(avi_partition_step_tile(p, lane, epoch, -1), -1);
            if (index > longest) longest = index;
        }
        assert_int_equal(given_out, p->tiles);
    }
    assert_int_equal(avi_partition_epoch_steps(p), longest);
}

static void epochs(void **state)
{
    (void)state;
    each_partition(check_epoch);
}

/* The order is another one in each epoch, lane and seed, and the same on any number of ranks. */
static void order_is_keyed(void **state)
{
    (void)state;
    avi_partition one, four, other;
    assert_int_equal(avi_partition_make(4000, 10, 4, 1, 5, true, &one), AVI_OK);
    assert_int_equal(avi_partition_make(4000, 10, 4, 4, 5, true, &four), AVI_OK);
    assert_int_equal(avi_partition_make(4000, 10, 4, 1, 6, true, &other), AVI_OK);
    int same_epoch = 0, same_lane = 0, same_seed = 0, fixed = 0;
    for (int64_t i = 0; i < 100; i++) {
        const int64_t tile = avi_partition_step_tile(&one, 1, 0, i);
        assert_int_equal(tile, avi_partition_step_tile(&four, 1, 0, i));
        same_epoch += tile == avi_partition_step_tile(&one, 1, 1, i);
        same_lane += tile == avi_partition_step_tile(&one, 2, 0, i) - 100;
        same_seed += tile == avi_partition_step_tile(&other, 1, 0, i);
    }
    for (int64_t i = 0; i < 4000; i++) {
        assert_int_equal(avi_partition_original(&one, i), avi_partition_original(&four, i));
        fixed += avi_partition_original(&one, i) == i;
    }
    /* Two random orders of 100 agree in one place on average; 10 and more have a chance of 1e-7. */
    assert_true(same_epoch < 10 && same_lane < 10 && same_seed < 10 && fixed < 10);
}

/* Nothing overflows where products of two counts would. */
static void huge(void **state)
{
    (void)state;
    const int64_t rows = (INT64_C(1) << 61) + 12345;
    avi_partition p;
    assert_int_equal(avi_partition_make(rows, 3, INT64_C(1) << 40, 65536, 1, true, &p), AVI_OK);
    assert_int_equal(avi_partition_first_row(&p, 65536), rows);
    for (int r = 0; r < 65536; r += 257) {
        const int64_t first = avi_partition_first_row(&p, r), end = avi_partition_first_row(&p, r + 1);
        assert_true(end > first);
        assert_int_equal(avi_partition_owner(&p, first), r);
        assert_int_equal(avi_partition_owner(&p, end - 1), r);
        assert_int_equal(avi_partition_shuffled(&p, avi_partition_original(&p, first)), first);
    }
    assert_int_equal(avi_slab_first(rows, 65536, 65536), rows);
    assert_int_equal(avi_slab_first(rows, 2, 1), rows / 2);
}

static void slabs(void **state)
{
    (void)state;
    const int64_t of_ten_over_four[] = {0, 2, 5, 7, 10}, of_two_over_three[] = {0, 0, 1, 2};
    for (int r = 0; r <= 4; r++) assert_int_equal(avi_slab_first(10, 4, r), of_ten_over_four[r]);
    for (int r = 0; r <= 3; r++) assert_int_equal(avi_slab_first(2, 3, r), of_two_over_three[r]);
}

static void refusals(void **state)
{
    (void)state;
    avi_partition p;
    assert_int_equal(avi_partition_make(0, 1, 1, 1, 1, false, &p), AVI_ERR_INTERNAL);
    assert_int_equal(avi_partition_make(1, 0, 1, 1, 1, false, &p), AVI_ERR_INTERNAL);
    assert_int_equal(avi_partition_make(1, 1, 0, 1, 1, false, &p), AVI_ERR_INTERNAL);
    assert_int_equal(avi_partition_make(1, 1, 1, 0, 1, false, &p), AVI_ERR_INTERNAL);
    avi_error_clear();
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ownership),      cmocka_unit_test(numbers), cmocka_unit_test(epochs),
        cmocka_unit_test(order_is_keyed), cmocka_unit_test(huge),    cmocka_unit_test(slabs),
        cmocka_unit_test(refusals),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
