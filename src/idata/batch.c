/* Rows that are made together, and how their draws come into the file. A rank has the draws of the rows that it owns; a
 * dataset has all rows of a draw side by side. So that no rank writes a few bytes here and there, ranks exchange what
 * they have made: each writes some of the draws, of all rows of the batch. */
#include "idata/internal.h"

#include <stdlib.h>
#include <string.h>

int64_t avi_idata_batch_rows(const avi_session *s, const avi_idata_plan *p)
{
    const int64_t rows = p->batch / avi_idata_row_values(s, p), one = rows < 1 ? 1 : rows;
    return s->problem.reproducible ? one : one * avi_comm_size(s->comm);
}

int64_t avi_idata_row_values(const avi_session *s, const avi_idata_plan *p)
{
    return (int64_t)p->draws * (s->model->latent + (p->predictive ? s->shape.width : 0) + 3) + s->infer->outputs +
           (p->observed ? s->shape.width : 0);
}

/* ---- which rows, and whose ---- */

/* With reproducible sums a batch has as many rows on any number of ranks, since the products of a row may depend on the
 * rows beside it; else as many as no rank makes more of than there is room for. */
static int64_t choose_rows(const avi_session *s, const avi_idata_plan *p, avi_idata_batch *b, int64_t *most)
{
    const int ranks = avi_comm_size(s->comm);
    int64_t one = p->batch / avi_idata_row_values(s, p), n = 0, *held = most;
    if (one < 1) one = 1;
    const int64_t left = p->rows.total - b->first, limit = s->problem.reproducible ? one : one * ranks;
    memset(held, 0, (size_t)ranks * sizeof *held);
    for (; n < left && n < limit; n++) {
        const int64_t row = avi_idata_row(&p->rows, b->first + n);
        const int r = avi_partition_owner(&s->partition, avi_partition_shuffled(&s->partition, row));
        if (held[r] == one) break;
        held[r]++;
        b->owner[n] = r;
    }
    return n;
}

typedef struct place {
    int64_t position, index;
} place;

static int by_position(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->position > y->position) - (x->position < y->position);
}

