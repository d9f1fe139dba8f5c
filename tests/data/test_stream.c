/* Streamed rows against held ones: the same numbers in either precision, whatever the layout; what a source that fails
 * leaves behind; what data are known by; which sources are streamed. */
#include "data_support.h"

#include <math.h>

typedef struct made {
    int64_t fail_row, bad_row; /* -1: none */
    double more;               /* added to every value */
    int64_t most;              /* rows asked for at a time, at most so far */
} made;

static const made nothing_wrong = {-1, -1, 0, 0};

static avi_status made_rows(avi_source *s, const int64_t *given, int64_t count, void *out)
{
    made *m = s->self;
    if (count > m->most) m->most = count;
    for (int64_t i = 0; i < count * s->shape.width; i++) {
        const int64_t row = given[i / s->shape.width], column = i % s->shape.width;
        if (row == m->fail_row) return avi_fail(AVI_ERR_IO, "row %lld is on fire", (long long)row);
        double v = (double)row / 8 + (double)column * 3 + m->more;
        if (s->shape.type == AVI_U8) v = (double)((row * 7 + column * 3) % 256);
        if (row == m->bad_row) v = (double)NAN;
        if (s->shape.type == AVI_U8) ((unsigned char *)out)[i] = (unsigned char)v;
        if (s->shape.type == AVI_F32) ((float *)out)[i] = (float)v;
        if (s->shape.type == AVI_F64) ((double *)out)[i] = v;
    }
    return AVI_OK;
}

static avi_status made_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    const size_t bytes = (size_t)s->shape.width * avi_dtype_size(s->shape.type);
    for (int64_t i = 0; i < count; i++, first++) AVI_TRY(made_rows(s, &first, 1, (char *)out + (size_t)i * bytes));
    return AVI_OK;
}

static const avi_source_ops ops = {
    .name = "made", .doc = "", .exchangeable = true, .read = made_read, .any_rank = true, .read_rows = made_rows};

static avi_source source_of(made *m, int64_t rows, int64_t width, avi_dtype type, bool streamed)
{
    return (avi_source){.ops = &ops,
                        .shape = {.rows = rows,
                                  .width = width,
                                  .height = 1,
                                  .columns = width,
                                  .type = type,
                                  .scale = type == AVI_U8 ? 1.0 / 255 : 1},
                        .self = m,
                        .label = "made data",
                        .streamed = streamed};
}

static void load(avi_source *s, int64_t tile, bool shuffled, int lookahead, int halo, avi_data **d)
{
    avi_partition p;
    assert_int_equal(avi_partition_make(s->shape.rows - lookahead, tile, 5, P, 3, shuffled, &p), AVI_OK);
    assert_int_equal(avi_data_load(s, world, &p, lookahead, halo, d), AVI_OK);
}

/* Own rows with their halo, past the ends of the data too, in one piece and in short ones. */
static void compare(const avi_data *held, const avi_data *streamed, int halo)
{
    const int64_t width = held->shape.width, first = held->first - halo,
                  count = held->count ? held->count + 2 * halo : 0;
    const size_t values = (size_t)(count * width + 1);
    double *a = malloc(values * sizeof *a), *b = malloc(values * sizeof *b);
    float *f = malloc(values * sizeof *f), *g = malloc(values * sizeof *g);
    assert_true(a && b && f && g);
    avi_data_fetch_f64(held, first, count, a);
    avi_data_fetch_f32(held, first, count, f);
    avi_data_fetch_f64(streamed, first, count, b);
    avi_data_fetch_f32(streamed, first, count, g);
    assert_memory_equal(a, b, (size_t)(count * width) * sizeof *a);
    assert_memory_equal(f, g, (size_t)(count * width) * sizeof *f);
    for (int64_t at = 0; at < count; at += 7)
        avi_data_fetch_f64(streamed, first + at, count - at < 7 ? count - at : 7, b + at * width);
    assert_memory_equal(a, b, (size_t)(count * width) * sizeof *a);
    free(a), free(b), free(f), free(g);
}

static void same_numbers(void **state)
{
    (void)state;
    const int64_t rows[] = {2, 37, 5000}, widths[] = {1, 3, 5000};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            for (int type = AVI_U8; type <= AVI_F64; type++)
                for (int way = 0; way < 3; way++) { /* shuffled; in order; in order with neighbours */
                    if (rows[i] * widths[j] > 1000000) continue;
                    const int halo = way == 2 ? 2 : 0, lookahead = way == 2;
                    made m = nothing_wrong, n = nothing_wrong;
                    avi_source a = source_of(&m, rows[i], widths[j], (avi_dtype)type, false),
                               b = source_of(&n, rows[i], widths[j], (avi_dtype)type, true);
                    avi_data *held = NULL, *streamed = NULL;
                    load(&a, 4, way == 0, lookahead, halo, &held);
                    load(&b, 4, way == 0, lookahead, halo, &streamed);
                    assert_true(held->values && !held->feed && streamed->feed && !streamed->values);
                    assert_true(held->first == streamed->first && held->count == streamed->count);
                    compare(held, streamed, halo);
                    assert_true(avi_data_bytes(streamed) < 100000 && n.most <= 1024);
                    assert_int_equal(avi_data_status(streamed), AVI_OK);
                    assert_true(held->origin == streamed->origin && held->checksum && !streamed->checksum);
                    avi_data_destroy(&held);
                    avi_data_destroy(&streamed);
                }
}

