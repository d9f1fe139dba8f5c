/* Stores from elsewhere. First byte odd: the rest is the file. Even: a well-formed HDF5 file whose claims are drawn
 * from the rest (types, shapes, layouts, texts, checksums that are there, wrong or no text). Opened, verified, read, or
 * refused with a message. */
#include "store/store_internal.h"
#include "input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static avi_comm *world;
static char path[64];

/* HDF5 asks for as much memory as a header claims before it finds the header wrong, and leaks what it refuses. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1:detect_leaks=0"; }

static void stop(void)
{
    unlink(path);
    avi_comm_finish(&world);
}

static void start(void)
{
    if (world) return;
    must(avi_comm_start(NULL, NULL, &world) == AVI_OK, "start");
    snprintf(path, sizeof path, "%s/avi_fuzz.%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    atexit(stop);
    avi_h5_silence();
    (void)H5set_free_list_limits(-1, -1, -1, -1, -1, -1); /* faster: its large blocks would be mapped anew each time */
}

static hsize_t next_size(bytes *b)
{
    const unsigned v = next(b);
    return v < 200 ? v % 9 : v < 230 ? (hsize_t)1 << (v - 200) : (hsize_t)1 << (2 * (v - 230) + 12);
}

static hid_t text_of(bytes *b)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    const unsigned v = next(b);
    (void)H5Tset_size(type, v > 250 ? H5T_VARIABLE : v > 240 ? 100000 : 1 + v % 20);
    (void)H5Tset_strpad(type, v % 2 ? H5T_STR_NULLTERM : H5T_STR_SPACEPAD);
    return type;
}

static hid_t next_type(bytes *b)
{
    const hid_t types[] = {H5T_STD_U8LE,   H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I64LE,
                           H5T_IEEE_F64BE, H5T_STD_I8LE,   H5T_STD_REF_OBJ};
    const unsigned v = next(b) % 8;
    return v == 7 ? text_of(b) : H5Tcopy(types[v]);
}

static hid_t next_space(bytes *b)
{
    hsize_t shape[6] = {0};
    const int dimensions = (int)(next(b) % 7);
    for (int d = 0; d < dimensions; d++) shape[d] = next_size(b);
    if (dimensions) return H5Screate_simple(dimensions, shape, NULL);
    return H5Screate(next(b) % 4 ? H5S_SCALAR : H5S_NULL);
}

/* An attribute of any type; texts of 16 hexadecimal digits often. */
static void put_attribute(bytes *b, hid_t object, const char *name)
{
    static char value[100001];
    const unsigned how = next(b) % 4;
    if (how == 0) return;
    const hid_t type = how == 1 ? next_type(b) : H5Tcopy(H5T_C_S1),
                space = how == 1 ? next_space(b) : H5Screate(H5S_SCALAR);
    if (how > 1) (void)H5Tset_size(type, 17);
    for (int i = 0; i < 17; i++)
        value[i] = how == 1 ? (char)next(b) : i < 16 ? "0123456789abcdefgx"[next(b) % (how == 2 ? 1 : 18)] : '\0';
    const hid_t attribute = space < 0 ? -1 : H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        if (H5Tis_variable_str(type) == 0 && H5Sget_simple_extent_npoints(space) == 1)
            (void)H5Awrite(attribute, type, value);
        H5Aclose(attribute);
    }
    if (space >= 0) H5Sclose(space);
    H5Tclose(type);
}

