/* Loading, halo rows, numbers of rows, checksum, values that are not finite: with sources made here, whose values are
 * formulas. */
#include "data_support.h"

#include <math.h>

typedef struct made {
    int64_t fail_row, bad_row, bad_column; /* -1: none */
    double bad_value;
    int64_t changed_row; /* its column 0 differs by one; -1: none */
    int64_t swapped_row; /* it and the next one change places; -1: none */
    int64_t next;        /* of a source that is read in order */
    int reads;
} made;

static double value_of(avi_dtype type, int64_t row, int64_t column)
{
    if (type == AVI_U8) return (double)((row * 7 + column * 3) % 256);
    return (double)row + (double)column / 16;
}

static avi_status made_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    made *m = s->self;
    m->reads++;
    if (!s->ops->any_rank) {
        assert_int_equal(self, 0);
        assert_int_equal(first, m->next);
        m->next = first + count;
    }
    for (int64_t i = 0; i < count * s->shape.width; i++) {
        const int64_t row = first + i / s->shape.width, column = i % s->shape.width;
        if (row == m->fail_row) return avi_fail(AVI_ERR_IO, "row %lld is on fire", (long long)row);
        const int64_t shown =
            row == m->swapped_row ? row + 1 : (m->swapped_row >= 0 && row == m->swapped_row + 1 ? row - 1 : row);
        double v = value_of(s->shape.type, shown, column);
        if (row == m->bad_row && column == m->bad_column) v = m->bad_value;
        if (row == m->changed_row && column == 0) v += 1;
        if (s->shape.type == AVI_U8) ((unsigned char *)out)[i] = (unsigned char)v;
        if (s->shape.type == AVI_F32) ((float *)out)[i] = (float)v;
        if (s->shape.type == AVI_F64) ((double *)out)[i] = v;
    }
    return AVI_OK;
}

static const avi_source_ops any_ops = {
    .name = "made", .doc = "", .exchangeable = true, .read = made_read, .any_rank = true};
static const avi_source_ops ordered_ops = {
    .name = "made", .doc = "", .exchangeable = true, .read = made_read, .any_rank = false};

static const made nothing_wrong = {-1, -1, -1, 0, -1, -1, 0, 0};

static avi_source source_of(made *m, int64_t rows, int64_t width, avi_dtype type, bool any_rank)
{
    return (avi_source){.ops = any_rank ? &any_ops : &ordered_ops,
                        .shape = {.rows = rows,
                                  .width = width,
                                  .height = 1,
                                  .columns = width,
                                  .type = type,
                                  .scale = type == AVI_U8 ? 1.0 / 255 : 1},
                        .self = m,
                        .label = "made data"};
}

/* Row `position` of the data as the model should see it. */
static void check_fetched(const avi_data *d, int64_t position, int64_t count)
{
    const int64_t width = d->shape.width;
    double *wide = malloc((size_t)(count * width) * sizeof *wide);
    float *narrow = malloc((size_t)(count * width) * sizeof *narrow);
    assert_non_null(wide);
    assert_non_null(narrow);
    avi_data_fetch_f64(d, position, count, wide);
    avi_data_fetch_f32(d, position, count, narrow);
    for (int64_t i = 0; i < count * width; i++) {
        int64_t row = position + i / width;
        if (row < 0) row = 0;
        if (row > d->shape.rows - 1) row = d->shape.rows - 1;
        const int64_t given = row < d->partition.rows ? avi_partition_original(&d->partition, row) : row;
        const double scale = d->shape.type == AVI_U8 ? 1.0 / 255 : 1,
                     expected = value_of(d->shape.type, given, i % width) * scale;
        assert_true(fabs(wide[i] - expected) <= 1e-15 * fabs(expected));
        assert_true(fabs((double)narrow[i] - expected) <= 1.2e-7 * fabs(expected));
    }
    free(wide);
    free(narrow);
}

