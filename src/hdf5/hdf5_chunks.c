#include "hdf5/hdf5_probe.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

/* HDF5 takes it from the index of chunks how many bytes each has in the file and which filters were left out, and
 * believes that a chunk is as long as it should be once the filters have been undone: one that is shorter is read past
 * its end. */
typedef struct chunks {
    const avi_hdf5 *x;
    hid_t plan;
    hsize_t file_bytes, bytes; /* of the file; of a chunk as it was before filters */
    int filters;
    bool edges_bare;       /* chunks that reach beyond the rows are stored without filters */
    unsigned char *stored; /* room for a chunk as it lies in the file, or as rows in memory */
    size_t room;
} chunks;

/* What a chunk has in the file, by the filters that were applied to it. */
typedef struct form {
    bool known;    /* whether these filters are known here */
    bool deflated; /* a stream that makes `inside` bytes, then `behind` bytes; else both without a stream */
    hsize_t inside, behind;
} form;

/* Bit i of `left_out`: filter i was not applied. */
static form find_form(const chunks *c, const hsize_t *at, unsigned left_out)
{
    form f = {.known = true, .inside = c->bytes};
    bool bare = false;
    for (int i = 0; i < c->x->dimensions; i++)
        bare = bare || (c->edges_bare && c->x->dimension[i] - at[i] < c->x->chunk[i]);
    for (int i = 0; i < c->filters && f.known && !bare; i++) {
        if (i < 32 && (left_out >> i & 1)) continue;
        unsigned flags;
        size_t values = 0;
        const H5Z_filter_t filter = H5Pget_filter2(c->plan, (unsigned)i, &flags, &values, NULL, 0, NULL, NULL);
        if (filter == H5Z_FILTER_FLETCHER32 && f.deflated)
            f.behind += 4;
        else if (filter == H5Z_FILTER_FLETCHER32)
            f.inside += 4;
        else if (filter == H5Z_FILTER_DEFLATE && !f.deflated)
            f.deflated = true;
        else
            f.known = filter == H5Z_FILTER_SHUFFLE && !f.deflated;
    }
    return f;
}

static bool inflates_to(unsigned char *stream, hsize_t bytes, hsize_t wanted)
{
    unsigned char piece[1 << 15];
    z_stream z = {.next_in = stream, .avail_in = (unsigned)bytes};
    hsize_t made = 0;
    int code = inflateInit(&z);
    if (code != Z_OK) return false;
    do {
        z.next_out = piece;
        z.avail_out = sizeof piece;
        code = inflate(&z, Z_NO_FLUSH);
        made += sizeof piece - z.avail_out;
    } while (code == Z_OK && made <= wanted);
    (void)inflateEnd(&z);
    return code == Z_STREAM_END && made == wanted;
}

/* HDF5 itself takes as much again, some times over, for what a filter makes. */
static avi_status get_room(chunks *c, double bytes, avi_hdf5_limits *limits)
{
    avi_hdf5_limits_grant(limits, 4 * bytes);
    if (bytes <= (double)c->room) return AVI_OK;
    free(c->stored);
    c->room = bytes < (double)SIZE_MAX ? (size_t)bytes : 0;
    c->stored = c->room ? malloc(c->room) : NULL;
    return c->stored ? AVI_OK : avi_fail_memory(c->room, "a chunk");
}

/* The first row of the chunk. */
static unsigned long long row_of(const chunks *c, const hsize_t *at)
{
    return (unsigned long long)at[c->x->transposed ? c->x->dimensions - 1 : 0];
}

static avi_status fail_chunk(const chunks *c, const hsize_t *at, const char *what)
{
    return avi_fail(AVI_ERR_DATA, "%s: the chunk from row %llu on %s: truncated or corrupt; copy or make it again",
                    c->x->path, row_of(c, at), what);
}

/* By HDF5, as the run will do it. */
static avi_status read_chunk(chunks *c, const hsize_t *at, avi_hdf5_limits *limits)
{
    const avi_hdf5 *x = c->x;
    hsize_t count[AVI_HDF5_DIMENSIONS];
    double bytes = (double)x->element;
    for (int i = 0; i < x->dimensions; i++) {
        count[i] = x->dimension[i] - at[i] < x->chunk[i] ? x->dimension[i] - at[i] : x->chunk[i];
        bytes *= (double)x->chunk[i];
    }
    AVI_TRY(get_room(c, bytes, limits));
    const hid_t memory = H5Screate_simple(x->dimensions, count, NULL);
    const bool good = memory >= 0 && H5Sselect_hyperslab(x->space, H5S_SELECT_SET, at, NULL, count, NULL) >= 0 &&
                      H5Dread(x->dataset, x->type, memory, x->space, H5P_DEFAULT, c->stored) >= 0;
    if (memory >= 0) H5Sclose(memory);
    return good ? AVI_OK : fail_chunk(c, at, "cannot be read");
}