static int by_index(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Runs of positions that follow each other, cut at tiles where sums are reproducible: ranks own whole tiles, so that no
 * run depends on their number. */
static void find_runs(const avi_session *s, avi_idata_batch *b)
{
    const int64_t tile = s->problem.reproducible ? s->partition.tile : INT64_MAX;
    avi_row_ranges *job = &b->job;
    for (int64_t i = 0; i < b->own; i++) {
        const int64_t at = b->position[i];
        const bool follows = i > 0 && at == b->position[i - 1] + 1 && at % tile != 0;
        if (!follows) {
            job->first[job->count] = at;
            job->rows[job->count++] = 0;
        }
        job->rows[job->count - 1]++;
    }
}

static avi_status share_out(const avi_session *s, const avi_idata_plan *p, avi_idata_batch *b)
{
    const int rank = avi_comm_rank(s->comm);
    for (int64_t i = 0; i < b->count; i++) b->own += b->owner[i] == rank;
    const size_t n = (size_t)b->own + 1;
    place *list = malloc(n * sizeof *list);
    b->index = malloc(3 * n * sizeof *b->index);
    b->job.first = malloc(n * sizeof *b->job.first);
    b->job.rows = malloc(n * sizeof *b->job.rows);
    if (!list || !b->index || !b->job.first || !b->job.rows) {
        free(list);
        return avi_fail_memory(6 * n * sizeof *b->index, "rows of posterior.nc");
    }
    b->position = b->index + n;
    b->by_index = b->position + n;
    for (int64_t i = 0, k = 0; i < b->count; i++)
        if (b->owner[i] == rank)
            list[k++] =
                (place){avi_partition_shuffled(&s->partition, avi_idata_row(&p->rows, b->first + i)), b->first + i};
    qsort(list, (size_t)b->own, sizeof *list, by_position);
    for (int64_t i = 0; i < b->own; i++) {
        b->position[i] = list[i].position;
        b->index[i] = list[i].index;
        list[i].position = i;
    }
    qsort(list, (size_t)b->own, sizeof *list, by_index);
    for (int64_t i = 0; i < b->own; i++) b->by_index[i] = list[i].position;
    free(list);
    find_runs(s, b);
    return AVI_OK;
}

avi_status avi_idata_batch_make(const avi_session *s, const avi_idata_plan *p, int64_t first, avi_idata_batch *b)
{
    const int ranks = avi_comm_size(s->comm);
    const int64_t one = p->batch / avi_idata_row_values(s, p) + 1, left = p->rows.total - first,
                  limit = one < left / ranks + 1 ? one * ranks : left;
    *b = (avi_idata_batch){.first = first};
    int64_t *held = malloc((size_t)ranks * sizeof *held);
    b->owner = malloc((size_t)(limit + 1) * sizeof *b->owner);
    if (held && b->owner) b->count = choose_rows(s, p, b, held);
    const bool good = held && b->owner;
    free(held);
    return good ? share_out(s, p, b) : avi_fail_memory((size_t)limit * sizeof *b->owner, "rows of posterior.nc");
}

void avi_idata_batch_free(avi_idata_batch *b)
{
    free(b->owner);
    free(b->index);
    free(b->job.first);
    free(b->job.rows);
    *b = (avi_idata_batch){0};
}

/* ---- into the file ---- */

typedef struct parcel {
    const avi_idata_batch *b;
    int64_t draws, width, first_draw, own_draws; /* first_draw: of those that this rank writes */
    double *out, *in, *sorted;                   /* as sent; as it came; (own_draws, count, width) */
    int64_t *bytes;                              /* (4, ranks): sent, at, received, at */
} parcel;

/* Of rank r everything of this rank's rows that it writes: row by row, in order of the index. */
static void pack(const parcel *p, int ranks, const double *values)
{
    const avi_idata_batch *b = p->b;
    const int64_t row = p->draws * p->width;
    int64_t at = 0;
    for (int r = 0; r < ranks; r++) {
        const int64_t from = avi_slab_first(p->draws, ranks, r), n = avi_slab_first(p->draws, ranks, r + 1) - from;
        for (int64_t i = 0; i < b->own && n > 0; i++, at += n * p->width)
            memcpy(p->out + at, values + b->by_index[i] * row + from * p->width,
                   (size_t)(n * p->width) * sizeof *values);
    }
}

static void count_bytes(const parcel *p, int ranks)
{
    const int64_t value = p->width * (int64_t)sizeof(double);
    int64_t *sent = p->bytes, *sent_at = sent + ranks, *got = sent_at + ranks, *got_at = got + ranks;
    memset(p->bytes, 0, (size_t)(4 * ranks) * sizeof *p->bytes);
    for (int64_t i = 0; i < p->b->count; i++) got[p->b->owner[i]] += p->own_draws * value;
    for (int r = 0; r < ranks; r++) {
        sent[r] = (avi_slab_first(p->draws, ranks, r + 1) - avi_slab_first(p->draws, ranks, r)) * p->b->own * value;
        if (r == 0) continue;
        sent_at[r] = sent_at[r - 1] + sent[r - 1];
        got_at[r] = got_at[r - 1] + got[r - 1];
    }
}

/* Draws of rows [first, first + n) of the batch, which lie at from[0 .. n): from one after the other to draw by draw.
 */
static void turn(const parcel *p, int64_t first, int64_t n, const double *const *from)
{
    const int64_t width = p->width;
    for (int64_t k = 0; k < p->own_draws; k++) {
        double *to = p->sorted + (k * p->b->count + first) * width;
        if (width == 1)
            for (int64_t i = 0; i < n; i++) to[i] = from[i][k];
        else
            for (int64_t i = 0; i < n; i++) memcpy(to + i * width, from[i] + k * width, (size_t)width * sizeof *to);
    }
}

/* From rows of each owner to draws of all rows, for as many rows at a time as fill lines of the cache. got_at moves on.
 */
static void sort_out(const parcel *p, int ranks)
{
    enum { ROWS = 32 };
    const double *from[ROWS];
    int64_t *got_at = p->bytes + 3 * (ptrdiff_t)ranks;
    const int64_t bytes = p->own_draws * p->width * (int64_t)sizeof(double);
    for (int64_t first = 0, n; first < p->b->count; first += n) {
        n = p->b->count - first < ROWS ? p->b->count - first : ROWS;
        for (int64_t i = 0; i < n; i++) {
            const int r = p->b->owner[first + i];
            from[i] = p->in + got_at[r] / (int64_t)sizeof(double);
            got_at[r] += bytes;
        }
        turn(p, first, n, from);
    }
}

static avi_status write(const avi_idata_work *w, const parcel *p, int field, bool typed)
{
    const avi_precision precision = w->s->precision;
    const int64_t n = p->b->count, values = n * p->width;
    if (!w->file) return AVI_OK;
    const bool narrow = typed && precision == AVI_PRECISION_SINGLE;
    for (int64_t k = 0; k < p->own_draws; k++) {
        const void *rows = p->sorted + k * values;
        if (narrow) {
            avi_vector_from_double(precision, p->sorted + k * values, values, p->in); /* which is free by now */
            rows = p->in;
        }
        AVI_TRY(avi_row_file_put(w->file, field, (p->first_draw + k) * w->plan->rows.total + p->b->first, n, rows));
    }
    return AVI_OK;
}

avi_status avi_idata_room_make(avi_idata_room *r, size_t bytes)
{
    if (r->memory && bytes <= r->bytes) return AVI_OK;
    free(r->memory);
    r->memory = malloc(bytes);
    r->bytes = bytes;
    return r->memory ? AVI_OK : avi_fail_memory(bytes, "draws of posterior.nc");
}

static avi_status reserve(avi_idata_work *w, parcel *p, int ranks)
{
    const size_t sent = ((size_t)(p->b->own * p->draws * p->width) + 1) * sizeof *p->out,
                 got = ((size_t)(p->b->count * p->own_draws * p->width) + 1) * sizeof *p->in;
    AVI_TRY(avi_idata_room_make(&w->out, sent));
    if (ranks > 1) AVI_TRY(avi_idata_room_make(&w->in, got));
    AVI_TRY(avi_idata_room_make(&w->sorted, got));
    p->out = w->out.memory;
    p->in = ranks > 1 ? w->in.memory : p->out; /* what one rank sends has come */
    p->sorted = w->sorted.memory;
    p->bytes = malloc((size_t)(4 * ranks) * sizeof *p->bytes);
    return p->bytes ? AVI_OK : avi_fail_memory((size_t)(4 * ranks) * sizeof *p->bytes, "draws of posterior.nc");
}

avi_status avi_idata_batch_put(avi_idata_work *w, const avi_idata_batch *b, int field, int64_t draws, int64_t width,
                               bool typed, const double *values)
{
    avi_comm *comm = w->s->comm;
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    if (field < 0) return AVI_OK;
    parcel p = {.b = b, .draws = draws, .width = width, .first_draw = avi_slab_first(draws, ranks, rank)};
    p.own_draws = avi_slab_first(draws, ranks, rank + 1) - p.first_draw;
    avi_status status = avi_agree(comm, reserve(w, &p, ranks));
    if (status == AVI_OK) {
        pack(&p, ranks, values);
        count_bytes(&p, ranks);
        if (ranks > 1)
            status = avi_comm_exchange(comm, p.out, p.bytes, p.bytes + ranks, p.in, p.bytes + 2 * (ptrdiff_t)ranks,
                                       p.bytes + 3 * (ptrdiff_t)ranks);
    }
    if (status == AVI_OK) {
        sort_out(&p, ranks);
        status = avi_agree(comm, write(w, &p, field, typed));
    }
    free(p.bytes);
    return status;
}
