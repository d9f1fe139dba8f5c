/* Ragged rows: the largest block of a run, built once before the first step. Blocks of other steps have other entries,
 * and the tape is to hold the largest of them without asking for memory again. */
#include "elbo/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct tile_size {
    int64_t first, rows, entries;
} tile_size;

static int by_entries(const void *a, const void *b)
{
    const tile_size *x = a, *y = b;
    return (x->entries < y->entries) - (x->entries > y->entries);
}

/* A step takes one tile of each lane: the largest of each, the largest lanes first. Returns how many lanes there are.
 */
static int64_t largest_tiles(const avi_data *d, int64_t from, int64_t to, tile_size *largest)
{
    const avi_partition *p = &d->partition;
    for (int64_t lane = from; lane < to; lane++) {
        tile_size *t = &largest[lane - from];
        *t = (tile_size){.entries = -1};
        for (int64_t i = avi_partition_first_tile(p, lane); i < avi_partition_first_tile(p, lane + 1); i++) {
            const int64_t first = avi_partition_tile_first(p, i), rows = avi_partition_tile_rows(p, i),
                          entries = avi_data_entries(d, first, rows);
            if (entries > t->entries) *t = (tile_size){first, rows, entries};
        }
    }
    qsort(largest, (size_t)(to - from), sizeof *largest, by_entries);
    return to - from;
}

avi_status avi_estimator_largest_job(const avi_estimator *e, avi_row_ranges *job)
{
    const avi_data *d = e->data;
    const int rank = avi_comm_rank(e->comm);
    const int64_t from = avi_partition_first_lane(&d->partition, rank),
                  to = avi_partition_first_lane(&d->partition, rank + 1), lanes = to - from;
    const size_t bytes = ((size_t)lanes + 1) * (sizeof(tile_size) + 2 * sizeof(int64_t));
    *job = (avi_row_ranges){0};
    tile_size *largest = malloc(bytes);
    if (!largest) return avi_fail_memory(bytes, "the largest groups of rows");
    const int64_t n = largest_tiles(d, from, to, largest);
    job->first = malloc(((size_t)n + 1) * sizeof *job->first);
    job->rows = malloc(((size_t)n + 1) * sizeof *job->rows);
    for (int64_t i = 0; i < n && job->first && job->rows; i++) {
        job->first[i] = largest[i].first;
        job->rows[i] = largest[i].rows;
    }
    free(largest);
    job->count = (int)n;
    return job->first && job->rows ? AVI_OK : avi_fail_memory(bytes, "the largest groups of rows");
}