/* The chunk whose first value is at `at`. */
static avi_status check_chunk(chunks *c, const hsize_t *at, avi_hdf5_limits *limits)
{
#if H5_VERSION_GE(1, 10, 5)
    const hid_t set = c->x->dataset;
    unsigned left_out = 0;
    uint32_t again = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(set, at, &left_out, &address, &size) < 0)
        return fail_chunk(c, at, "is not to be found");
    if (address == HADDR_UNDEF) return avi_hdf5_fail_unwritten(c->x, row_of(c, at));
    if (size == 0 || size > c->file_bytes || address > c->file_bytes - size || size > UINT_MAX)
        return fail_chunk(c, at, "lies beyond the end of the file");
    const form f = find_form(c, at, left_out);
    if (!f.known) return read_chunk(c, at, limits);
    if (!f.deflated) return size == f.inside ? AVI_OK : fail_chunk(c, at, "has another length than a chunk");
    AVI_TRY(get_room(c, (double)size, limits));
    if (size < f.behind || H5Dread_chunk(set, H5P_DEFAULT, at, &again, c->stored) < 0)
        return fail_chunk(c, at, "cannot be read");
    return inflates_to(c->stored, size - f.behind, f.inside) ? AVI_OK : fail_chunk(c, at, "cannot be decompressed");
#else
    return read_chunk(c, at, limits);
#endif
}

/* rows: those that are asked for, 0: all. */
static avi_status check_all(chunks *c, hsize_t rows, int part, int parts, avi_hdf5_limits *limits)
{
    const avi_hdf5 *x = c->x;
    const int of_rows = x->transposed ? x->dimensions - 1 : 0;
    hsize_t grid[AVI_HDF5_DIMENSIONS], all = 1;
    for (int i = 0; i < x->dimensions; i++) {
        const hsize_t end = i == of_rows && rows > 0 && rows < x->dimension[i] ? rows : x->dimension[i];
        grid[i] = (end - 1) / x->chunk[i] + 1;
        if (grid[i] > c->file_bytes / all) /* each has an entry in the file */
            return avi_fail(AVI_ERR_DATA, "%s claims more chunks than it has bytes: truncated or corrupt", x->path);
        all *= grid[i];
    }
    const hsize_t each = all / (hsize_t)parts, more = all % (hsize_t)parts, p = (hsize_t)part;
    const hsize_t first = p * each + (p < more ? p : more), end = first + each + (p < more);
    avi_status status = AVI_OK;
    for (hsize_t k = first; k < end && status == AVI_OK; k++) {
        hsize_t at[AVI_HDF5_DIMENSIONS], left = k;
        for (int i = x->dimensions - 1; i >= 0; i--) {
            at[i] = left % grid[i] * x->chunk[i];
            left /= grid[i];
        }
        avi_hdf5_limits_grant(limits, 0);
        status = check_chunk(c, at, limits);
    }
    return status;
}

avi_status avi_hdf5_check_chunks(const avi_hdf5 *x, int64_t rows, int part, int parts, avi_hdf5_limits *limits)
{
    chunks c = {.x = x, .plan = H5Dget_create_plist(x->dataset)};
    avi_status status = AVI_OK;
    H5E_BEGIN_TRY
    {
        const hid_t type = H5Dget_type(x->dataset), home = H5Iget_file_id(x->dataset);
        unsigned options = 0;
        c.edges_bare = c.plan >= 0 && H5Pget_chunk_opts(c.plan, &options) >= 0 &&
                       (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0;
        c.filters = c.plan >= 0 ? H5Pget_nfilters(c.plan) : -1;
        c.bytes = type >= 0 ? H5Tget_size(type) : 0;
        for (int i = 0; i < x->dimensions; i++) c.bytes *= x->chunk[i];
        const bool known = c.filters >= 0 && c.bytes > 0 && home >= 0 && H5Fget_filesize(home, &c.file_bytes) >= 0;
        if (type >= 0) H5Tclose(type);
        if (home >= 0) H5Fclose(home);
        status = known ? check_all(&c, (hsize_t)(rows > 0 ? rows : 0), part, parts, limits)
                       : avi_fail(AVI_ERR_DATA, "%s: the description of its chunks cannot be read", x->path);
        if (c.plan >= 0) H5Pclose(c.plan);
    }
    H5E_END_TRY;
    free(c.stored);
    return status;
}
