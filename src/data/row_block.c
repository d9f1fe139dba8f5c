#include "data/row_block.h"
#include "data/settle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROWS = 1024 /* that tell bits from grey values */ };

static size_t row_bytes(const avi_row_block *b)
{
    return (size_t)b->data.shape.width * avi_dtype_size(b->data.shape.type);
}

void avi_row_block_part(int64_t block_first, int64_t block_rows, int64_t tile, int ranks, int rank, int64_t *first,
                        int64_t *count)
{
    const int64_t tiles = (block_rows + tile - 1) / tile, from = avi_slab_first(tiles, ranks, rank) * tile,
                  to = avi_slab_first(tiles, ranks, rank + 1) * tile;
    *first = block_first + from;
    *count = (to < block_rows ? to : block_rows) - from;
}

/* ---- create ---- */

/* The scale is one of how values are stored, and the new file may store them otherwise: images of bytes are grey values
 * or bits as the fit's were; what is stored as other numbers has the scale that its own keys say. */
static void choose_scale(avi_row_block *b, const avi_data *like)
{
    avi_shape *h = &b->data.shape;
    b->grey = h->scale;
    if (!b->source->bits_or_grey) return;
    double smallest, largest;
    avi_column_stats_range(like->stats, &smallest, &largest);
    if (like->shape.scale != 1)
        h->scale = like->shape.scale;
    else if (largest > 1)
        h->scale = 1;
    else
        b->scale_open = true;
}

avi_status avi_row_block_restart(avi_row_block *b)
{
    const avi_source *s = b->source;
    avi_data *d = &b->data;
    const int64_t rows = s->shape.rows - d->lookahead, tiles = (rows + b->tile - 1) / b->tile;
    if (rows < 1) return avi_fail(AVI_ERR_DATA, "%s: there are %s rows", s->label, d->lookahead ? "too few" : "no");
    d->shape.rows = s->shape.rows;
    if (s->first_entry) d->entries = s->first_entry[s->shape.rows];
    b->room_first = b->room_rows = b->next = 0;
    return avi_partition_make(rows, b->tile, tiles, avi_comm_size(b->comm), s->seed, false, &d->partition);
}

avi_status avi_row_block_create(avi_source *source, avi_comm *comm, const avi_data *like, int lookahead, int halo,
                                int64_t tile, int64_t most, avi_support (*support)(const void *context, int64_t column),
                                const void *context, avi_row_block *b)
{
    *b = (avi_row_block){.source = source, .comm = comm, .halo = halo, .tile = tile, .most = most};
    avi_data *d = &b->data;
    *d = (avi_data){.shape = source->shape, .lookahead = lookahead, .log1p = like->log1p, .masked = like->masked};
    d->mean = like->mean; /* borrowed: avi_row_block_free leaves them */
    d->sd = like->sd;
    AVI_TRY(avi_row_block_restart(b));
    choose_scale(b, like);
    const bool ragged = source->first_entry != NULL;
    const size_t bytes =
        ragged ? ((size_t)most + 1) * sizeof *d->entry : (size_t)(most + 2 * halo + lookahead) * row_bytes(b);
    if (ragged) d->entry = malloc(bytes);
    b->room = ragged ? NULL : malloc(bytes);
    b->support = malloc((size_t)d->shape.width * sizeof *b->support);
    for (int64_t k = 0; b->support && k < d->shape.width; k++) b->support[k] = support(context, k);
    return avi_agree(comm, (b->room || d->entry) && b->support ? AVI_OK : avi_fail_memory(bytes, "a block of rows"));
}

void avi_row_block_free(avi_row_block *b)
{
    free(b->room);
    free(b->support);
    free(b->data.entry);
    *b = (avi_row_block){0};
}

/* ---- reading ---- */

static int64_t clip(const avi_row_block *b, int64_t row)
{
    return row < 0 ? 0 : row > b->data.shape.rows ? b->data.shape.rows : row;
}

