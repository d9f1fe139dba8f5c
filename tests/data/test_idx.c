/* IDX files, plain and .gz: what is written is what is read, and every bad file is refused with its code and its
 * reason. */
#include "data_support.h"

#include <sys/stat.h>
#include <zlib.h>

enum { ROWS = 23, HEIGHT = 5, COLUMNS = 4, WIDTH = HEIGHT * COLUMNS, HEADER = 16, BYTES = HEADER + ROWS * WIDTH };

static unsigned char pixel(int64_t row, int64_t i) { return (unsigned char)(row * 31 + i * 5 + (row * i) % 11); }

static void put_number(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) at[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A file as it should be; tests change it. */
static void make_file(unsigned char *b)
{
    put_number(b, 0x803);
    put_number(b + 4, ROWS);
    put_number(b + 8, HEIGHT);
    put_number(b + 12, COLUMNS);
    for (int64_t r = 0; r < ROWS; r++)
        for (int64_t i = 0; i < WIDTH; i++) b[HEADER + r * WIDTH + i] = pixel(r, i);
}

/* Appends a .gz member to `out`; returns its size. */
static size_t compress_into(unsigned char *out, size_t room, const unsigned char *bytes, size_t count)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)bytes;
    z.avail_in = (unsigned)count;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t made = z.total_out;
    deflateEnd(&z);
    return made;
}

static void loads_as_written(const char *name, bool shuffled, int64_t rows)
{
    avi_data *d = NULL;
    const avi_status status = open_and_load(
        config_of("source = idx\npath = %s\nrows = %lld\n", in_folder(name), (long long)(rows == ROWS ? 0 : rows)),
        AVI_TRAIN, 6, shuffled, &d);
    if (status != AVI_OK) print_message("%s\n", avi_error_text());
    assert_int_equal(status, AVI_OK);
    assert_int_equal(d->shape.rows, rows);
    assert_int_equal(d->shape.width, WIDTH);
    assert_int_equal(d->shape.height, HEIGHT);
    assert_int_equal(d->shape.columns, COLUMNS);
    assert_int_equal(d->shape.type, AVI_U8);
    assert_true(d->shape.scale == 1.0 / 255); /* 255 is ink, 1 */
    const unsigned char *values = d->values;
    for (int64_t i = 0; i < d->count; i++)
        for (int64_t c = 0; c < WIDTH; c++)
            assert_int_equal(values[i * WIDTH + c], pixel(avi_partition_original(&d->partition, d->first + i), c));
    avi_data_destroy(&d);
}

static void round_trips(void **state)
{
    (void)state;
    unsigned char file[BYTES], packed[2 * BYTES];
    make_file(file);
    write_file("plain", file, sizeof file);
    size_t bytes = compress_into(packed, sizeof packed, file, sizeof file);
    write_file("packed.gz", packed, bytes);
    write_file("packed_by_content", packed, bytes);
    bytes = compress_into(packed, sizeof packed, file, 100); /* two members, as `cat a.gz b.gz` makes */
    bytes += compress_into(packed + bytes, sizeof packed - bytes, file + 100, sizeof file - 100);
    write_file("two_members.gz", packed, bytes);
    const char *names[] = {"plain", "packed.gz", "packed_by_content", "two_members.gz"};
    for (int i = 0; i < 4; i++) {
        loads_as_written(names[i], true, ROWS);
        loads_as_written(names[i], false, ROWS);
        loads_as_written(names[i], true, 9);
    }
}

static void test_split(void **state)
{
    (void)state;
    avi_source *source = NULL;
    avi_config *config = config_of("source = idx\npath = %s\n", in_folder("plain"));
    assert_int_equal(avi_source_open(config, world, AVI_TEST, &source), AVI_OK);
    assert_int_equal(source->shape.rows, 0);
    avi_source_close(&source);
    avi_config_destroy(&config);
    config = config_of("source = idx\npath = x\ntest_path = %s\ntest_rows = 3\n", in_folder("packed.gz"));
    assert_int_equal(avi_source_open(config, world, AVI_TEST, &source), AVI_OK);
    assert_int_equal(source->shape.rows, 3);
    assert_false(source->ops->any_rank);
    avi_source_close(&source);
    avi_config_destroy(&config);
    refuses(config_of("source = idx\npath = %s\ntest_path = %s\n", in_folder("plain"), in_folder("none")), AVI_TEST,
            AVI_ERR_NOINPUT, WORDS("[data] test_path = ", "/none: ", "give an IDX images file, plain or .gz"));
}

static avi_config *config_for(const char *name) { return config_of("source = idx\npath = %s\n", in_folder(name)); }

static void files_that_are_not_there(void **state)
{
    (void)state;
    refuses(config_for("none"), AVI_TRAIN, AVI_ERR_NOINPUT,
            WORDS("[data] path = ", "/none: No such file", "give an IDX images file, plain or .gz"));
    refuses(config_of("source = idx\npath = %s\n", folder), AVI_TRAIN, AVI_ERR_NOINPUT, WORDS("is a folder"));
    refuses(config_of("source = idx\n"), AVI_TRAIN, AVI_ERR_CONFIG,
            WORDS("[data] path", "is not set", "IDX images file"));
    if (self == 0) assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    refuses(config_for("pipe"), AVI_TRAIN, AVI_ERR_NOINPUT, WORDS("is not a regular file"));
}