static void load_and_check(int64_t rows, int64_t tile, int64_t lanes, bool shuffled, int lookahead, int halo,
                           avi_dtype type, bool any_rank)
{
    made m = nothing_wrong;
    avi_source s = source_of(&m, rows, 3, type, any_rank);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(rows - lookahead, tile, lanes, P, 3, shuffled, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, lookahead, halo, &d), AVI_OK);
    assert_int_equal(d->first, avi_partition_first_row(&p, self));
    assert_int_equal(d->first + d->count, avi_partition_first_row(&p, self + 1));
    if (d->count == 0) {
        assert_int_equal(d->halo_left + d->halo_right, 0);
    } else {
        const int64_t left = d->first < halo ? d->first : halo, after = rows - d->first - d->count;
        const int64_t right = after < halo + lookahead ? after : halo + lookahead;
        assert_int_equal(d->halo_left, left);
        assert_int_equal(d->halo_right, right);
        /* Own rows with all that is held, and past both ends of the data where this rank holds the end. */
        const int64_t before = d->first == left ? 2 : 0, behind = after == right ? 3 : 0;
        check_fetched(d, d->first - left - before, before + left + d->count + right + behind);
        check_fetched(d, d->first, 1);
        check_fetched(d, d->first + d->count - 1, 1 + right);
    }
    assert_int_equal(avi_data_bytes(d), (d->halo_left + d->count + d->halo_right) * 3 * (int64_t)avi_dtype_size(type));
    avi_data_destroy(&d);
    assert_null(d);
}

static void shuffled_rows(void **state)
{
    (void)state;
    const int64_t rows[] = {1, 2, 37, 500}, lanes[] = {1, 2, 3, 16};
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++)
            for (int type = AVI_U8; type <= AVI_F64; type++) {
                load_and_check(rows[a], 4, lanes[b], true, 0, 0, (avi_dtype)type, true);
                load_and_check(rows[a], 4, lanes[b], true, 0, 0, (avi_dtype)type, false);
            }
}

/* Neighbours may be empty or own fewer rows than the halo has. */
static void halo_rows(void **state)
{
    (void)state;
    const int64_t rows[] = {2, 5, 9, 120}, tiles[] = {1, 3, 20}, lanes[] = {1, 2, 4, 9};
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 3; b++)
            for (int c = 0; c < 4; c++)
                for (int halo = 0; halo < 8; halo += halo < 3 ? 1 : 4)
                    for (int lookahead = 0; lookahead < 2; lookahead++) {
                        load_and_check(rows[a], tiles[b], lanes[c], false, lookahead, halo, AVI_F32, true);
                        load_and_check(rows[a], tiles[b], lanes[c], false, lookahead, halo, AVI_U8, false);
                    }
}

/* The checksum on all ranks together, and, with alone = true, of the same data on this rank alone. */
static uint64_t checksum(made m, int64_t lanes, bool shuffled, bool any_rank, avi_comm *comm)
{
    avi_source s = source_of(&m, 101, 5, AVI_F64, any_rank);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(101, 4, lanes, avi_comm_size(comm), 3, shuffled, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, comm, &p, 0, 0, &d), AVI_OK);
    const uint64_t sum = d->checksum;
    avi_data_destroy(&d);
    return sum;
}

static void checksum_knows_the_data_alone(void **state)
{
    (void)state;
    avi_comm *alone = NULL;
    assert_int_equal(avi_comm_split(world, self, &alone), AVI_OK);
    const uint64_t expected = checksum(nothing_wrong, 1, false, true, alone);
    avi_comm_destroy(&alone);
    for (int64_t lanes = 1; lanes < 9; lanes++)
        for (int i = 0; i < 4; i++) assert_true(checksum(nothing_wrong, lanes, i & 1, i & 2, world) == expected);
    for (int64_t row = 0; row < 101; row += 25) {
        made changed = nothing_wrong;
        changed.changed_row = row;
        assert_true(checksum(changed, 3, true, true, world) != expected);
    }
    made swapped = nothing_wrong;
    swapped.swapped_row = 10;
    assert_true(checksum(swapped, 3, true, true, world) != expected);
}