/* Bits have no value above 1. */
static void close_scale(avi_row_block *b, const unsigned char *values, int64_t rows)
{
    bool grey = false;
    const int64_t n = (rows < FIRST_ROWS ? rows : FIRST_ROWS) * b->data.shape.width;
    for (int64_t i = 0; i < n && !grey; i++) grey = values[i] > 1;
    b->data.shape.scale = grey ? b->grey : 1;
    b->scale_open = false;
}

/* Entries of ragged rows [from, to): the room grows to the largest part. */
static avi_status read_ragged(avi_row_block *b, int64_t from, int64_t to)
{
    const int64_t *first = b->source->first_entry, entries = first[to] - first[from];
    if (entries > b->room_entries || !b->room) {
        const size_t bytes = ((size_t)entries + 1) * row_bytes(b);
        free(b->room);
        b->room = malloc(bytes);
        b->room_entries = b->room ? entries : 0;
        if (!b->room) return avi_fail_memory(bytes, "the entries of a block of rows");
    }
    for (int64_t r = from; r <= to; r++) b->data.entry[r - from] = first[r] - first[from];
    return entries ? b->source->ops->read(b->source, first[from], entries, b->room) : AVI_OK;
}

/* Any rank can read: each has its own part, and reads the first rows where these tell the scale. */
static avi_status read_own(avi_row_block *b, int64_t from, int64_t to)
{
    if (b->scale_open) {
        const int64_t most = b->most + 2 * b->halo + b->data.lookahead,
                      all = b->data.shape.rows < FIRST_ROWS ? b->data.shape.rows : FIRST_ROWS,
                      n = all < most ? all : most;
        AVI_TRY(b->source->ops->read(b->source, 0, n, b->room));
        close_scale(b, b->room, n);
    }
    b->room_first = from;
    b->room_rows = to - from;
    return to > from ? b->source->ops->read(b->source, from, to - from, b->room) : AVI_OK;
}

/* Rank 0 reads in order without gaps: what the blocks before were made from is read and left. */
static avi_status advance(avi_row_block *b, int64_t from, int64_t to)
{
    const size_t bytes = row_bytes(b);
    const int64_t end = b->room_first + b->room_rows, kept = end > from ? end - from : 0;
    if (kept) memmove(b->room, b->room + (size_t)(from - b->room_first) * bytes, (size_t)kept * bytes);
    b->room_first = from;
    b->room_rows = kept;
    while (b->next < to) {
        const bool before = b->next < from;
        const int64_t at = before ? 0 : b->next - from, left = (before ? from : to) - b->next,
                      n = left < b->most ? left : b->most;
        AVI_TRY(b->source->ops->read(b->source, b->next, n, b->room + (size_t)at * bytes));
        if (b->scale_open) close_scale(b, b->room + (size_t)at * bytes, n);
        b->next += n;
        if (!before) b->room_rows = b->next - from;
    }
    return AVI_OK;
}

static avi_status read_in_order(avi_row_block *b, int64_t from, int64_t to)
{
    AVI_TRY(avi_agree(b->comm, avi_comm_rank(b->comm) == 0 ? advance(b, from, to) : AVI_OK));
    b->room_first = from;
    b->room_rows = to - from;
    b->scale_open = false;
    AVI_TRY(avi_comm_bcast(b->comm, &b->data.shape.scale, sizeof b->data.shape.scale, 0));
    return avi_comm_bcast(b->comm, b->room, (size_t)(to - from) * row_bytes(b), 0);
}

/* ---- what is refused ---- */

typedef enum fault { NONE, NOT_FINITE, MISSING, NO_LOGARITHM, OUTSIDE } fault;

static double number_at(const avi_data *d, const unsigned char *values, int64_t i)
{
    const double v = d->shape.type == AVI_U8    ? (double)values[i]
                     : d->shape.type == AVI_F32 ? (double)((const float *)(const void *)values)[i]
                                                : ((const double *)(const void *)values)[i];
    return v * d->shape.scale;
}

