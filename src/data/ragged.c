#include "data/ragged.h"
#include "base/interval.h"

#include <stdlib.h>

int64_t avi_ragged_row(const int64_t *first_entry, int64_t rows, int64_t e)
{
    return avi_interval_of(first_entry, rows, e);
}

int64_t avi_source_entries(const avi_source *source, int64_t given)
{
    return source->first_entry ? source->first_entry[given + 1] - source->first_entry[given] : 1;
}

int64_t avi_source_largest_row(const avi_source *source)
{
    int64_t most = 1;
    for (int64_t r = 0; source->first_entry && r < source->shape.rows; r++) {
        const int64_t n = avi_source_entries(source, r);
        most = n > most ? n : most;
    }
    return most;
}

/* ---- own rows ---- */

avi_status avi_ragged_count(avi_data *d, const avi_source *source)
{
    const size_t bytes = ((size_t)d->count + 1) * sizeof *d->entry;
    const int64_t *first = source->first_entry;
    d->entry = malloc(bytes);
    if (!d->entry) return avi_fail_memory(bytes, "the numbers of entries of this rank's rows");
    d->entries = first[d->shape.rows];
    d->entry[0] = 0;
    avi_partition_originals(&d->partition, d->first, d->count, d->entry + 1);
    for (int64_t r = 1; r <= d->count; r++) {
        const int64_t given = d->entry[r];
        d->entry[r] = d->entry[r - 1] + first[given + 1] - first[given];
    }
    return AVI_OK;
}

int64_t avi_data_entries(const avi_data *d, int64_t position, int64_t count)
{
    const int64_t at = position - d->first;
    return d->entry ? d->entry[at + count] - d->entry[at] : count;
}

int64_t avi_ragged_given_entry(const avi_data *d, const avi_source *source, int64_t e)
{
    const int64_t r = avi_ragged_row(d->entry, d->count, e);
    return source->first_entry[avi_partition_original(&d->partition, d->first + r)] + (e - d->entry[r]);
}

/* ---- the way of the entries ---- */

/* Own entries of all ranks, one after the other. */
static avi_status sum_owners(const avi_data *d, avi_comm *comm, int64_t *owners)
{
    const int ranks = avi_comm_size(comm);
    AVI_TRY(avi_comm_allgather(comm, &d->entry[d->count], sizeof *owners, owners + 1));
    owners[0] = 0;
    for (int r = 0; r < ranks; r++) owners[r + 1] += owners[r];
    return AVI_OK;
}

/* Where the entries of each row of the slab begin at their owner: the owners know, and say so. */
static avi_status ask_owners(const avi_data *d, avi_comm *comm, avi_ragged_route *route, int64_t begin)
{
    const size_t bytes = ((size_t)d->count + 1) * sizeof *route->start;
    int64_t *own = malloc(bytes);
    AVI_TRY(avi_agree_memory(comm, own, bytes, "the first entries of rows"));
    for (int64_t r = 0; r < d->count; r++) own[r] = begin + d->entry[r];
    const avi_status status = avi_partition_to_given(&d->partition, comm, sizeof *own, own, route->start);
    free(own);
    return status;
}

avi_status avi_ragged_route_make(const avi_data *d, const avi_source *source, avi_comm *comm, avi_ragged_route *route)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t rows = d->shape.rows, first = avi_slab_first(rows, ranks, rank),
                  slab = avi_slab_first(rows, ranks, rank + 1) - first;
    const size_t bytes = ((size_t)ranks + 1) * sizeof *route->readers;
    *route = (avi_ragged_route){.slab = first, .first_entry = source->first_entry, .rows = rows};
    route->readers = malloc(bytes);
    route->owners = malloc(bytes);
    route->start = malloc(((size_t)slab + 1) * sizeof *route->start);
    AVI_TRY(
        avi_agree(comm, route->readers && route->owners && route->start
                            ? AVI_OK
                            : avi_fail_memory(2 * bytes + (size_t)slab * sizeof *route->start, "entries of ranks")));
    AVI_TRY(sum_owners(d, comm, route->owners));
    for (int r = 0; r <= ranks; r++)
        route->readers[r] =
            d->partition.shuffled ? source->first_entry[avi_slab_first(rows, ranks, r)] : route->owners[r];
    return d->partition.shuffled ? ask_owners(d, comm, route, route->owners[rank]) : AVI_OK;
}

void avi_ragged_route_free(avi_ragged_route *route)
{
    free(route->readers);
    free(route->owners);
    free(route->start);
    *route = (avi_ragged_route){0};
}

void avi_ragged_numbers(const void *context, int64_t first, int64_t count, int64_t *out)
{
    const avi_ragged_route *route = context;
    int64_t row = avi_ragged_row(route->first_entry, route->rows, first);
    for (int64_t i = 0; i < count; i++) {
        while (first + i >= route->first_entry[row + 1]) row++; /* over rows without entries, too */
        out[i] = route->start[row - route->slab] + (first + i - route->first_entry[row]);
    }
}

uint64_t avi_ragged_hash(const int64_t *first_entry, int64_t rows, int ranks, int rank)
{
    uint64_t sum = 0;
    for (int64_t r = avi_slab_first(rows, ranks, rank); r < avi_slab_first(rows, ranks, rank + 1); r++)
        sum += avi_mix64((uint64_t)(first_entry[r + 1] - first_entry[r]), ~(uint64_t)r);
    return sum;
}
