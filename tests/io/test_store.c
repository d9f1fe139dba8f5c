/* Stores at any number of ranks. Checksums were worked out in Python (store.py holds the code). */
#include "store_sample.h"
#include "store_support.h"

static avi_status write_sample(const char *path)
{
    sample *s = sample_make(world);
    const avi_status status = avi_store_write(world, path, s->fields, SAMPLE_FIELDS, s->attributes, SAMPLE_ATTRIBUTES);
    sample_free(s);
    return status;
}

static void round_trip(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) { /* the second replaces the first */
        assert_int_equal(write_sample(in("a.h5")), AVI_OK);
        assert_int_equal(sample_check(world, in("a.h5")), 0);
        assert_false(exists(in("a.h5.tmp")));
        meet();
    }
}

static void checksums_are_those_of_python(void **state)
{
    (void)state;
    const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    /* store.py: b = bytes(range(1, 12)); checksum(b, 11), checksum(b, 1), checksum(b[:10], 5, first=3). */
    assert_true(avi_checksum_rows(bytes, 0, 1, 11) == UINT64_C(0xa6e7a60e19cf6d3b));
    assert_true(avi_checksum_rows(bytes, 0, 11, 1) == UINT64_C(0xed4df7d29b3c6926));
    assert_true(avi_checksum_rows(bytes, 3, 2, 5) == UINT64_C(0x93ac3ffb89a977fb));
    assert_true(avi_checksum_rows(bytes, 0, 4, 0) == 0);
    /* In pieces, as long rows are read back. */
    assert_true(avi_checksum_end(avi_checksum_add(avi_checksum_add(avi_checksum_begin(0), bytes, 8), bytes + 8, 3)) ==
                UINT64_C(0xa6e7a60e19cf6d3b));
}

static void rows_longer_than_a_piece(void **state)
{
    (void)state;
    enum { WIDTH = 300001 }; /* doubles: 2.4 MB a row */
    const int64_t first = avi_slab_first(3, avi_comm_size(world), avi_comm_rank(world));
    const int64_t count = avi_slab_first(3, avi_comm_size(world), avi_comm_rank(world) + 1) - first,
                  dims[4] = {3, WIDTH};
    double *data = calloc((size_t)count * WIDTH + 1, 8), *got = calloc((size_t)3 * WIDTH, 8);
    assert_true(data && got);
    for (int64_t k = 0; k < count * WIDTH; k++) data[k] = (double)(first * WIDTH + k);
    const avi_field f = {
        .path = "/x", .type = AVI_F64, .rank = 2, .dims = {3, WIDTH}, .distributed = true, .data = data};
    assert_int_equal(avi_store_write(world, in("long.h5"), &f, 1, NULL, 0), AVI_OK);
    avi_store *store;
    assert_int_equal(avi_store_open(world, in("long.h5"), &store), AVI_OK);
    assert_int_equal(avi_store_read(store, "/x", AVI_F64, 2, dims, false, got), AVI_OK);
    for (int64_t k = 0; k < 3 * WIDTH; k++) assert_true(got[k] == (double)k);
    avi_store_close(&store);
    if (is_root()) assert_int_equal(avi_store_verify(in("long.h5")), AVI_OK);
    meet();
    flip(in("long.h5"), -9, 1);
    if (is_root()) assert_int_equal(avi_store_verify(in("long.h5")), AVI_ERR_DATA);
    meet();
    free(data);
    free(got);
}

static void many_datasets_and_attributes(void **state)
{
    (void)state;
    enum { MANY = 300 };
    static char paths[MANY][32];
    avi_field fields[MANY];
    avi_attribute attributes[MANY];
    double value = 2.5;
    for (int i = 0; i < MANY; i++) {
        snprintf(paths[i], sizeof paths[i], "/group%d/name%d", i % 7, i);
        fields[i] = (avi_field){.path = paths[i], .type = AVI_F64, .data = &value};
        attributes[i] = (avi_attribute){.group = "/many", .name = paths[i] + 1, .integer = i};
    }
    assert_int_equal(avi_store_write(world, in("many.h5"), fields, MANY, attributes, MANY), AVI_OK);
    avi_store *store;
    assert_int_equal(avi_store_open(world, in("many.h5"), &store), AVI_OK);
    for (int i = 0; i < MANY; i++) {
        int64_t n = -1;
        assert_int_equal(avi_store_attribute_int(store, "/many", paths[i] + 1, &n), AVI_OK);
        assert_int_equal(n, i);
    }
    avi_store_close(&store);
}

/* ---- supplies ---- */

enum { WIDE = 1 << 17 /* doubles: 1 MiB a row */, SUPPLIED_ROWS = 41 };

typedef struct supplier {
    int64_t calls, fail_at; /* -1: never */
} supplier;

static double value_at(int field, int64_t row, int64_t column)
{
    return (double)(field * 1000 + row * 7 + column % 1000);
}