/* Writes the file with the number at `at` replaced, cut to `bytes`, plain and .gz, and expects a refusal of both. */
static void refused_both_ways(int at, uint32_t number, size_t bytes, const char *plain_words, const char *packed_words)
{
    unsigned char file[BYTES], packed[2 * BYTES];
    make_file(file);
    if (at >= 0) put_number(file + at, number);
    write_file("bad", file, bytes);
    refuses(config_for("bad"), AVI_TRAIN, AVI_ERR_DATA, WORDS("/bad", plain_words));
    write_file("bad.gz", packed, compress_into(packed, sizeof packed, file, bytes));
    refuses(config_for("bad.gz"), AVI_TRAIN, AVI_ERR_DATA, WORDS("/bad.gz", packed_words));
}

static void headers(void **state)
{
    (void)state;
    refused_both_ways(0, 0x801, BYTES, "is a labels file; give the images file",
                      "is a labels file; give the images file");
    refused_both_ways(0, 0x12345678, BYTES, "is not an IDX file: magic number 0x12345678", "is not an IDX file");
    refused_both_ways(0, 0xd03, BYTES, "type 0x0d with 3 dimensions", "type 0x0d with 3 dimensions");
    refused_both_ways(0, 0x89484446, BYTES, "is an HDF5 file; set data.source = hdf5", "is an HDF5 file");
    refused_both_ways(4, 0, HEADER, "has no images (0 rows)", "has no images (0 rows)");
    refused_both_ways(8, 0, BYTES, "images of 0 x 4 pixels", "images of 0 x 4 pixels");
    refused_both_ways(12, 0xffffffff, BYTES, "images of 5 x 4294967295 pixels", "images of 5 x 4294967295 pixels");
    refused_both_ways(4, 0x80000000, BYTES, "is truncated: 2147483648 images", "cannot come from its");
}

static void sizes(void **state)
{
    (void)state;
    refused_both_ways(-1, 0, BYTES - 1, "is truncated: 23 images of 5 x 4", "is truncated: it holds less");
    refused_both_ways(4, ROWS - 1, BYTES, "holds 20 bytes more than its header tells",
                      "holds more than its header tells");
    refused_both_ways(-1, 0, 10, "is truncated: it holds 10 bytes", "it holds 10 bytes, the header alone has 16");
    write_file("empty", "", 0);
    refuses(config_for("empty"), AVI_TRAIN, AVI_ERR_DATA, WORDS("is truncated: it holds 0 bytes"));
    refuses(config_of("source = idx\npath = %s\nrows = 24\n", in_folder("plain")), AVI_TRAIN, AVI_ERR_CONFIG,
            WORDS("test.ini:4", "[data] rows", "has 23 rows; give at most 23, or 0 for all"));
}

/* Damage that shows only while the stream is read: at open or at load, on all ranks. */
static void damaged_streams(void **state)
{
    (void)state;
    unsigned char file[BYTES], packed[2 * BYTES];
    make_file(file);
    const size_t bytes = compress_into(packed, sizeof packed, file, sizeof file);
    for (size_t cut = 2; cut < bytes; cut += 7) {
        write_file("cut.gz", packed, cut);
        avi_data *d = NULL;
        assert_int_equal(open_and_load(config_for("cut.gz"), AVI_TRAIN, 6, true, &d), AVI_ERR_DATA);
        assert_non_null(strstr(avi_error_text(), "/cut.gz"));
        assert_true(strstr(avi_error_text(), "truncated") || strstr(avi_error_text(), "corrupt"));
    }
    packed[bytes - 6] ^= 0x40; /* the checksum at its end */
    write_file("crc.gz", packed, bytes);
    avi_data *d = NULL;
    assert_int_equal(open_and_load(config_for("crc.gz"), AVI_TRAIN, 6, true, &d), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "corrupt (incorrect data check)"));
    packed[bytes - 6] ^= 0x40;
    packed[bytes / 2] ^= 0xff;
    write_file("flip.gz", packed, bytes);
    assert_int_equal(open_and_load(config_for("flip.gz"), AVI_TRAIN, 6, true, &d), AVI_ERR_DATA);
    avi_error_clear();
}

/* A stream larger than zlib's buffers, whose checksum is only compared when the end is reached. */
static void damaged_end_of_a_large_stream(void **state)
{
    (void)state;
    enum { LARGE = 16 + 2000 * 400 };
    static unsigned char file[LARGE], packed[LARGE];
    put_number(file, 0x803);
    put_number(file + 4, 2000);
    put_number(file + 8, 20);
    put_number(file + 12, 20);
    for (int64_t i = 16; i < LARGE; i++) file[i] = pixel(i / 400, i % 400);
    const size_t bytes = compress_into(packed, sizeof packed, file, sizeof file);
    avi_data *d = NULL;
    write_file("large.gz", packed, bytes);
    assert_int_equal(open_and_load(config_for("large.gz"), AVI_TRAIN, 6, true, &d), AVI_OK);
    avi_data_destroy(&d);
    packed[bytes - 6] ^= 1;
    write_file("large.gz", packed, bytes);
    assert_int_equal(open_and_load(config_for("large.gz"), AVI_TRAIN, 6, true, &d), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "corrupt (incorrect data check)"));
    avi_error_clear();
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(test_split),
        cmocka_unit_test(files_that_are_not_there),
        cmocka_unit_test(headers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(damaged_streams),
        cmocka_unit_test(damaged_end_of_a_large_stream),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
