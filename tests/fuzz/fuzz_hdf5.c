/* HDF5 files whose claims are drawn from the input: type, shape, chunks, filter, whether anything was written, chunks
 * that are no chunks. Their metadata are well formed, since HDF5 1.10 crashes on damaged ones; what they may claim is
 * ours to check. As in the program, chunks are looked at before the file is loaded: HDF5 reads past those that are too
 * short. */
#include "fuzz_source.h"

#include "hdf5/hdf5_probe.h"

#include <hdf5.h>

#include <math.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 4096 }; /* values that are written */

/* Mostly small; zero and the largest as well. */
static hsize_t next_size(bytes *b)
{
    const unsigned v = next(b);
    if (v < 200) return v % 9;
    return v < 230 ? (hsize_t)1 << (v - 200) : (hsize_t)1 << (2 * (v - 230) + 12);
}

static hid_t next_type(bytes *b)
{
    const hid_t types[] = {H5T_STD_U8LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_IEEE_F64BE,
                           H5T_STD_I8LE, H5T_STD_I32LE,  H5T_STD_U64BE,  H5T_C_S1,       H5T_STD_REF_OBJ};
    return types[next(b) % (sizeof types / sizeof types[0])];
}

static void write_some(bytes *b, hid_t set, hsize_t values)
{
    const unsigned how = next(b) % 4;
    if (how == 0 || values == 0 || values > MOST) return;
    static double numbers[MOST];
    for (hsize_t i = 0; i < values; i++) numbers[i] = how == 1 ? 0 : (double)next(b);
    if (how == 3) numbers[0] = (double)NAN;
    (void)H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers);
}

/* The first chunk as it lies in the file: any bytes, with any filters left out. */
static bool write_bare(bytes *b, hid_t set)
{
    static const hsize_t first[4];
    const unsigned left_out = next(b) % 4;
    const size_t left = b->size - b->at;
    return left > 0 && H5Dwrite_chunk(set, H5P_DEFAULT, left_out, first, left, b->data + b->at) >= 0;
}

static void set_filters(hid_t plan, unsigned storage)
{
    if (storage & 4 && storage & 128) (void)H5Pset_shuffle(plan);
    if (storage & 2) (void)H5Pset_deflate(plan, 6);
    if (storage & 4 && !(storage & 128)) (void)H5Pset_shuffle(plan); /* of what is compressed: nobody does that */
    if (storage & 64) (void)H5Pset_fletcher32(plan);
}

/* Whether the length of chunks is looked at. Where it is not, HDF5 reads them in the child, which may die of it. */
static bool is_usual(unsigned storage) { return (storage & 128) != 0 || (storage & 6) != 6; }

/* Whether a chunk is not HDF5's work. */
static bool make_file(bytes *b)
{
    const hid_t type = next_type(b), plan = H5Pcreate(H5P_DATASET_CREATE);
    const int dimensions = (int)(next(b) % 5);
    const unsigned storage = next(b);
    hsize_t shape[5] = {0}, chunk[5] = {0}, values = 1;
    for (int i = 0; i < dimensions; i++) {
        shape[i] = next_size(b);
        chunk[i] = 1 + (hsize_t)(next(b) % 8) * (storage & 16 ? 64 : 1);
        values = values > MOST || shape[i] > MOST ? (shape[i] && values ? MOST + 1 : 0) : values * shape[i];
    }
    const bool chunked = dimensions > 0 && storage & 1;
    bool bare = false;
    if (chunked && H5Pset_chunk(plan, dimensions, chunk) >= 0) set_filters(plan, storage);
    if (!chunked && storage & 8) (void)H5Pset_layout(plan, H5D_COMPACT);
    hid_t space =
        dimensions ? H5Screate_simple(dimensions, shape, NULL) : H5Screate(storage & 1 ? H5S_NULL : H5S_SCALAR);
    const hid_t file = H5Fcreate(fuzz_path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    must(file >= 0, "create");
    const hid_t set =
        space >= 0 ? H5Dcreate2(file, next(b) % 8 ? "x" : "y", type, space, H5P_DEFAULT, plan, H5P_DEFAULT) : -1;
    if (set >= 0) {
        write_some(b, set, values);
        if (chunked && storage & 32 && is_usual(storage) && values > 0 && values <= MOST) bare = write_bare(b, set);
        H5Dclose(set);
    }
    if (space >= 0) H5Sclose(space);
    H5Pclose(plan);
    H5Fclose(file);
    return bare;
}

/* Whether the child would let the file pass. */
static bool chunks_are_sound(void)
{
    avi_hdf5 x;
    avi_error_clear();
    avi_status status = avi_hdf5_open(&x, &(avi_hdf5_request){"path", fuzz_path, "dataset", "x", "", "auto", "0", ""});
    const bool chunked = status == AVI_OK && x.chunk[0] > 0;
    for (int part = 0; chunked && part < 2 && status == AVI_OK; part++)
        status = avi_hdf5_check_chunks(&x, 0, part, 2, NULL);
    avi_hdf5_close(&x);
    must(status == AVI_OK || status == AVI_ERR_DATA, "another status of the look than OK or DATA");
    must((status == AVI_OK) == !*avi_error_text(), "a look without a message, or the other way round");
    return !chunked || status == AVI_OK;
}

static avi_config *config_for(unsigned height, unsigned rows, unsigned scale)
{
    static avi_config *made[2][2][3];
    avi_config **config = &made[height][rows][scale];
    char lines[96];
    snprintf(lines, sizeof lines, "height = %u\nrows = %u\nscale = %u\n", 3 * height, 3 * rows, scale);
    if (!*config) *config = fuzz_config("hdf5", lines);
    return *config;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_start();
    (void)H5set_free_list_limits(-1, -1, -1, -1, -1, -1); /* faster: its large blocks would be mapped anew each time */
    bytes b = {data, size, 0};
    const unsigned height = next(&b) % 5 > 3, rows = next(&b) % 4 > 2, scale = next(&b) % 3;
    bool bare;
    H5E_BEGIN_TRY { bare = make_file(&b); }
    H5E_END_TRY;
    struct stat about;
    must(stat(fuzz_path, &about) == 0, "stat");
    const bool sound = (!bare && size % 4 != 0) || chunks_are_sound(); /* each look costs as much as the rest */
    if (bare && !sound) return 0;
    const avi_status status = fuzz_load(config_for(height, rows, scale), (size_t)about.st_size);
    must(sound || status != AVI_OK, "a sound file is refused");
    return 0;
}