static avi_status supply_rows(void *self, int64_t first, int64_t count, void *const *out)
{
    supplier *s = self;
    if (s->calls++ == s->fail_at) return avi_fail(AVI_ERR_DATA, "no more rows");
    assert_true(count <= avi_row_producer_piece((WIDE + 1) * 8));
    for (int64_t i = 0; i < count; i++) {
        for (int64_t c = 0; c < WIDE; c++) ((double *)out[0])[i * WIDE + c] = value_at(0, first + i, c);
        ((double *)out[1])[i] = value_at(1, first + i, 0);
    }
    return AVI_OK;
}

/* Two fields of many pieces, supplied or held, between others. */
static avi_status write_rows(const char *path, supplier *s)
{
    const int64_t first = avi_slab_first(SUPPLIED_ROWS, avi_comm_size(world), avi_comm_rank(world));
    const int64_t count = avi_slab_first(SUPPLIED_ROWS, avi_comm_size(world), avi_comm_rank(world) + 1) - first;
    double *wide = malloc((size_t)(count + 1) * WIDE * 8), *narrow = malloc((size_t)(count + 1) * 8), one = 1.5;
    assert_true(wide && narrow);
    void *const out[2] = {wide, narrow};
    supplier all = {.fail_at = -1};
    const avi_row_producer supply = {.rows = supply_rows, .self = s};
    for (int64_t i = 0; i < count; i++) {
        void *const row[2] = {(char *)out[0] + i * WIDE * 8, (char *)out[1] + i * 8};
        assert_int_equal(supply_rows(&all, first + i, 1, row), AVI_OK);
    }
    const avi_field fields[] = {
        {.path = "/before", .type = AVI_F64, .rank = 1, .dims = {SUPPLIED_ROWS}, .distributed = true, .data = narrow},
        {.path = "/a/wide",
         .type = AVI_F64,
         .rank = 2,
         .dims = {SUPPLIED_ROWS, WIDE},
         .distributed = true,
         .data = s ? NULL : wide,
         .supply = s ? &supply : NULL},
        {.path = "/a/narrow",
         .type = AVI_F64,
         .rank = 1,
         .dims = {SUPPLIED_ROWS},
         .distributed = true,
         .data = s ? NULL : narrow,
         .supply = s ? &supply : NULL},
        {.path = "/after", .type = AVI_F64, .data = &one}};
    const avi_status status = avi_store_write(world, path, fields, 4, NULL, 0);
    free(wide);
    free(narrow);
    return status;
}

/* What is supplied in pieces is, to the last byte of the file, what is held; a supply that fails leaves nothing. */
static void supplied_is_held(void **state)
{
    (void)state;
    supplier s = {.fail_at = -1};
    char command[1200];
    assert_int_equal(write_rows(in("held.h5"), NULL), AVI_OK);
    assert_int_equal(write_rows(in("supplied.h5"), &s), AVI_OK);
    const int64_t longest = (SUPPLIED_ROWS + avi_comm_size(world) - 1) / avi_comm_size(world),
                  most = avi_row_producer_piece((WIDE + 1) * 8);
    assert_int_equal(s.calls, (longest + most - 1) / most);
    if (is_root()) {
        snprintf(command, sizeof command, "cmp '%s' '%s'", in("held.h5"), in("supplied.h5"));
        assert_int_equal(system(command), 0);
        assert_int_equal(avi_store_verify(in("supplied.h5")), AVI_OK);
    }
    meet();
    s = (supplier){.fail_at = 1};
    avi_error_clear();
    assert_int_equal(write_rows(in("failed.h5"), &s), AVI_ERR_DATA);
    assert_non_null(strstr(avi_error_text(), "no more rows"));
    assert_false(exists(in("failed.h5")) || exists(in("failed.h5.tmp")));
    meet();
}

