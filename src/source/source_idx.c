#include "avi/data.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* The IDX format of MNIST: a 32-bit magic number (two zero bytes, type of the values, number of dimensions), the
 * dimensions, the values; all numbers big-endian. A plain file is read by every rank, its own rows; a .gz stream only
 * by rank 0, from front to back. */
enum { HEADER_BYTES = 16, MAGIC_IMAGES = 0x00000803, MAGIC_LABELS = 0x00000801 };

/* Deflate makes at most 1032 bytes of one: what a stream may claim to hold before it is believed. */
enum { DEFLATE_MOST = 1032 };

/* What rank 0 finds out about the file and tells the others. */
typedef struct idx_header {
    int64_t rows, height, columns;
    int64_t bytes; /* size of the file */
    int compressed;
} idx_header;

typedef struct idx {
    int file;      /* plain; -1 else */
    gzFile stream; /* .gz, on rank 0; NULL else */
    int64_t row_bytes;
    int64_t next, all; /* .gz: row to read next, rows in the stream */
    char *path;
} idx;

static const avi_source_ops idx_gz;

static uint32_t big_endian(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* ---- messages ---- */

static avi_status fail_open(const char *key, const char *path, const char *why)
{
    return avi_fail(AVI_ERR_NOINPUT, "[data] %s = %s: %s; give an IDX images file, plain or .gz", key, path, why);
}

static avi_status fail_stream(const char *path, gzFile stream)
{
    int code = Z_OK;
    const char *text = gzerror(stream, &code), *reason = strrchr(text, ':'); /* "path: reason" */
    if (code == Z_ERRNO) return avi_fail(AVI_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (code == Z_BUF_ERROR)
        return avi_fail(AVI_ERR_DATA, "%s: the .gz stream is truncated; fetch the file again", path);
    return avi_fail(AVI_ERR_DATA, "%s: the .gz stream is corrupt (%s); fetch the file again", path,
                    reason ? reason + 2 : text);
}

static avi_status fail_magic(const char *path, const unsigned char *b)
{
    const uint32_t magic = big_endian(b);
    if (magic == MAGIC_LABELS) return avi_fail(AVI_ERR_DATA, "%s is a labels file; give the images file", path);
    if (memcmp(b, "\211HDF", 4) == 0)
        return avi_fail(AVI_ERR_DATA, "%s is an HDF5 file; set data.source = hdf5 to read it", path);
    if (b[0] == 0 && b[1] == 0 && b[2] >= 8 && b[2] <= 14)
        return avi_fail(AVI_ERR_DATA,
                        "%s is an IDX file of type 0x%02x with %d dimensions; give one of unsigned bytes (type 0x08) "
                        "with 3 dimensions",
                        path, (unsigned)b[2], (int)b[3]);
    return avi_fail(AVI_ERR_DATA, "%s is not an IDX file: magic number 0x%08x; an images file begins with 0x%08x", path,
                    (unsigned)magic, (unsigned)MAGIC_IMAGES);
}

/* ---- the header, on rank 0 ---- */

static avi_status check_header(const char *path, const unsigned char *b, idx_header *h)
{
    if (big_endian(b) != MAGIC_IMAGES) return fail_magic(path, b);
    h->rows = big_endian(b + 4);
    h->height = big_endian(b + 8);
    h->columns = big_endian(b + 12);
    if (h->rows == 0) return avi_fail(AVI_ERR_DATA, "%s has no images (0 rows)", path);
    if (h->height == 0 || h->columns == 0 || h->height > INT_MAX / h->columns)
        return avi_fail(AVI_ERR_DATA, "%s claims images of %lld x %lld pixels; at least 1 and at most %d are possible",
                        path, (long long)h->height, (long long)h->columns, INT_MAX);
    return AVI_OK;
}

static avi_status check_plain(const char *path, const idx_header *h)
{
    const int64_t width = h->height * h->columns, held = h->bytes - HEADER_BYTES;
    if (h->rows > held / width)
        return avi_fail(
            AVI_ERR_DATA,
            "%s is truncated: %lld images of %lld x %lld need more than its %lld bytes; fetch the file again", path,
            (long long)h->rows, (long long)h->height, (long long)h->columns, (long long)h->bytes);
    if (held != h->rows * width)
        return avi_fail(
            AVI_ERR_DATA,
            "%s holds %lld bytes more than its header tells (%lld images of %lld x %lld); fetch the file again", path,
            (long long)(held - h->rows * width), (long long)h->rows, (long long)h->height, (long long)h->columns);
    return AVI_OK;
}

/* Reads the stream to its end and compares its length with the header's. */
static avi_status check_stream(const char *path, gzFile stream, int64_t expected)
{
    unsigned char piece[1 << 15];
    int64_t held = 0;
    int got;
    while ((got = gzread(stream, piece, sizeof piece)) > 0 && held <= expected) held += got;
    if (got < 0) return fail_stream(path, stream);
    int code = Z_OK;
    (void)gzerror(stream, &code);
    if (code != Z_OK && code != Z_STREAM_END) return fail_stream(path, stream);
    if (held == expected) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: the .gz stream %s than its header tells (%lld bytes); fetch the file again",
                    path, held < expected ? "is truncated: it holds less" : "holds more",
                    (long long)(expected + HEADER_BYTES));
}

/* A claim that no stream of this size can hold is refused at once. The length at the end of the file (its last 4 bytes,
 * modulo 2^32) settles the usual case; a stream of several members, or a wrong length, is read through before any
 * memory is taken for it. */
static avi_status check_compressed(const char *path, int file, gzFile stream, const idx_header *h)
{
    const int64_t width = h->height * h->columns;
    if (h->rows > (INT64_MAX - HEADER_BYTES) / width || (h->rows * width) / DEFLATE_MOST > h->bytes)
        return avi_fail(
            AVI_ERR_DATA,
            "%s is truncated: %lld images of %lld x %lld cannot come from its %lld bytes; fetch the file again", path,
            (long long)h->rows, (long long)h->height, (long long)h->columns, (long long)h->bytes);
    unsigned char tail[4];
    if (pread(file, tail, sizeof tail, (off_t)(h->bytes - (int64_t)sizeof tail)) != (ssize_t)sizeof tail)
        return avi_fail(AVI_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    const uint32_t length = (uint32_t)tail[3] << 24 | (uint32_t)tail[2] << 16 | (uint32_t)tail[1] << 8 | tail[0];
    if (length == (uint32_t)((uint64_t)(h->rows * width) + HEADER_BYTES)) return AVI_OK;
    return check_stream(path, stream, h->rows * width);
}

static avi_status probe_compressed(const char *path, int file, idx_header *h)
{
    const int copy = dup(file);
    gzFile stream = copy >= 0 && lseek(copy, 0, SEEK_SET) == 0 ? gzdopen(copy, "rb") : NULL;
    if (!stream) {
        if (copy >= 0) close(copy);
        return avi_fail(AVI_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    }
    unsigned char b[HEADER_BYTES];
    const int got = gzread(stream, b, sizeof b);
    avi_status status = AVI_OK;
    int code = Z_OK;
    (void)gzerror(stream, &code);
    if (got < HEADER_BYTES && code != Z_OK && code != Z_BUF_ERROR)
        status = fail_stream(path, stream);
    else if (got < HEADER_BYTES)
        status = avi_fail(AVI_ERR_DATA, "%s: the .gz stream is truncated: it holds %d bytes, the header alone has %d",
                          path, got < 0 ? 0 : got, HEADER_BYTES);
    if (status == AVI_OK) status = check_header(path, b, h);
    if (status == AVI_OK) status = check_compressed(path, file, stream, h);
    (void)gzclose(stream);
    return status;
}

static avi_status probe_file(const char *path, int file, idx_header *h)
{
    unsigned char b[HEADER_BYTES] = {0};
    const ssize_t got = pread(file, b, sizeof b, 0);
    if (got < 0) return avi_fail(AVI_ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    h->compressed = got >= 2 && b[0] == 0x1f && b[1] == 0x8b;
    if (h->compressed) return probe_compressed(path, file, h);
    if (got >= 4 && big_endian(b) != MAGIC_IMAGES) return fail_magic(path, b);
    if (got < HEADER_BYTES)
        return avi_fail(AVI_ERR_DATA,
                        "%s is truncated: it holds %lld bytes, the header alone has %d; fetch the file again", path,
                        (long long)got, HEADER_BYTES);
    AVI_TRY(check_header(path, b, h));
    return check_plain(path, h);
}

static avi_status probe(const char *key, const char *path, idx_header *h)
{
    /* A pipe would block an open without O_NONBLOCK. */
    const int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) return fail_open(key, path, strerror(errno));
    struct stat about;
    avi_status status;
    if (fstat(file, &about) != 0)
        status = fail_open(key, path, strerror(errno));
    else if (S_ISDIR(about.st_mode))
        status = fail_open(key, path, "is a folder");
    else if (!S_ISREG(about.st_mode))
        status = fail_open(key, path, "is not a regular file");
    else {
        h->bytes = (int64_t)about.st_size;
        status = probe_file(path, file, h);
    }
    close(file);
    return status;
}

/* ---- open, read, close ---- */

/* What a rank needs to read: the plain file, or, on rank 0, the stream behind its header. */
static avi_status open_rows(avi_source *s, const char *key, const char *path, const idx_header *h, int rank)
{
    idx *x = calloc(1, sizeof *x);
    if (!x) return avi_fail_memory(sizeof *x, "a data source");
    x->file = -1;
    x->row_bytes = h->height * h->columns;
    x->all = h->rows;
    s->self = x;
    x->path = strdup(path);
    if (!x->path) return avi_fail_memory(strlen(path) + 1, "a data source");
    if (!h->compressed) {
        x->file = open(path, O_RDONLY | O_CLOEXEC);
        struct stat about;
        if (x->file < 0 || fstat(x->file, &about) != 0) return fail_open(key, path, strerror(errno));
        if ((int64_t)about.st_size != h->bytes)
            return avi_fail(AVI_ERR_DATA, "%s has another size on rank %d (%lld bytes) than on rank 0 (%lld)", path,
                            rank, (long long)about.st_size, (long long)h->bytes);
    } else if (rank == 0) {
        x->stream = gzopen(path, "rb");
        if (!x->stream) return fail_open(key, path, strerror(errno));
        (void)gzbuffer(x->stream, 1 << 17);
        unsigned char skipped[HEADER_BYTES];
        if (gzread(x->stream, skipped, sizeof skipped) != HEADER_BYTES) return fail_stream(path, x->stream);
    }
    return AVI_OK;
}

static avi_status idx_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    const char *key = split == AVI_TRAIN ? "path" : "test_path";
    const char *path = avi_config_get_string(config, "data", key);
    const int rank = avi_comm_rank(comm);
    if (path[0] == '\0' && split == AVI_TEST) return AVI_OK;
    if (path[0] == '\0')
        return avi_config_fail(config, "data", key,
                               "is not set; data.source = idx needs an IDX images file, plain or .gz");
    snprintf(s->label, sizeof s->label, "images %s", path);

    idx_header h = {0};
    AVI_TRY(avi_agree(comm, rank == 0 ? probe(key, path, &h) : AVI_OK));
    AVI_TRY(avi_comm_bcast(comm, &h, sizeof h, 0));
    s->shape = (avi_shape){
        .width = h.height * h.columns, .height = h.height, .columns = h.columns, .type = AVI_U8, .scale = 1.0 / 255};
    s->bits_or_grey = s->integers = true;
    AVI_TRY(avi_source_take_rows(s, config, split, h.rows));
    if (h.compressed) s->ops = &idx_gz;
    return avi_agree(comm, open_rows(s, key, path, &h, rank));
}

static avi_status idx_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    const idx *x = s->self;
    const int64_t bytes = count * x->row_bytes, begin = HEADER_BYTES + first * x->row_bytes;
    for (int64_t at = 0; at < bytes;) {
        const ssize_t got = pread(x->file, (unsigned char *)out + at, (size_t)(bytes - at), (off_t)(begin + at));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return avi_fail(AVI_ERR_IO, "%s: cannot be read: %s", x->path, strerror(errno));
        if (got == 0) return avi_fail(AVI_ERR_DATA, "%s became shorter while it was read", x->path);
        at += got;
    }
    return AVI_OK;
}

/* Behind the last row only the end of the stream may follow; reaching it makes zlib compare its checksum. */
static avi_status check_end(const idx *x)
{
    unsigned char more;
    const int got = gzread(x->stream, &more, 1);
    if (got < 0) return fail_stream(x->path, x->stream);
    int code = Z_OK;
    (void)gzerror(x->stream, &code);
    if (code != Z_OK && code != Z_STREAM_END) return fail_stream(x->path, x->stream);
    return got == 0
               ? AVI_OK
               : avi_fail(AVI_ERR_DATA,
                          "%s: the .gz stream holds more than its header tells (%lld images); fetch the file again",
                          x->path, (long long)x->all);
}

static avi_status idx_gz_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    idx *x = s->self;
    if (!x->stream || first != x->next)
        return avi_fail(AVI_ERR_INTERNAL, "%s: row %lld asked for, row %lld is next in the stream", x->path,
                        (long long)first, (long long)x->next);
    const int64_t bytes = count * x->row_bytes;
    for (int64_t at = 0; at < bytes;) {
        const int64_t left = bytes - at;
        const int got = gzread(x->stream, (unsigned char *)out + at, (unsigned)(left < (1 << 30) ? left : (1 << 30)));
        if (got < 0) return fail_stream(x->path, x->stream);
        if (got == 0)
            return avi_fail(AVI_ERR_DATA, "%s: the .gz stream is truncated in row %lld; fetch the file again", x->path,
                            (long long)(first + at / x->row_bytes));
        at += got;
    }
    x->next += count;
    return x->next == x->all ? check_end(x) : AVI_OK;
}

