#include "avi/data.h"
#include "base/signals.h"
#include "data/column_stats.h"
#include "data/ragged.h"
#include "data/row_stream.h"
#include "data/settle.h"
#include "data/redistribute.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading: each piece is looked at and counted into the checksum before it leaves this rank ---- */

typedef struct reader {
    avi_source *source;
    size_t row_bytes;
    void *rows;        /* one piece */
    bool narrow;       /* it leaves as AVI_F32 */
    uint64_t checksum; /* of the rows read here, as the source gives them */
    avi_column_stats *stats;
} reader;

/* In place, from the first value on: what is written lies before what is still to be read. */
static void narrow(void *rows, int64_t values)
{
    enum { PART = 256 };
    double from[PART];
    float to[PART];
    for (int64_t at = 0, n; at < values; at += n) {
        n = values - at < PART ? values - at : PART;
        memcpy(from, (const unsigned char *)rows + (size_t)at * sizeof *from, (size_t)n * sizeof *from);
        for (int64_t i = 0; i < n; i++) to[i] = (float)from[i];
        memcpy((unsigned char *)rows + (size_t)at * sizeof *to, to, (size_t)n * sizeof *to);
    }
}

static avi_status read_piece(void *context, int64_t first, int64_t count, const void **rows)
{
    reader *r = context;
    AVI_TRY(avi_signals_status());
    AVI_TRY(r->source->ops->read(r->source, first, count, r->rows));
    avi_column_stats_add(r->stats, r->source->shape.type, r->rows, first, NULL, count);
    for (int64_t i = 0; i < count; i++)
        r->checksum += avi_row_hash((const unsigned char *)r->rows + (size_t)i * r->row_bytes, r->row_bytes, first + i);
    if (r->narrow) narrow(r->rows, count * r->source->shape.width);
    *rows = r->rows;
    return AVI_OK;
}

/* Fills the three layouts, each (ranks + 1): who reads, who owns, both over every row of the data. */
static void fill_layouts(const avi_data *d, const avi_source *source, int ranks, int64_t *readers, int64_t *owners)
{
    avi_row_distribution_owners(&d->partition, owners);
    owners[ranks] = d->shape.rows; /* the lookahead row goes to the last rank, which is never empty */
    if (!source->ops->any_rank) {
        readers[0] = 0;
        for (int r = 1; r <= ranks; r++) readers[r] = d->shape.rows;
    } else if (d->partition.shuffled) {
        avi_row_distribution_slabs(d->shape.rows, ranks, readers);
    } else {
        memcpy(readers, owners, ((size_t)ranks + 1) * sizeof *readers);
    }
}

/* Which stored rows each rank reads and which it owns, both (ranks + 1), and the number of a row that is read among
 * those that are owned. */
typedef struct route {
    const int64_t *readers, *owners;
    void (*numbers)(const void *context, int64_t first, int64_t count, int64_t *out); /* NULL: the same */
    const void *context;
} route;

/* Reads all stored rows once and puts each where its owner holds it: `owned` are this rank's rows of the owners. */
static avi_status read_rows(avi_data *d, avi_source *source, avi_comm *comm, const route *way, void *owned)
{
    reader r = {.source = source,
                .stats = d->stats,
                .row_bytes = (size_t)d->shape.width * avi_dtype_size(source->shape.type),
                .narrow = d->shape.type != source->shape.type};
    const avi_redistribution move = {.comm = comm,
                                     .row_bytes = (size_t)d->shape.width * avi_dtype_size(d->shape.type),
                                     .from = way->readers,
                                     .to = way->owners,
                                     .numbers = d->partition.shuffled ? way->numbers : NULL,
                                     .number_context = way->context,
                                     .piece = read_piece,
                                     .piece_context = &r};
    const size_t bytes = (size_t)avi_redistribution_piece_rows(&move) * r.row_bytes;
    r.rows = malloc(bytes);
    avi_status status = avi_agree(comm, r.rows ? AVI_OK : avi_fail_memory(bytes, "a piece of the data as read"));
    if (status == AVI_OK) status = avi_redistribution_rows(&move, owned);
    free(r.rows);
    AVI_TRY(status);
    if (source->first_entry)
        r.checksum += avi_ragged_hash(source->first_entry, d->shape.rows, avi_comm_size(comm), avi_comm_rank(comm));
    int64_t sum; /* the bits of an unsigned sum, which wraps */
    memcpy(&sum, &r.checksum, sizeof sum);
    AVI_TRY(avi_comm_sum_int64(comm, &sum, 1));
    memcpy(&d->checksum, &sum, sizeof sum);
    return avi_column_stats_reduce(d->stats, comm);
}