/* Each refusal with its code and its words. */
static void refusals(void **state)
{
    (void)state;
    avi_store *store;
    const int64_t dims[4] = {SAMPLE_ROWS, 4};
    char out[8];
    char *text;
    int64_t n;
    assert_int_equal(write_sample(in("b.h5")), AVI_OK);
    REFUSED(avi_store_open(world, in("none.h5"), &store), AVI_ERR_NOINPUT, "none.h5: cannot open");
    assert_null(store);
    REFUSED(avi_store_open(world, place, &store), AVI_ERR_DATA, "not a file");
    if (is_root()) {
        FILE *f = fopen(in("text.h5"), "w");
        assert_non_null(f);
        fputs("no HDF5 at all\n", f);
        fclose(f);
    }
    meet();
    REFUSED(avi_store_open(world, in("text.h5"), &store), AVI_ERR_DATA, "not an HDF5 file");
    assert_int_equal(avi_store_open(world, in("b.h5"), &store), AVI_OK);
    REFUSED(avi_store_read(store, "/local/mean", AVI_F32, 2, dims, true, out), AVI_ERR_DATA,
            "/local/mean is (103, 3) of 32-bit real, expected (103, 4) of 32-bit real");
    REFUSED(avi_store_read(store, "/nothing", AVI_F32, 2, dims, true, out), AVI_ERR_DATA, "no dataset /nothing");
    REFUSED(avi_store_read(store, "/local", AVI_F32, 2, dims, true, out), AVI_ERR_DATA, "/local is not a dataset");
    REFUSED(avi_store_read(store, "/config/ini", AVI_U8, 1, dims, true, out), AVI_ERR_DATA, "is a text");
    REFUSED(avi_store_read_text(store, "/few", &text), AVI_ERR_DATA, "not a text");
    REFUSED(avi_store_attribute_text(store, "/", "missing", &text), AVI_ERR_DATA, "no attribute missing");
    REFUSED(avi_store_attribute_text(store, "/provenance", "seed", &text), AVI_ERR_DATA,
            "seed of /provenance is not a text");
    REFUSED(avi_store_attribute_int(store, "/", "format", &n), AVI_ERR_DATA, "format of / is not an integer");
    REFUSED(avi_store_attribute_int(store, "/provenance/more", "rate", &n), AVI_ERR_DATA, "not an integer");
    avi_store_close(&store);
    assert_null(store);
    REFUSED(write_sample(in("no/such/folder.h5")), AVI_ERR_CANTCREATE, "No such file or directory");
    const avi_field bad = {.path = "/x", .type = AVI_F64, .rank = 1, .dims = {4}, .distributed = true}; /* no data */
    REFUSED(avi_store_write(world, in("c.h5"), &bad, 1, NULL, 0), AVI_ERR_INTERNAL, "no data");
    assert_false(exists(in("c.h5")));
    double x = 1;
    const avi_row_producer supply = {.rows = supply_rows};
    const avi_field both = {
        .path = "/x", .type = AVI_F64, .rank = 1, .dims = {4}, .distributed = true, .data = &x, .supply = &supply};
    REFUSED(avi_store_write(world, in("c.h5"), &both, 1, NULL, 0), AVI_ERR_INTERNAL, "in place of data");
    const avi_field twice[2] = {{.path = "/x", .type = AVI_F64, .data = &x},
                                {.path = "/x", .type = AVI_F64, .data = &x}};
    REFUSED(avi_store_write(world, in("b.h5"), twice, 2, NULL, 0), AVI_ERR_IO, "cannot make dataset /x");
    assert_false(exists(in("b.h5.tmp")));
    assert_int_equal(sample_check(world, in("b.h5")), 0); /* untouched */
    /* A folder in the place of the target: the rename fails, the temporary goes. */
    if (is_root()) assert_int_equal(mkdir(in("d.h5"), 0777), 0);
    meet();
    REFUSED(write_sample(in("d.h5")), AVI_ERR_CANTCREATE, "d.h5: cannot replace");
    assert_false(exists(in("d.h5.tmp")));
    meet();
}

/* Every byte of a file with a small dataset flipped, and the file cut at every length: refused, or it makes no
 * difference. */
static void damage_is_seen(void **state)
{
    (void)state;
    const double x[3] = {1, 2, 3};
    const avi_field f = {
        .path = "/x", .type = AVI_F64, .rank = 1, .dims = {3}, .data = x, .description = "three", .axes = "row"};
    const avi_attribute a = {.group = "/", .name = "step", .integer = 7};
    assert_int_equal(avi_store_write(world, in("whole.h5"), &f, 1, &a, 1), AVI_OK);
    if (!is_root()) return;
    static char whole[65536];
    FILE *file = fopen(in("whole.h5"), "rb");
    assert_non_null(file);
    const size_t bytes = fread(whole, 1, sizeof whole, file);
    fclose(file);
    assert_true(bytes > 500 && bytes < sizeof whole);
    size_t unseen = 0, first_unseen = 0, last_unseen = 0;
    for (size_t i = 0; i < 2 * bytes; i++) { /* bytes flipped, then lengths cut */
        file = fopen(in("hurt.h5"), "wb");
        assert_non_null(file);
        if (i < bytes) whole[i] = (char)~whole[i];
        assert_int_equal(fwrite(whole, 1, i < bytes ? bytes : i - bytes, file), i < bytes ? bytes : i - bytes);
        if (i < bytes) whole[i] = (char)~whole[i];
        fclose(file);
        const avi_status status = avi_store_verify(in("hurt.h5"));
        avi_error_clear();
        if (i >= bytes) assert_int_equal(status, AVI_ERR_DATA);
        if (status != AVI_OK) continue;
        if (unseen++ == 0) first_unseen = i;
        last_unseen = i;
        assert_int_equal(whole[i], 0);
    }
    /* HDF5 takes 2 KiB for metadata at once: what is left of it, in one piece of zeros, may change unseen; nothing else
     * may. */
    assert_true(unseen == last_unseen - first_unseen + 1 && first_unseen > 400 && last_unseen < bytes - sizeof x);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(checksums_are_those_of_python, clear_error),
        cmocka_unit_test_setup(round_trip, clear_error),
        cmocka_unit_test_setup(rows_longer_than_a_piece, clear_error),
        cmocka_unit_test_setup(many_datasets_and_attributes, clear_error),
        cmocka_unit_test_setup(supplied_is_held, clear_error),
        cmocka_unit_test_setup(refusals, clear_error),
        cmocka_unit_test_setup(damage_is_seen, clear_error),
    };
    if (!begin_tests(&argc, &argv)) return 70;
    return end_tests(cmocka_run_group_tests(tests, NULL, NULL));
}
