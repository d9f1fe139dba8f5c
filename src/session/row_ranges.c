/* Which rows a pass takes on this rank. */
#include "session/session.h"

#include <stdlib.h>

static avi_status reserve(avi_row_ranges *job, int64_t count)
{
    /* count doubles as capacity: jobs of a step all have the same number of lanes. */
    int64_t *first = realloc(job->first, (size_t)(count + 1) * sizeof *first);
    if (first) job->first = first;
    int64_t *rows = realloc(job->rows, (size_t)(count + 1) * sizeof *rows);
    if (rows) job->rows = rows;
    return first && rows ? AVI_OK : avi_fail_memory((size_t)count * sizeof *rows, "the rows of a step");
}

static void add_tile(const avi_partition *p, int64_t tile, avi_row_ranges *job)
{
    job->first[job->count] = avi_partition_tile_first(p, tile);
    job->rows[job->count++] = avi_partition_tile_rows(p, tile);
}

avi_status avi_row_ranges_step(const avi_session *s, int64_t step, avi_row_ranges *job)
{
    const avi_partition *p = &s->partition;
    const int rank = avi_comm_rank(s->comm);
    const int64_t from = avi_partition_first_lane(p, rank), to = avi_partition_first_lane(p, rank + 1);
    const int64_t epoch = step / s->epoch_steps, index = step % s->epoch_steps;
    if (!job->first) AVI_TRY(reserve(job, to - from));
    job->count = 0;
    for (int64_t lane = from; lane < to; lane++) {
        const int64_t tile = avi_partition_step_tile(p, lane, epoch, index);
        if (tile >= 0) add_tile(p, tile, job);
    }
    return AVI_OK;
}

avi_status avi_row_ranges_rows(const avi_partition *p, int rank, int64_t limit, avi_row_ranges *job)
{
    const int64_t from = avi_partition_first_tile(p, avi_partition_first_lane(p, rank));
    const int64_t to = avi_partition_first_tile(p, avi_partition_first_lane(p, rank + 1));
    AVI_TRY(reserve(job, to - from));
    job->count = 0;
    for (int64_t tile = from; tile < to; tile++) {
        add_tile(p, tile, job);
        const int64_t last = job->count - 1, end = job->first[last] + job->rows[last];
        if (limit <= 0 || end <= limit) continue;
        job->rows[last] -= end - limit;
        if (job->rows[last] <= 0) job->count--;
        break;
    }
    return AVI_OK;
}

avi_status avi_row_ranges_pass(const avi_partition *p, int rank, int64_t limit, avi_row_ranges *job)
{
    const int64_t first = avi_partition_first_row(p, rank), all = avi_partition_first_row(p, rank + 1);
    const int64_t end = limit > 0 && limit < all ? limit : all;
    AVI_TRY(reserve(job, 1));
    job->first[0] = first;
    job->rows[0] = end - first;
    job->count = end > first;
    return AVI_OK;
}

int64_t avi_row_ranges_total(const avi_row_ranges *job)
{
    int64_t rows = 0;
    for (int i = 0; i < job->count; i++) rows += job->rows[i];
    return rows;
}

void avi_row_ranges_free(avi_row_ranges *job)
{
    free(job->first);
    free(job->rows);
    *job = (avi_row_ranges){0};
}
