#include "plan/gap_plan.h"

#include "gap/ledger.h"
#include "session/sample.h"

#include <math.h>
#include <string.h>

static bool takes(const avi_session *s, const char *other)
{
    return strcmp(avi_config_get_string(s->config, "gap", "data"), other) != 0;
}

static int64_t planned_rows(const avi_session *s)
{
    return (takes(s, "test") ? s->counts.partition.rows : 0) + (takes(s, "train") ? s->counts.test_rows : 0);
}

/* The ledger of the first rows that each rank holds, as data of their own. */
static avi_status try_rows(avi_session *s, const avi_state *st, avi_fixed_theta *f, int64_t rows, double *seconds)
{
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const avi_gap_settings settings = {.draws = (int)avi_config_get_int(s->config, "gap", "draws"),
                                       .starts = (int)avi_config_get_int(s->config, "gap", "starts"),
                                       .passes = (int)avi_config_get_int(s->config, "gap", "passes"),
                                       .tolerance = avi_config_get_real(s->config, "gap", "tolerance")};
    avi_gap_ledger ledger = {0};
    avi_data view = *s->train;
    const int64_t tile = avi_plan_least(s->partition.tile, rows / ranks);
    AVI_TRY(avi_partition_make(rows, tile, (rows + tile - 1) / tile, ranks, s->seed, false, &view.partition));
    view.shape.rows = rows;
    view.first = avi_partition_first_row(&view.partition, rank);
    view.count = avi_partition_first_row(&view.partition, rank + 1) - view.first;
    if (!view.feed && view.count > s->train->count) view.count = s->train->count;
    const double from = avi_plan_clock();
    const avi_status status = avi_gap_ledger_make(f, &view, st->table, "trial", &settings, &ledger);
    *seconds = avi_plan_clock() - from;
    avi_gap_ledger_free(&ledger);
    AVI_TRY(status);
    return avi_comm_max_double(s->comm, seconds, 1);
}

/* Of each row, in the ledger and on its way to it. */
static double row_bytes(const avi_session *s)
{
    const double tables = 2 * (double)s->family->width * (double)avi_real_size(s->precision);
    /* Own rows, slabs twice, and rows that wait to be kept; of factors with full covariance few rows are touched. */
    return tables + 3 * AVI_GAP_COLUMNS * sizeof(double) + sizeof(int64_t) + 1;
}

avi_status avi_gap_plan(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_fixed_theta f = {0};
    double seconds = 0;
    const int64_t ranks = avi_comm_size(s->comm), here = s->partition.rows / ranks;
    AVI_TRY(avi_agree(s->comm, avi_fixed_theta_create(s, st, (int)avi_config_get_int(s->config, "gap", "draws"), &f)));
    /* A block of rows is refined until its last one has converged: the time is that of whole blocks, as is memory. */
    const int64_t rows = ranks * avi_plan_least(here > 0 ? here : 1, f.refine.block_rows);
    const avi_status status = try_rows(s, st, &f, rows, &seconds);
    avi_fixed_theta_free(&f);
    AVI_TRY(status);
    const double all = (double)planned_rows(s), largest = fmax((double)s->counts.partition.rows, all / 2);
    /* Columns of all rows are kept until they are written, work on one data set is given back before the next. */
    const double kept = AVI_GAP_COLUMNS * sizeof(double) * (all - largest);
    p->peak = fmax(p->peak, avi_memory_most() + avi_session_bytes_left_out(s) +
                                (row_bytes(s) * (largest - (double)rows) + kept) / (double)ranks);
    avi_plan_add(p, "gap", seconds * all / (double)rows);
    avi_plan_add(p, "files", avi_plan_file_seconds(s->comm, AVI_GAP_COLUMNS * sizeof(double) * all));
    return AVI_OK;
}