/* ---- halo rows: everyone knows from the layout what everyone needs, so nothing is asked for ---- */

typedef struct run {
    int64_t first, end; /* positions */
} run;

static run cut(run a, run b)
{
    run c = {a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
    if (c.end < c.first) c.end = c.first;
    return c;
}

/* Rows before (side 0) or after (side 1) the own rows of a rank that it holds too. */
static run halo_of(const avi_data *d, int rank, int side, int halo)
{
    const int64_t first = avi_partition_first_row(&d->partition, rank),
                  end = avi_partition_first_row(&d->partition, rank + 1);
    if (first == end) return (run){first, first};
    const run all = {0, d->shape.rows};
    return cut(side == 0 ? (run){first - halo, first} : (run){end, end + halo + d->lookahead}, all);
}

/* One side of all ranks. `values` begins at position `held`; rows that several neighbours own come from each of them.
 */
static avi_status fetch_side(const avi_data *d, avi_comm *comm, const int64_t *owners, int side, int halo, int64_t held,
                             int64_t *counts)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t row = d->shape.width * (int64_t)avi_dtype_size(d->shape.type);
    int64_t *send_bytes = counts, *send_at = counts + ranks, *recv_bytes = counts + (ptrdiff_t)2 * ranks,
            *recv_at = counts + (ptrdiff_t)3 * ranks;
    const run own = {owners[rank], owners[rank + 1]}, need = halo_of(d, rank, side, halo);
    for (int r = 0; r < ranks; r++) {
        const run theirs = {owners[r], owners[r + 1]};
        const run out = r == rank ? (run){own.first, own.first} : cut(halo_of(d, r, side, halo), own);
        const run in = r == rank ? (run){own.first, own.first} : cut(need, theirs);
        send_bytes[r] = (out.end - out.first) * row;
        send_at[r] = out.end > out.first ? (out.first - held) * row : 0;
        recv_bytes[r] = (in.end - in.first) * row;
        recv_at[r] = in.end > in.first ? (in.first - held) * row : 0;
    }
    return avi_comm_exchange(comm, d->values, send_bytes, send_at, d->values, recv_bytes, recv_at);
}

/* ---- load ---- */

static avi_status check_arguments(const avi_source *source, avi_comm *comm, const avi_partition *p, int lookahead,
                                  int halo)
{
    if (p->ranks != avi_comm_size(comm) || p->rows != source->shape.rows - lookahead || lookahead < 0 ||
        lookahead > 1 || halo < 0)
        return avi_fail(AVI_ERR_INTERNAL,
                        "loading %lld rows with lookahead %d, halo %d into a partition of %lld rows on %d ranks",
                        (long long)source->shape.rows, lookahead, halo, (long long)p->rows, p->ranks);
    if (p->shuffled && (lookahead > 0 || halo > 0))
        return avi_fail(AVI_ERR_INTERNAL, "rows that have neighbours cannot be shuffled (lookahead %d, halo %d)",
                        lookahead, halo);
    if (source->first_entry && (lookahead > 0 || halo > 0))
        return avi_fail(AVI_ERR_INTERNAL, "ragged rows have no neighbours (lookahead %d, halo %d)", lookahead, halo);
    return AVI_OK;
}

/* Memory for own and halo rows and for the arrays of ranks; says how much was asked for when there is too little. */
static avi_status allocate(avi_data *d, int ranks, int64_t **arrays)
{
    const int64_t row = d->shape.width * (int64_t)avi_dtype_size(d->shape.type),
                  rows = d->entry ? d->entry[d->count] : d->halo_left + d->count + d->halo_right;
    if (rows > INT64_MAX / 2 / row)
        return avi_fail(AVI_ERR_INTERNAL, "%lld rows of %lld bytes do not fit into memory", (long long)rows,
                        (long long)row);
    d->values = malloc(rows > 0 ? (size_t)(rows * row) : 1);
    if (!d->values) return avi_fail_memory((size_t)(rows * row), "the rows of this rank");
    const size_t bytes = 6 * ((size_t)ranks + 1) * sizeof(int64_t);
    *arrays = malloc(bytes);
    return *arrays ? AVI_OK : avi_fail_memory(bytes, "the rows of each rank");
}

