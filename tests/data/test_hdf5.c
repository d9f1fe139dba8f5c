/* HDF5 files: what is written is what is read, and every bad file is refused with its code and its reason. */
#include "data_support.h"

#include "hdf5/hdf5_probe.h"

#include <hdf5.h>

#include <math.h>

enum { ROWS = 19 };

static double number(int64_t i) { return (double)((i * 37) % 251) / 4; }

/* Rank 0 adds a dataset of `type` with number(i), rounded for integers, to the file that is being written. `chunk`
 * rows; 0: contiguous. */
static void add(hid_t file, const char *name, hid_t type, int dimensions, const hsize_t *dimension, hsize_t chunk,
                int deflate)
{
    hsize_t count = 1, piece[H5S_MAX_RANK];
    for (int i = 0; i < dimensions; i++) count *= piece[i] = dimension[i];
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    piece[0] = chunk;
    if (chunk) H5Pset_chunk(plan, dimensions, piece);
    if (deflate) H5Pset_deflate(plan, 9);
    const hid_t space = dimensions ? H5Screate_simple(dimensions, dimension, NULL) : H5Screate(H5S_SCALAR);
    const hid_t set = H5Dcreate2(file, name, type, space, links, plan, H5P_DEFAULT);
    double *values = malloc((size_t)count * sizeof *values + 1);
    for (hsize_t i = 0; i < count; i++) values[i] = number((int64_t)i);
    assert_true(set >= 0 && values);
    if (count > 0) assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    free(values);
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(plan);
    H5Pclose(links);
}

static void bare(hid_t file, const char *name, hid_t type, hsize_t rows, hsize_t chunk, const char *external)
{
    const hid_t space = H5Screate_simple(1, &rows, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk) H5Pset_chunk(plan, 1, &chunk);
    if (chunk) H5Pset_deflate(plan, 9);
    if (external) H5Pset_external(plan, external, 0, H5F_UNLIMITED);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Pclose(plan);
    H5Sclose(space);
}