static void idx_close(avi_source *s)
{
    idx *x = s->self;
    if (!x) return;
    if (x->file >= 0) close(x->file);
    if (x->stream) (void)gzclose(x->stream);
    free(x->path);
    free(x);
    s->self = NULL;
}

static const avi_key idx_keys[] = {
    AVI_ROWS_KEYS_FILE,
    {"data", "path", AVI_KEY_PATH, "", 0, 0, NULL, NULL,
     "training rows: an IDX images file, plain or .gz; every rank reads its part of a plain file, "
     "one rank decompresses a .gz for all, which takes longer where there are many"},
    {"data", "test_path", AVI_KEY_PATH, "", 0, 0, NULL, NULL,
     "test rows: an IDX images file, plain or .gz; empty = no test data"},
};

static const avi_accepted idx_accepts[] = {
    {"images in IDX format (MNIST and its kin), plain or `.gz`: grey values / 255; values 0 and 1 alone are bits",
     "`data.source=idx data.path=train-images-idx3-ubyte.gz data.test_path=t10k-images-idx3-ubyte.gz`"},
};

const avi_source_ops avi_source_idx = {
    .name = "idx",
    .doc = "grey images in an IDX file (the format of MNIST), plain or .gz",
    .keys = idx_keys,
    .key_count = (int)(sizeof idx_keys / sizeof idx_keys[0]),
    .exchangeable = true,
    .open = idx_open,
    .read = idx_read,
    .any_rank = true,
    .close = idx_close,
    .accepts = idx_accepts,
    .accept_count = (int)(sizeof idx_accepts / sizeof idx_accepts[0]),
};

/* The same once open() has seen that the file is compressed. */
static const avi_source_ops idx_gz = {
    .name = "idx",
    .doc = "grey images in a compressed IDX file",
    .keys = idx_keys,
    .key_count = (int)(sizeof idx_keys / sizeof idx_keys[0]),
    .exchangeable = true,
    .open = idx_open,
    .read = idx_gz_read,
    .any_rank = false,
    .close = idx_close,
};