/* Entries of ragged rows. */
static avi_status fill_ragged(avi_data *d, avi_source *source, avi_comm *comm)
{
    avi_ragged_route way;
    avi_status status = avi_ragged_route_make(d, source, comm, &way);
    const route entries = {way.readers, way.owners, avi_ragged_numbers, &way};
    if (status == AVI_OK) status = read_rows(d, source, comm, &entries, d->values);
    avi_ragged_route_free(&way);
    return status;
}

static avi_status fill(avi_data *d, avi_source *source, avi_comm *comm, int halo)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    int64_t *arrays = NULL;
    AVI_TRY(avi_agree(comm, avi_column_stats_create(d->shape.width, &d->stats)));
    if (source->ops->read_rows && !source->sequential) AVI_TRY(avi_agree(comm, avi_rows_origin(source, &d->origin)));
    if (source->first_entry) AVI_TRY(avi_agree(comm, avi_ragged_count(d, source)));
    if (source->streamed) {
        AVI_TRY(avi_agree(comm, avi_row_stream_create(source, &d->feed)));
        return avi_agree(comm, avi_settle_sample(d, source));
    }
    avi_status status = avi_agree(comm, allocate(d, ranks, &arrays));
    if (status == AVI_OK && d->entry) {
        status = fill_ragged(d, source, comm);
    } else if (status == AVI_OK) {
        int64_t *readers = arrays, *owners = arrays + ranks + 1, *counts = arrays + (ptrdiff_t)2 * (ranks + 1);
        fill_layouts(d, source, ranks, readers, owners);
        const size_t row = (size_t)d->shape.width * avi_dtype_size(d->shape.type);
        const route rows = {readers, owners, avi_redistribution_positions, &d->partition};
        status = read_rows(d, source, comm, &rows, (unsigned char *)d->values + (size_t)d->halo_left * row);
        for (int side = 0; side < 2 && status == AVI_OK && (halo > 0 || d->lookahead > 0); side++)
            status = fetch_side(d, comm, owners, side, halo, owners[rank] - d->halo_left, counts);
    }
    free(arrays);
    return status;
}

avi_status avi_data_load(avi_source *source, avi_comm *comm, const avi_partition *partition, int lookahead, int halo,
                         avi_data **data)
{
    *data = NULL;
    avi_data *d = calloc(1, sizeof *d);
    avi_status status =
        d ? check_arguments(source, comm, partition, lookahead, halo) : avi_fail_memory(sizeof *d, "the data");
    status = avi_agree(comm, status);
    if (status == AVI_OK) {
        const int rank = avi_comm_rank(comm);
        *d = (avi_data){.partition = *partition, .shape = source->shape, .lookahead = lookahead};
        if (source->narrow && !source->streamed && d->shape.type == AVI_F64) d->shape.type = AVI_F32;
        d->first = avi_partition_first_row(partition, rank);
        d->count = avi_partition_first_row(partition, rank + 1) - d->first;
        const run left = halo_of(d, rank, 0, halo), right = halo_of(d, rank, 1, halo);
        d->halo_left = left.end - left.first;
        d->halo_right = right.end - right.first;
        status = fill(d, source, comm, halo);
        if (status == AVI_OK) status = avi_settle(d, source, comm);
    }
    if (status != AVI_OK) {
        avi_data_destroy(&d);
        return status;
    }
    *data = d;
    return AVI_OK;
}

void avi_data_destroy(avi_data **data)
{
    if (!data || !*data) return;
    avi_row_stream_destroy(&(*data)->feed);
    avi_column_stats_destroy(&(*data)->stats);
    free((*data)->mean);
    free((*data)->sd);
    free((*data)->values);
    free((*data)->entry);
    free(*data);
    *data = NULL;
}

avi_status avi_data_status(const avi_data *data) { return data->feed ? avi_row_stream_status(data->feed) : AVI_OK; }

int64_t avi_data_bytes(const avi_data *data)
{
    const int64_t places = data->entry ? (data->count + 1) * (int64_t)sizeof *data->entry : 0;
    if (data->feed) return avi_row_stream_bytes(data->feed) + places;
    if (data->entry)
        return data->entry[data->count] * data->shape.width * (int64_t)avi_dtype_size(data->shape.type) + places;
    return (data->halo_left + data->count + data->halo_right) * data->shape.width *
           (int64_t)avi_dtype_size(data->shape.type);
}
