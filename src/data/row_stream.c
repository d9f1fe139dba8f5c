#include "data/row_stream.h"
#include "data/ragged.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE_BYTES = 32768,
    /* with what is made of them, in the first two levels of cache */ PIECE_ROWS = 1024,
    ORIGIN_ROWS = 64
};

/* ---- checks and hashes ---- */

/* The place of the first NaN or Inf among n values, -1 when all are finite. */
static int64_t first_bad(avi_dtype type, const void *values, int64_t n)
{
    if (type == AVI_U8) return -1;
    for (int64_t i = 0; i < n; i++)
        if (type == AVI_F32 ? !isfinite(((const float *)values)[i]) : !isfinite(((const double *)values)[i])) return i;
    return -1;
}

avi_status avi_rows_check(const avi_source *source, int64_t first, const int64_t *given, int64_t count,
                          const void *rows)
{
    const avi_shape *shape = &source->shape;
    const int64_t bad = first_bad(shape->type, rows, count * shape->width);
    if (bad < 0) return AVI_OK;
    const double value = shape->type == AVI_F32 ? (double)((const float *)rows)[bad] : ((const double *)rows)[bad];
    const int64_t row = bad / shape->width;
    return avi_fail(AVI_ERR_DATA, "%s: row %lld, column %lld (both from 0) is %s; every value must be finite",
                    source->label, (long long)(given ? given[row] : first + row), (long long)(bad % shape->width),
                    isnan(value) ? "NaN" : "infinite");
}

void avi_rows_round(const avi_source *source, int64_t count, void *rows)
{
    double *v = rows;
    if (!source->narrow || source->shape.type != AVI_F64) return;
    for (int64_t i = 0; i < count * source->shape.width; i++) v[i] = (double)(float)v[i];
}

uint64_t avi_row_hash(const void *row, size_t bytes, int64_t given)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, (const unsigned char *)row + at, bytes - at < sizeof word ? bytes - at : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
    }
    return avi_mix64(hash, (uint64_t)given);
}

static size_t row_bytes(const avi_source *s) { return (size_t)s->shape.width * avi_dtype_size(s->shape.type); }

avi_status avi_rows_origin(avi_source *s, uint64_t *origin)
{
    const int64_t rows = s->shape.rows, last = ORIGIN_ROWS - 1;
    uint64_t hash = avi_row_hash(s->label, strlen(s->label), 0) ^ avi_row_hash(s->ops->name, strlen(s->ops->name), 1);
    hash = avi_mix64(avi_mix64(avi_mix64(hash, s->seed), (uint64_t)rows), (uint64_t)s->shape.width);
    hash = avi_mix64(hash, (uint64_t)s->shape.type);
    const size_t room = (size_t)avi_source_largest_row(s) * row_bytes(s);
    void *row = malloc(room);
    if (!row) return avi_fail_memory(room, "a row of the data");
    avi_status status = s->ops->read_rows(s, NULL, 0, row);
    for (int64_t i = 0; i <= last && status == AVI_OK; i++) {
        const int64_t given = i < last ? i * ((rows - 1) / last) : rows - 1;
        status = s->ops->read_rows(s, &given, 1, row);
        const size_t bytes = (size_t)avi_source_entries(s, given) * row_bytes(s);
        if (status == AVI_OK) hash = avi_mix64(hash, avi_row_hash(row, bytes, given));
    }
    free(row);
    *origin = hash ? hash : 1; /* 0 has a meaning of its own */
    return status;
}

/* ---- the feed ---- */

struct avi_row_stream {
    avi_source *source; /* borrowed */
    int64_t most;       /* rows of a piece */
    int64_t entries;    /* of ragged rows: of a piece, at least those of the largest row */
    void *rows;         /* (most, width) of shape.type; of ragged rows (entries, width) */
    int64_t *given;     /* (most) */
    avi_status status;
};

avi_status avi_row_stream_create(avi_source *source, struct avi_row_stream **feed)
{
    struct avi_row_stream *f = *feed = calloc(1, sizeof *f);
    if (!f) return avi_fail_memory(sizeof *f, "streamed rows");
    const int64_t fit = PIECE_BYTES / (int64_t)row_bytes(source);
    f->source = source;
    f->most = fit < 1 ? 1 : fit > PIECE_ROWS ? PIECE_ROWS : fit;
    f->entries = source->first_entry ? avi_source_largest_row(source) : 0;
    if (f->entries < f->most) f->entries = f->most;
    f->rows = malloc((size_t)f->entries * row_bytes(source));
    f->given = malloc((size_t)f->most * sizeof *f->given);
    if (f->rows && f->given) return AVI_OK;
    avi_row_stream_destroy(feed);
    return avi_fail_memory((size_t)fit * row_bytes(source), "streamed rows");
}

void avi_row_stream_destroy(struct avi_row_stream **feed)
{
    if (!*feed) return;
    free((*feed)->rows);
    free((*feed)->given);
    free(*feed);
    *feed = NULL;
}

int64_t avi_row_stream_bytes(const struct avi_row_stream *feed)
{
    return feed->entries * (int64_t)row_bytes(feed->source) + feed->most * (int64_t)sizeof *feed->given;
}

avi_source *avi_row_stream_source(const struct avi_row_stream *feed) { return feed->source; }

avi_status avi_row_stream_status(const struct avi_row_stream *feed) { return feed->status; }

/* Of rows that `given` lists the first that a piece holds, all entries of each; *entries: theirs. */
static int64_t rows_of_piece(const struct avi_row_stream *f, int64_t count, int64_t *entries)
{
    int64_t rows = 0;
    *entries = 0;
    for (int64_t n; rows < count; rows++, *entries += n) {
        n = avi_source_entries(f->source, f->given[rows]);
        if (rows > 0 && *entries + n > f->entries) break;
    }
    return rows;
}

static avi_status check_piece(const struct avi_row_stream *f, int64_t count)
{
    const avi_source *s = f->source;
    const unsigned char *at = f->rows;
    if (!s->first_entry) return avi_rows_check(s, 0, f->given, count, f->rows);
    for (int64_t i = 0; i < count; i++) {
        const int64_t entries = avi_source_entries(s, f->given[i]);
        AVI_TRY(avi_rows_check(s, s->first_entry[f->given[i]], NULL, entries, at));
        at += (size_t)entries * row_bytes(s);
    }
    return AVI_OK;
}

const void *avi_row_stream_rows(struct avi_row_stream *f, const avi_partition *p, int64_t position, int64_t *count)
{
    if (*count > f->most) *count = f->most;
    avi_partition_originals(p, position, *count, f->given);
    int64_t entries;
    *count = rows_of_piece(f, *count, &entries);
    avi_status status = f->source->ops->read_rows(f->source, f->given, *count, f->rows);
    if (status == AVI_OK) status = check_piece(f, *count);
    if (status == AVI_OK) avi_rows_round(f->source, entries, f->rows);
    if (f->status == AVI_OK) f->status = status;
    return status == AVI_OK ? f->rows : NULL;
}