/* A read that fails at a step gives NaN, and its reason is kept. */
static void failure(made m, avi_status code, const char *words)
{
    avi_source s = source_of(&m, 100, 2, AVI_F64, true);
    avi_data *d = NULL;
    double x[200] = {0};
    m.most = 0;
    const made wrong = m;
    m.fail_row = m.bad_row = -1;
    load(&s, 4, false, 0, 0, &d);
    m = wrong;
    avi_error_clear();
    avi_data_fetch_f64(d, 0, 30, x);
    assert_int_equal(avi_data_status(d), AVI_OK);
    assert_true(isfinite(x[59]));
    avi_data_fetch_f64(d, 30, 30, x);
    assert_int_equal(avi_data_status(d), code);
    assert_true(isnan(x[0]) && isnan(x[59]));
    avi_data_fetch_f64(d, 0, 30, x);
    assert_true(isfinite(x[0]));
    assert_int_equal(avi_data_status(d), code);
    assert_non_null(strstr(avi_error_text(), words));
    avi_error_clear();
    avi_data_destroy(&d);
}

static void reads_that_fail(void **state)
{
    (void)state;
    made m = nothing_wrong;
    m.fail_row = 44;
    failure(m, AVI_ERR_IO, "row 44 is on fire");
    m.fail_row = -1;
    m.bad_row = 33;
    failure(m, AVI_ERR_DATA, "made data: row 33, column 0 (both from 0) is NaN");
}

static uint64_t origin_of(avi_source s)
{
    avi_data *d = NULL;
    load(&s, 4, true, 0, 0, &d);
    const uint64_t origin = d->origin;
    avi_data_destroy(&d);
    return origin;
}

static void known_by_what_they_are_made_from(void **state)
{
    (void)state;
    made m = nothing_wrong, n = nothing_wrong;
    n.more = 1;
    const avi_source base = source_of(&m, INT64_C(1) << 40, 3, AVI_F32, true);
    avi_source s = base;
    const uint64_t expected = origin_of(base);
    assert_true(expected && origin_of(base) == expected);
    s.seed++;
    assert_true(origin_of(s) != expected);
    s = base, s.shape.rows--;
    assert_true(origin_of(s) != expected);
    s = base, s.shape.width++;
    assert_true(origin_of(s) != expected);
    s = base, s.self = &n;
    assert_true(origin_of(s) != expected);
    s = base, strcpy(s.label, "others");
    assert_true(origin_of(s) != expected);
    s = base, s.sequential = true, s.streamed = false, s.shape.rows = 1000;
    assert_true(origin_of(s) == 0);
}

/* By the size of all rows: 784 bytes each. */
static void chosen_by_size(void **state)
{
    (void)state;
    const struct {
        const char *lines;
        bool streamed;
    } cases[] = {{"rows = 1369568\n", false}, /* the last that fit into 1 GiB */
                 {"rows = 1369569\n", true},
                 {"rows = 1369569\nstorage = memory\n", false},
                 {"rows = 5\nstorage = stream\n", true},
                 {"rows = 5\n", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        avi_config *config = config_of("source = strokes\n%s", cases[i].lines);
        avi_source *s = NULL;
        assert_int_equal(avi_source_open(config, world, AVI_TRAIN, &s), AVI_OK);
        assert_int_equal(s->streamed, cases[i].streamed);
        avi_source_close(&s);
        avi_config_destroy(&config);
    }
}

static void files_are_refused(void **state)
{
    (void)state;
    static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4};
    avi_source *s = NULL;
    write_file("images", images, sizeof images);
    avi_config *config = config_of("source = idx\npath = %s\nstorage = stream\n", in_folder("images"));
    assert_int_equal(avi_source_open(config, world, AVI_TRAIN, &s), AVI_ERR_CONFIG);
    assert_null(s);
    assert_non_null(strstr(avi_error_text(), "storage"));
    assert_non_null(strstr(avi_error_text(), "come from a file, so they cannot be drawn anew"));
    assert_non_null(strstr(avi_error_text(), "use memory or auto"));
    avi_error_clear();
    avi_config_destroy(&config);
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_numbers),
        cmocka_unit_test(reads_that_fail),
        cmocka_unit_test(known_by_what_they_are_made_from),
        cmocka_unit_test(chosen_by_size),
        cmocka_unit_test(files_are_refused),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
