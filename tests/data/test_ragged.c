/* Ragged rows: entries reach the owners of their rows, whatever the sizes, the shuffle and the ranks; checksums, places
 * in messages, equal rows. The source is made here, and its values are formulas. */
#include "data_support.h"
#include "data/overlap.h"

#include <math.h>

enum { MOST = 400 };

typedef struct made {
    int64_t first[MOST + 1]; /* entries before each row */
    int64_t bad_entry;       /* its column 1 is bad_value; -1: none */
    double bad_value;
    int64_t apart; /* added to all values */
} made;

static double value_of(avi_dtype type, int64_t entry, int64_t column, int64_t apart)
{
    if (type == AVI_U8) return (double)((entry * 7 + column * 3 + apart) % 251);
    return (double)(entry + apart) + (double)column / 16;
}

static avi_status made_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    const made *m = s->self;
    assert_true(first >= 0 && count > 0 && first + count <= m->first[s->shape.rows]);
    for (int64_t i = 0; i < count * s->shape.width; i++) {
        const int64_t entry = first + i / s->shape.width, column = i % s->shape.width;
        const double v =
            entry == m->bad_entry && column == 1 ? m->bad_value : value_of(s->shape.type, entry, column, m->apart);
        if (s->shape.type == AVI_U8) ((unsigned char *)out)[i] = (unsigned char)v;
        if (s->shape.type == AVI_F32) ((float *)out)[i] = (float)v;
        if (s->shape.type == AVI_F64) ((double *)out)[i] = v;
    }
    return AVI_OK;
}

static const avi_source_ops made_ops = {
    .name = "made", .doc = "", .exchangeable = true, .read = made_read, .any_rank = true};

/* Sizes of `rows` rows: small ones with empty ones among them, and one of `huge` entries. */
static void make_sizes(made *m, int64_t rows, int64_t huge)
{
    *m = (made){.bad_entry = -1};
    for (int64_t r = 0; r < rows; r++)
        m->first[r + 1] = m->first[r] + (r == rows / 3 ? huge : r % 4 == 1 ? 0 : (r * 5) % 7);
}

static avi_source source_of(made *m, int64_t rows, int64_t width, avi_dtype type)
{
    return (avi_source){
        .ops = &made_ops,
        .shape =
            {.rows = rows, .width = width, .height = 1, .columns = width, .type = type, .scale = 1, .ragged = true},
        .first_entry = m->first,
        .self = m,
        .label = "made data"};
}

static void check_row(const avi_data *d, const made *m, int64_t position)
{
    const int64_t given = avi_partition_original(&d->partition, position), width = d->shape.width,
                  n = avi_data_entries(d, position, 1);
    assert_int_equal(n, m->first[given + 1] - m->first[given]);
    double *x = malloc((size_t)(n * width + 1) * sizeof *x);
    float *narrow = malloc((size_t)(n * width + 1) * sizeof *narrow);
    assert_non_null(x);
    assert_non_null(narrow);
    avi_data_fetch_f64(d, position, 1, x);
    avi_data_fetch_f32(d, position, 1, narrow);
    for (int64_t i = 0; i < n * width; i++) {
        const double expected = value_of(d->shape.type, m->first[given] + i / width, i % width, m->apart);
        assert_true(x[i] == expected);
        assert_true(narrow[i] == (float)expected);
    }
    free(x);
    free(narrow);
}

/* Returns the checksum. */
static uint64_t load_and_check(made *m, int64_t rows, int64_t tile, int64_t lanes, bool shuffled, avi_dtype type)
{
    avi_source s = source_of(m, rows, 3, type);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(rows, tile, lanes, P, 3, shuffled, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &d), AVI_OK);
    assert_int_equal(d->entries, m->first[rows]);
    assert_int_equal(d->stats->rows, m->first[rows]);
    assert_int_equal(avi_data_bytes(d),
                     avi_data_entries(d, d->first, d->count) * 3 * (int64_t)avi_dtype_size(type) + (d->count + 1) * 8);
    for (int64_t r = d->first; r < d->first + d->count; r++) check_row(d, m, r);
    const uint64_t sum = d->checksum;
    avi_data_destroy(&d);
    return sum;
}

static void entries_reach_their_rows(void **state)
{
    (void)state;
    static made m;
    const int64_t rows[] = {1, 2, 5, 37, 300}, lanes[] = {1, 2, 16}, huge[] = {1, 20000};
    for (int a = 0; a < 5; a++)
        for (int h = 0; h < 2; h++) {
            make_sizes(&m, rows[a], huge[h]);
            for (int b = 0; b < 3; b++)
                for (int shuffled = 0; shuffled < 2; shuffled++)
                    load_and_check(&m, rows[a], 4, lanes[b], shuffled, (avi_dtype)(AVI_U8 + (a + b + h) % 3));
        }
}