static fault fault_of(const avi_row_block *b, double v, avi_support support)
{
    if (isinf(v)) return NOT_FINITE;
    if (isnan(v)) return b->source->missing_allowed ? NONE : MISSING;
    if (b->data.log1p && v <= -1) return NO_LOGARITHM;
    return avi_support_has(support, b->data.log1p ? log1p(v) : v) ? NONE : OUTSIDE;
}

static avi_status refuse(const avi_row_block *b, fault f, int64_t row, int64_t column, double v, avi_support support)
{
    const char *label = b->source->label;
    char name[AVI_SETTLE_NAME];
    const long long r = (long long)row, c = (long long)column;
    if (f == NOT_FINITE)
        return avi_fail(AVI_ERR_DATA,
                        "%s: row %lld, column %lld (both from 0%s) is infinite; every value must be finite: use other "
                        "values there",
                        label, r, c, avi_settle_name(b->source, column, name));
    if (f == MISSING)
        return avi_fail(AVI_ERR_DATA,
                        "%s: row %lld, column %lld (both from 0%s) is NaN, and the fit had no missing values; use rows "
                        "without missing values, or a fit with data.missing = mask",
                        label, r, c, avi_settle_name(b->source, column, name));
    if (f == NO_LOGARITHM)
        return avi_fail(
            AVI_ERR_DATA,
            "%s: row %lld, column %lld (both from 0%s) is %g, of which the fit's [data] transform = log1p is "
            "not finite; use values above -1",
            label, r, c, avi_settle_name(b->source, column, name), v);
    return avi_fail(AVI_ERR_DATA,
                    "%s: row %lld, column %lld (both from 0%s) is %.9g, but the fitted likelihood needs %s there; use "
                    "values like those of the fit, or data.scale to rescale them",
                    label, r, c, avi_settle_name(b->source, column, name), v, avi_support_name(support));
}

static avi_status check_rows(const avi_row_block *b, const unsigned char *values, int64_t first, int64_t rows)
{
    const avi_data *d = &b->data;
    const int64_t width = d->shape.width;
    for (int64_t i = 0, at = 0; i < rows; i++)
        for (int64_t k = 0; k < width; k++, at++) {
            const double v = number_at(d, values, at);
            const avi_support support = b->support[k];
            if (support == AVI_SUPPORT_REAL && !d->log1p && v - v == 0) continue; /* finite: most values are */
            const fault f = fault_of(b, v, support);
            if (f != NONE) return refuse(b, f, first + i, k, v, support);
        }
    return AVI_OK;
}

avi_status avi_row_block_read(avi_row_block *b, int64_t first, int64_t count)
{
    avi_data *d = &b->data;
    avi_row_block_part(first, count, b->tile, avi_comm_size(b->comm), avi_comm_rank(b->comm), &d->first, &d->count);
    const int64_t from = clip(b, d->first - b->halo),
                  to = d->count ? clip(b, d->first + d->count + b->halo + d->lookahead) : from;
    avi_status status;
    if (d->entry) {
        AVI_TRY(avi_agree(b->comm, read_ragged(b, from, to)));
        d->values = b->room;
        d->halo_left = d->halo_right = 0;
        return avi_agree(b->comm, check_rows(b, d->values, b->source->first_entry[from], d->entry[d->count]));
    }
    if (b->source->ops->any_rank)
        status = read_own(b, from, to);
    else
        status = read_in_order(b, clip(b, first - b->halo), clip(b, first + count + b->halo + d->lookahead));
    AVI_TRY(avi_agree(b->comm, status));
    d->values = b->room + (size_t)(from - b->room_first) * row_bytes(b);
    d->halo_left = d->first - from;
    d->halo_right = to - d->first - d->count;
    if (d->halo_right < 0) d->halo_right = 0;
    return avi_agree(b->comm, check_rows(b, d->values, from, to - from));
}