/* Every rank gets the code and the message of the one that fails. */
static void load_fails(made m, avi_dtype type, bool any_rank, avi_status code, const char *words)
{
    avi_source s = source_of(&m, 40, 4, type, any_rank);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(40, 2, 20, P, 3, true, &p), AVI_OK);
    avi_error_clear();
    assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &d), code);
    assert_null(d);
    if (!strstr(avi_error_text(), words)) print_message("no \"%s\" in: %s\n", words, avi_error_text());
    assert_non_null(strstr(avi_error_text(), words));
    avi_error_clear();
}

static void values_that_are_not_finite(void **state)
{
    (void)state;
    made m = nothing_wrong;
    m.bad_row = 33, m.bad_column = 2, m.bad_value = (double)NAN;
    load_fails(m, AVI_F32, true, AVI_ERR_DATA, "made data: row 33, column 2 (both from 0) is NaN");
    load_fails(m, AVI_F64, false, AVI_ERR_DATA, "made data: row 33, column 2 (both from 0) is NaN");
    m.bad_row = 0, m.bad_column = 0, m.bad_value = -(double)INFINITY;
    load_fails(m, AVI_F64, true, AVI_ERR_DATA, "row 0, column 0 (both from 0) is infinite");
}

static void a_read_that_fails(void **state)
{
    (void)state;
    made m = nothing_wrong;
    m.fail_row = 39;
    load_fails(m, AVI_U8, true, AVI_ERR_IO, "row 39 is on fire");
    load_fails(m, AVI_U8, false, AVI_ERR_IO, "row 39 is on fire");
}

static void refusals(void **state)
{
    (void)state;
    made m = nothing_wrong;
    avi_source s = source_of(&m, 40, 4, AVI_F32, true);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(40, 2, 20, P, 3, true, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, 0, 1, &d), AVI_ERR_INTERNAL); /* halo of shuffled rows */
    assert_int_equal(avi_data_load(&s, world, &p, 1, 0, &d), AVI_ERR_INTERNAL); /* one factor row fewer than rows */
    assert_int_equal(avi_partition_make(40, 2, 20, P + 1, 3, true, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &d), AVI_ERR_INTERNAL); /* another number of ranks */
    assert_null(d);
    avi_error_clear();
}

static void splits_of_different_size(void **state)
{
    (void)state;
    made m = nothing_wrong;
    avi_source train = source_of(&m, 10, 6, AVI_U8, true), test = source_of(&m, 10, 6, AVI_U8, true);
    assert_int_equal(avi_source_match(&train, &test), AVI_OK);
    test.shape.height = 2, test.shape.columns = 3;
    assert_int_equal(avi_source_match(&train, &test), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "2 x 3, those of the training data 1 x 6"));
    test.shape.rows = 0;
    assert_int_equal(avi_source_match(&train, &test), AVI_OK);
    avi_error_clear();
}

/* Every registered source is complete and selectable by its name. */
static void registry(void **state)
{
    (void)state;
    const avi_registry *r = test_registry();
    assert_true(avi_registry_count(r, AVI_KIND_SOURCE) > 0);
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_SOURCE); i++) {
        const avi_source_ops *ops = avi_registry_at(r, AVI_KIND_SOURCE, i);
        assert_true(ops->name && ops->doc && ops->open && ops->read);
        assert_ptr_equal(avi_registry_find(r, AVI_KIND_SOURCE, ops->name), ops);
        avi_config *c = config_of("source = %s\n", ops->name);
        assert_string_equal(avi_config_get_string(c, "data", "source"), ops->name);
        avi_config_destroy(&c);
        for (int k = 0; k < ops->key_count; k++) assert_string_equal(ops->keys[k].section, "data");
    }
    assert_null(avi_registry_find(r, AVI_KIND_SOURCE, "nowhere"));
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled_rows),
        cmocka_unit_test(halo_rows),
        cmocka_unit_test(checksum_knows_the_data_alone),
        cmocka_unit_test(values_that_are_not_finite),
        cmocka_unit_test(a_read_that_fails),
        cmocka_unit_test(refusals),
        cmocka_unit_test(splits_of_different_size),
        cmocka_unit_test(registry),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