static void write_files(void)
{
    const hid_t f = H5Fcreate(in_folder("good.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(f >= 0);
    const hsize_t plain[] = {ROWS, 6}, images[] = {ROWS, 2, 3}, deep[] = {ROWS, 2, 3, 1}, none[] = {0, 6};
    add(f, "x", H5T_IEEE_F32LE, 2, plain, 0, 0);
    add(f, "big_endian", H5T_IEEE_F64BE, 2, plain, 4, 1);
    add(f, "bytes", H5T_STD_U8LE, 3, images, 5, 1);
    add(f, "column", H5T_IEEE_F64LE, 1, plain, 0, 0);
    add(f, "group/test", H5T_IEEE_F32LE, 2, (const hsize_t[]){4, 6}, 0, 0);
    add(f, "integers", H5T_STD_I32LE, 2, plain, 0, 0);
    add(f, "signed_bytes", H5T_STD_I8LE, 2, plain, 0, 0);
    add(f, "deep", H5T_IEEE_F32LE, 4, deep, 0, 0);
    add(f, "scalar", H5T_IEEE_F32LE, 0, NULL, 0, 0);
    add(f, "empty", H5T_IEEE_F32LE, 2, none, 0, 0);
    bare(f, "unwritten", H5T_IEEE_F32LE, 1000, 0, NULL);
    bare(f, "claims", H5T_IEEE_F64LE, (hsize_t)1 << 50, 1024, NULL);
    bare(f, "elsewhere", H5T_STD_U8LE, 100, 0, "/etc/passwd");
    const hid_t text = H5Tcopy(H5T_C_S1);
    bare(f, "text", text, 3, 0, NULL);
    H5Tclose(text);
    H5Fclose(f);
}

/* Rows of the dataset as the model sees them are number(i) * scale (rounded for bytes). */
static void loads(const char *lines, avi_split split, int64_t rows, int64_t height, int64_t columns, avi_dtype type,
                  double scale)
{
    avi_data *d = NULL;
    const avi_status status =
        open_and_load(config_of("source = hdf5\npath = %s\n%s", in_folder("good.h5"), lines), split, 6, true, &d);
    if (status != AVI_OK) print_message("%s\n", avi_error_text());
    assert_int_equal(status, AVI_OK);
    assert_int_equal(d->shape.rows, rows);
    assert_int_equal(d->shape.height, height);
    assert_int_equal(d->shape.columns, columns);
    assert_int_equal(d->shape.width, height * columns);
    assert_int_equal(d->shape.type, type);
    double row[6];
    for (int64_t i = 0; i < d->count; i++) {
        const int64_t given = avi_partition_original(&d->partition, d->first + i);
        avi_data_fetch_f64(d, d->first + i, 1, row);
        for (int64_t c = 0; c < d->shape.width; c++) {
            const double v = number(given * d->shape.width + c);
            assert_true(fabs(row[c] - (type == AVI_U8 ? trunc(v) : v) * scale) < 1e-12);
        }
    }
    avi_data_destroy(&d);
}

static void round_trips(void **state)
{
    (void)state;
    if (self == 0) write_files();
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    loads("", AVI_TRAIN, ROWS, 1, 6, AVI_F32, 1);
    loads("rows = 5\nscale = 0.5\n", AVI_TRAIN, 5, 1, 6, AVI_F32, 0.5);
    loads("dataset = big_endian\nheight = 3\n", AVI_TRAIN, ROWS, 3, 2, AVI_F64, 1);
    loads("dataset = bytes\n", AVI_TRAIN, ROWS, 2, 3, AVI_U8, 1.0 / 255);
    loads("dataset = bytes\nscale = 2\nheight = 2\n", AVI_TRAIN, ROWS, 2, 3, AVI_U8, 2);
    loads("dataset = column\n", AVI_TRAIN, ROWS, 1, 1, AVI_F64, 1);
    loads("test_dataset = group/test\n", AVI_TEST, 4, 1, 6, AVI_F32, 1);
    char other[256];
    snprintf(other, sizeof other, "test_path = %s\ntest_rows = 2\n", in_folder("good.h5"));
    loads(other, AVI_TEST, 2, 1, 6, AVI_F32, 1);
    avi_source *s = NULL;
    avi_config *config = config_of("source = hdf5\npath = %s\n", in_folder("good.h5"));
    assert_int_equal(avi_source_open(config, world, AVI_TEST, &s), AVI_OK);
    assert_int_equal(s->shape.rows, 0);
    avi_source_close(&s);
    avi_config_destroy(&config);
}

static avi_config *config_for(const char *name, const char *lines)
{
    return config_of("source = hdf5\npath = %s\n%s", in_folder(name), lines);
}

static void datasets_that_do_not_serve(void **state)
{
    (void)state;
    refuses(config_for("good.h5", "dataset = y\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("[data] dataset = y: no such dataset in", "it has: ", "x (19, 6)", "bytes (19, 2, 3)",
                  "group/test (4, 6)"));
    refuses(config_for("good.h5", "dataset = group\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("[data] dataset = group: is a group", "it has: group/test (4, 6)"));
    refuses(config_for("good.h5", "dataset =\n"), AVI_TRAIN, AVI_ERR_DATA, WORDS("no such dataset", "it has: "));
    refuses(config_for("good.h5", "test_dataset = t\n"), AVI_TEST, AVI_ERR_DATA,
            WORDS("[data] test_dataset = t: no such dataset"));
    refuses(config_for("good.h5", "dataset = text\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("holds text, which are no numbers"));
    refuses(config_for("good.h5", "dataset = scalar\n"), AVI_TRAIN, AVI_ERR_DATA, WORDS("has no dimensions"));
    refuses(config_for("good.h5", "dataset = empty\n"), AVI_TRAIN, AVI_ERR_DATA, WORDS("has no rows"));
    refuses(config_for("good.h5", "dataset = unwritten\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("but 0 are stored", "never written"));
    refuses(config_for("good.h5", "dataset = claims\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("the chunk from row 0 on was never written"));
    refuses(config_for("good.h5", "dataset = elsewhere\n"), AVI_TRAIN, AVI_ERR_DATA,
            WORDS("keeps its values in other files"));
    refuses(config_for("good.h5", "rows = 20\n"), AVI_TRAIN, AVI_ERR_CONFIG,
            WORDS("[data] rows", "has 19 rows; give at most 19"));
    refuses(config_for("good.h5", "height = 4\n"), AVI_TRAIN, AVI_ERR_CONFIG,
            WORDS("[data] height", "rows of 6 values; give a height that divides it"));
    refuses(config_for("good.h5", "dataset = bytes\nheight = 3\n"), AVI_TRAIN, AVI_ERR_CONFIG,
            WORDS("[data] height", "images of height 2"));
}

static void files_that_do_not_serve(void **state)
{
    (void)state;
    refuses(config_for("none.h5", ""), AVI_TRAIN, AVI_ERR_NOINPUT,
            WORDS("[data] path = ", "/none.h5: No such file", "give an HDF5 file"));
    refuses(config_for("", ""), AVI_TRAIN, AVI_ERR_NOINPUT, WORDS("is a folder"));
    refuses(config_of("source = hdf5\n"), AVI_TRAIN, AVI_ERR_CONFIG, WORDS("[data] path", "is not set"));
    write_file("text.h5", "no HDF5 at all", 14);
    refuses(config_for("text.h5", ""), AVI_TRAIN, AVI_ERR_DATA, WORDS("is not an HDF5 file"));
    static unsigned char bytes[1 << 16];
    size_t count = 0;
    if (self == 0) {
        FILE *f = fopen(in_folder("good.h5"), "rb");
        assert_non_null(f);
        count = fread(bytes, 1, sizeof bytes, f);
        fclose(f);
    }
    write_file("cut.h5", bytes, count / 2);
    refuses(config_for("cut.h5", ""), AVI_TRAIN, AVI_ERR_DATA, WORDS("cut.h5: HDF5 cannot open it: truncated"));
}

/* A chunk whose compressed bytes are damaged shows when it is read: on all ranks the same. */
static void damaged_chunk(void **state)
{
    (void)state;
    if (self == 0) {
        const hid_t f = H5Fcreate(in_folder("chunk.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        add(f, "x", H5T_IEEE_F64LE, 2, (const hsize_t[]){ROWS, 6}, ROWS, 1);
        const hid_t set = H5Dopen2(f, "x", H5P_DEFAULT);
        static const unsigned char junk[64] = {1, 2, 3, 4, 5};
        assert_true(H5Dwrite_chunk(set, H5P_DEFAULT, 0, (const hsize_t[]){0, 0}, sizeof junk, junk) >= 0);
        H5Dclose(set);
        H5Fclose(f);
    }
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    avi_data *d = NULL;
    assert_int_equal(open_and_load(config_for("chunk.h5", ""), AVI_TRAIN, 6, true, &d), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "cannot be read: truncated or corrupt"));
    avi_error_clear();
}

/* Chunks that reach beyond the rows may be stored without filters. Called here, not by a child. */
static void sound_chunks(void **state)
{
    (void)state;
    if (self == 0) {
        const hid_t f = H5Fcreate(in_folder("edges.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                    space = H5Screate_simple(2, (const hsize_t[]){ROWS, 6}, NULL), plan = H5Pcreate(H5P_DATASET_CREATE);
        assert_true(H5Pset_chunk(plan, 2, (const hsize_t[]){8, 4}) >= 0 && H5Pset_shuffle(plan) >= 0 &&
                    H5Pset_deflate(plan, 9) >= 0 && H5Pset_fletcher32(plan) >= 0 &&
                    H5Pset_chunk_opts(plan, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) >= 0);
        const hid_t set = H5Dcreate2(f, "x", H5T_IEEE_F64LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
        static const double values[ROWS * 6];
        assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
        H5Dclose(set);
        H5Pclose(plan);
        H5Sclose(space);
        H5Fclose(f);
    }
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    avi_hdf5 x;
    assert_int_equal(
        avi_hdf5_open(&x, &(avi_hdf5_request){"path", in_folder("edges.h5"), "dataset", "x", "", "auto", "0", ""}),
        AVI_OK);
    for (int part = 0; part < 4; part++) {
        const avi_status status = avi_hdf5_check_chunks(&x, 0, part, 4, NULL);
        if (status != AVI_OK) print_message("%s\n", avi_error_text());
        assert_int_equal(status, AVI_OK);
    }
    avi_hdf5_close(&x);
}

int main(int argc, char **argv)
{
    support_start(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(datasets_that_do_not_serve),
        cmocka_unit_test(files_that_do_not_serve),
        cmocka_unit_test(damaged_chunk),
        cmocka_unit_test(sound_chunks),
    };
    return support_finish(cmocka_run_group_tests(tests, NULL, NULL));
}