static void put_dataset(bytes *b, hid_t file)
{
    const hid_t type = next_type(b), space = next_space(b), plan = H5Pcreate(H5P_DATASET_CREATE);
    const unsigned storage = next(b);
    (void)H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
    if (storage % 8 == 1) (void)H5Pset_layout(plan, H5D_COMPACT);
    if (storage % 8 == 2) (void)H5Pset_external(plan, "/etc/passwd", 0, H5F_UNLIMITED);
    if (storage % 8 > 3) (void)H5Pset_alloc_time(plan, H5D_ALLOC_TIME_EARLY);
    const hid_t set = space < 0 ? -1 : H5Dcreate2(file, "x", type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    if (set >= 0) {
        put_attribute(b, set, "checksum");
        put_attribute(b, set, "axes");
        H5Dclose(set);
    }
    H5Pclose(plan);
    if (space >= 0) H5Sclose(space);
    H5Tclose(type);
}

static void make_file(bytes *b)
{
    const hid_t access_plist = avi_h5_access();
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access_plist);
    must(file >= 0, "create");
    put_dataset(b, file);
    put_attribute(b, file, "a");
    const unsigned link = next(b) % 4;
    if (link == 1) (void)H5Lcreate_soft("/x", file, "s", H5P_DEFAULT, H5P_DEFAULT);
    if (link == 2) (void)H5Lcreate_external("/no/such.h5", "/x", file, "s", H5P_DEFAULT, H5P_DEFAULT);
    if (link == 3) (void)H5Lcreate_hard(file, "/", file, "s", H5P_DEFAULT, H5P_DEFAULT);
    (void)H5Fclose(file);
    H5Pclose(access_plist);
    /* A huge claim makes a file with a hole as large, which is then honest: cut it, as a hostile sender would. */
    struct stat about;
    if (stat(path, &about) == 0 && about.st_size > 1 << 20) must(truncate(path, 1 << 20) == 0, "truncate");
}

static void read_all(int64_t file_bytes)
{
    avi_store *store;
    avi_dtype type;
    int rank;
    int64_t dims[4], n;
    double x;
    char *text;
    if (avi_store_open(world, path, &store) != AVI_OK) return;
    if (avi_store_shape(store, "/x", &type, &rank, dims) == AVI_OK) {
        int64_t bytes_wanted = (int64_t)avi_dtype_size(type);
        for (int d = 0; d < rank; d++) { /* stops before it overflows; a zero anywhere makes an empty dataset */
            must(dims[d] >= 0, "a negative size");
            if (dims[d] > 0 && bytes_wanted > INT64_MAX / dims[d])
                bytes_wanted = INT64_MAX / 2;
            else
                bytes_wanted *= dims[d];
        }
        for (int d = 0; d < rank; d++)
            if (dims[d] == 0) bytes_wanted = 0;
        must(bytes_wanted <= file_bytes, "a shape larger than the file");
        void *out = malloc((size_t)bytes_wanted + 1);
        must(out != NULL, "memory");
        (void)avi_store_read(store, "/x", type, rank, dims, rank > 0, out);
        (void)avi_store_read(store, "/x", type, rank, dims, false, out);
        free(out);
    }
    if (avi_store_read_text(store, "/x", &text) == AVI_OK) free(text);
    if (avi_store_shape(store, "/s", &type, &rank, dims) == AVI_OK &&
        avi_store_attribute_text(store, "/s", "axes", &text) == AVI_OK)
        free(text);
    if (avi_store_attribute_text(store, "/", "a", &text) == AVI_OK) free(text);
    (void)avi_store_attribute_int(store, "/", "a", &n);
    (void)avi_store_attribute_real(store, "/x", "axes", &x);
    avi_store_close(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    bytes b = {data, size, 1};
    if (size > 0 && data[0] % 2) {
        FILE *file = fopen(path, "wb");
        must(file != NULL, "fopen");
        (void)fwrite(data + 1, 1, size - 1, file);
        fclose(file);
    } else {
        make_file(&b);
    }
    struct stat about;
    must(stat(path, &about) == 0, "stat");
    avi_error_clear();
    const avi_status status = avi_store_verify(path);
    must(status == AVI_OK || *avi_error_text(), "refused without a word");
    avi_error_clear();
    read_all((int64_t)about.st_size);
    avi_error_clear();
    return 0;
}