static void checksum_knows_sizes_and_values(void **state)
{
    (void)state;
    static made m;
    make_sizes(&m, 50, 9);
    const uint64_t expected = load_and_check(&m, 50, 4, 1, false, AVI_F64);
    for (int64_t lanes = 2; lanes < 9; lanes += 3)
        for (int shuffled = 0; shuffled < 2; shuffled++)
            assert_true(load_and_check(&m, 50, 4, lanes, shuffled, AVI_F64) == expected);
    for (int64_t r = 2; r < 49; r += 9) { /* an entry of another row, or of a row that had none */
        made moved = m;
        if (moved.first[r] == moved.first[r + 1]) continue;
        moved.first[r]++;
        assert_true(load_and_check(&moved, 50, 4, 3, true, AVI_F64) != expected);
    }
    made other = m;
    other.apart = 1;
    assert_true(load_and_check(&other, 50, 4, 3, true, AVI_F64) != expected);
}

static avi_support positive(const void *context, int64_t column)
{
    (void)context;
    return column == 1 ? AVI_SUPPORT_COUNT : AVI_SUPPORT_REAL;
}

/* Messages name the stored row, which is the entry. */
static void places_are_those_of_stored_rows(void **state)
{
    (void)state;
    static made m;
    avi_partition p;
    avi_data *d = NULL;
    make_sizes(&m, 40, 300);
    m.bad_entry = 123, m.bad_value = (double)NAN;
    avi_source s = source_of(&m, 40, 2, AVI_F64);
    assert_int_equal(avi_partition_make(40, 2, 20, P, 3, true, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &d), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "made data: row 123, column 1 (both from 0) is NaN"));
    avi_error_clear();
    assert_int_equal(avi_partition_make(40, 2, 20, P, 3, false, &p), AVI_OK);
    m.bad_value = -3;
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        assert_int_equal(avi_partition_make(40, 2, 20, P, 3, shuffled, &p), AVI_OK);
        assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &d), AVI_OK);
        assert_int_equal(avi_data_check_support(d, world, &s, positive, NULL, "use others"), AVI_ERR_DATA);
        /* Entry 0 has 1/16 there: the first of those that are no counts. */
        if (!strstr(avi_error_text(), "made data: row 0, column 1 (both from 0) is 0.0625"))
            print_message("%s\n", avi_error_text());
        assert_non_null(strstr(avi_error_text(), "made data: row 0, column 1 (both from 0) is 0.0625"));
        avi_error_clear();
        avi_data_destroy(&d);
    }
}

/* Every test row is a training row, and none is. */
static void equal_rows_are_found(void **state)
{
    (void)state;
    static made m, other;
    int64_t looked, found;
    make_sizes(&m, 40, 300);
    for (int64_t r = 0; r < 40; r++) m.first[r + 1] = m.first[r] + 1 + r % 3;
    other = m;
    other.apart = 100000;
    for (int same = 0; same < 2; same++) {
        avi_source s = source_of(&m, 40, 2, AVI_F64), t = source_of(same ? &m : &other, 40, 2, AVI_F64);
        avi_partition p, q;
        avi_data *train = NULL, *test = NULL;
        assert_int_equal(avi_partition_make(40, 2, 20, P, 3, true, &p), AVI_OK);
        assert_int_equal(avi_partition_make(40, 2, 20, P, 3, false, &q), AVI_OK);
        assert_int_equal(avi_data_load(&s, world, &p, 0, 0, &train), AVI_OK);
        assert_int_equal(avi_data_load(&t, world, &q, 0, 0, &test), AVI_OK);
        assert_int_equal(avi_data_overlap(train, test, world, &looked, &found), AVI_OK);
        assert_int_equal(found, same ? 40 : 0);
        avi_data_destroy(&train);
        avi_data_destroy(&test);
    }
}

static void refusals(void **state)
{
    (void)state;
    static made m;
    make_sizes(&m, 40, 3);
    avi_source s = source_of(&m, 40, 2, AVI_F32), dense = source_of(&m, 40, 2, AVI_F32);
    avi_partition p;
    avi_data *d = NULL;
    assert_int_equal(avi_partition_make(40, 2, 20, P, 3, false, &p), AVI_OK);
    assert_int_equal(avi_data_load(&s, world, &p, 0, 1, &d), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "ragged rows have no neighbours"));
    avi_error_clear();
    dense.shape.ragged = false;
    dense.first_entry = NULL;
    assert_int_equal(avi_source_match(&s, &dense), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "the rows of the training data are groups of any number of entries"));
    avi_error_clear();
    assert_int_equal(avi_source_match(&dense, &s), AVI_ERR_DATA);
    avi_error_clear();
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_reach_their_rows),
        cmocka_unit_test(checksum_knows_sizes_and_values),
        cmocka_unit_test(places_are_those_of_stored_rows),
        cmocka_unit_test(equal_rows_are_found),
        cmocka_unit_test(refusals),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
