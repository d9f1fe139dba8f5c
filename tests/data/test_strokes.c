/* The drawn digits: a pure function of (seed, split, given row), on any rank, whatever else is asked for; and they are
 * drawings. */
#include "data_support.h"
#include "source/glyph.h"

static void open_strokes(const char *lines, avi_split split, avi_source **source)
{
    avi_config *config = config_of("source = strokes\n%s", lines);
    assert_int_equal(avi_source_open(config, world, split, source), AVI_OK);
    avi_config_destroy(&config);
}

static void numbers_of_rows(void **state)
{
    (void)state;
    const struct {
        const char *lines;
        avi_split split;
        int64_t rows;
    } cases[] = {{"", AVI_TRAIN, 10000},
                 {"", AVI_TEST, 2000},
                 {"rows = 7\n", AVI_TRAIN, 7},
                 {"test_rows = 1e9\n", AVI_TEST, 1000000000}};
    for (int i = 0; i < 4; i++) {
        avi_source *s = NULL;
        open_strokes(cases[i].lines, cases[i].split, &s);
        assert_int_equal(s->shape.rows, cases[i].rows);
        assert_int_equal(s->shape.width, 784);
        assert_int_equal(s->shape.height, 28);
        assert_true(s->shape.scale == 1.0 / 255);
        assert_true(s->ops->any_rank && s->ops->exchangeable);
        avi_source_close(&s);
    }
}

/* A row is the same alone as among others, and in a data set of another size. */
static void rows_are_pure(void **state)
{
    (void)state;
    avi_source *few = NULL, *many = NULL;
    open_strokes("rows = 50\n", AVI_TRAIN, &few);
    open_strokes("rows = 1e12\n", AVI_TRAIN, &many);
    static unsigned char all[50][784], one[784];
    assert_int_equal(few->ops->read(few, 0, 50, all), AVI_OK);
    for (int64_t row = 49; row >= 0; row--) {
        assert_int_equal(many->ops->read(many, row, 1, one), AVI_OK);
        assert_memory_equal(one, all[row], 784);
    }
    avi_source_close(&few);
    avi_source_close(&many);
}

static void seeds_and_splits_differ(void **state)
{
    (void)state;
    static unsigned char base[784], other[784];
    avi_source *s = NULL;
    open_strokes("", AVI_TRAIN, &s);
    assert_int_equal(s->ops->read(s, 3, 1, base), AVI_OK);
    assert_int_equal(s->ops->read(s, 4, 1, other), AVI_OK);
    assert_memory_not_equal(base, other, 784);
    avi_source_close(&s);
    open_strokes("", AVI_TEST, &s);
    assert_int_equal(s->ops->read(s, 3, 1, other), AVI_OK);
    assert_memory_not_equal(base, other, 784);
    avi_source_close(&s);
    open_strokes("[run]\nseed = 2\n", AVI_TRAIN, &s);
    assert_int_equal(s->ops->read(s, 3, 1, other), AVI_OK);
    assert_memory_not_equal(base, other, 784);
    avi_source_close(&s);
}

/* All classes alike often; ink inside the frame, neither empty nor full; each class unlike the others on average. */
static void they_are_drawings(void **state)
{
    (void)state;
    enum { IMAGES = 4000 };
    static double mean[AVI_GLYPH_CLASSES][784];
    int count[AVI_GLYPH_CLASSES] = {0};
    const avi_stream stream = avi_stream_make(1, AVI_DRAW_DATA, 0);
    unsigned char image[784];
    double frame = 0;
    for (uint64_t row = 0; row < IMAGES; row++) {
        const int kind = avi_glyph_draw(stream, row, image);
        assert_true(kind >= 0 && kind < AVI_GLYPH_CLASSES);
        count[kind]++;
        double ink = 0;
        for (int i = 0; i < 784; i++) {
            ink += image[i] / 255.0;
            mean[kind][i] += image[i] / 255.0;
            if (i / 28 == 0 || i / 28 == 27 || i % 28 == 0 || i % 28 == 27) frame += image[i] / 255.0;
        }
        assert_true(ink > 15 && ink < 300); /* of 784 pixels */
    }
    assert_true(frame / IMAGES < 0.1);
    for (int a = 0; a < AVI_GLYPH_CLASSES; a++) {
        assert_true(count[a] > 300 && count[a] < 500); /* 400 expected, standard deviation 19 */
        for (int i = 0; i < 784; i++) mean[a][i] /= count[a];
        for (int b = 0; b < a; b++) {
            double distance = 0;
            for (int i = 0; i < 784; i++) distance += (mean[a][i] - mean[b][i]) * (mean[a][i] - mean[b][i]);
            assert_true(distance > 2);
        }
    }
}

/* Any number of ranks holds the same data, each row where the partition says. */
static void loaded_on_ranks(void **state)
{
    (void)state;
    avi_data *d = NULL;
    assert_int_equal(open_and_load(config_of("rows = 301\n"), AVI_TRAIN, 6, true, &d), AVI_OK);
    const avi_stream stream = avi_stream_make(1, AVI_DRAW_DATA, AVI_TRAIN);
    unsigned char image[784];
    for (int64_t i = 0; i < d->count; i++) {
        avi_glyph_draw(stream, (uint64_t)avi_partition_original(&d->partition, d->first + i), image);
        assert_memory_equal((const unsigned char *)d->values + i * 784, image, 784);
    }
    /* The bytes are the same on every machine: a change of them is a change of what seeds mean. */

    assert_true(d->checksum == UINT64_C(0x7e6fd3c39dc89d8a));
    avi_data_destroy(&d);
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_rows),         cmocka_unit_test(rows_are_pure),
        cmocka_unit_test(seeds_and_splits_differ), cmocka_unit_test(they_are_drawings),
        cmocka_unit_test(loaded_on_ranks),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
