/* How many rows --dry-run loads, from counts alone: the same on every machine and number of ranks, but for ranks that
 * have to have some. */
#include "session/session.h"
#include "state/best.h"
#include "session/sample.h"
#include "state/state.h"

#include <math.h>

enum {
    SAMPLE_BYTES = 32 << 20, /* of rows and their factors, on all ranks together */
    DENSE_ROWS = 2500        /* of a matrix that is larger than caches, and factored in less than a second */
};
static const double STEP_WORK = 2e10; /* operations of a step, about */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static double row_bytes(const avi_session *s)
{
    const double real = (double)avi_real_size(s->precision),
                 data = s->train_source->streamed ? 0 : avi_source_row_bytes(s->train_source),
                 copies = 2 + s->optim.ops->slots;
    return data + (s->infer->ops->local ? copies * (double)s->infer->outputs * real : 0);
}

int64_t avi_session_row_values(const avi_session *s)
{
    const avi_source *source = s->train_source;
    if (!source || !source->first_entry || s->shape.rows < 1) return s->shape.width;
    const int64_t values = s->shape.width * source->first_entry[s->shape.rows] / s->shape.rows;
    return values > 0 ? values : 1;
}

/* Operations of a step for each of its rows: forward and backward through networks, and through what a draw takes. */
static double row_work(const avi_session *s)
{
    const double draws = s->problem.draws;
    return 6 * ((double)s->infer->phi.size + draws * (double)s->model->theta.size) +
           300 * draws * (double)s->model->latent +
           10 * (s->shape.ragged ? draws : 1) * (double)avi_session_row_values(s);
}

/* Rows that a rank passes through the model together: with fewer its memory is not that of a run. */
static int64_t block_rows(const avi_session *s) { return most(s->problem.block_rows, s->partition.tile); }

static int64_t rows_that_tell(const avi_session *s)
{
    const int64_t ranks = s->partition.ranks, all = s->partition.rows;
    if (s->model->ops->coupling == AVI_DENSE) return DENSE_ROWS;
    if (s->options->sample_rows) return most(s->options->sample_rows, ranks * s->partition.tile);
    const double bytes = row_bytes(s);
    const double fit = bytes > 0 ? fmin((double)SAMPLE_BYTES / bytes, (double)all) : (double)all;
    return most((int64_t)fit, ranks * block_rows(s));
}

static int64_t rows_to_load(const avi_session *s)
{
    const int64_t rows = rows_that_tell(s), all = s->partition.rows;
    return rows > all - all / 5 ? all : rows; /* nearly all: then all */
}

/* Lanes of a step that is tried: those of the batch, but fewer where that takes long. */
static int64_t lanes_to_try(const avi_session *s, int64_t rows)
{
    const int64_t tile = s->partition.tile, tiles = (rows + tile - 1) / tile;
    const int64_t all = least(s->partition.lanes, tiles);
    if (s->model->ops->coupling == AVI_DENSE || !s->optim.ops->update[s->precision]) return tiles;
    const double rows_of_work = STEP_WORK / row_work(s);
    return most(least(all, (int64_t)fmin(rows_of_work / (double)tile, 1e15)), least(s->partition.ranks, tiles));
}

avi_status avi_session_sample(avi_session *s)
{
    const int64_t lookahead = s->model->ops->lookahead,
                  test = s->test_source ? s->test_source->shape.rows - lookahead : 0;
    s->counts = (avi_session_counts){.rows = s->shape.rows,
                                     .test_rows = test > 0 ? test : 0,
                                     .partition = s->partition,
                                     .batch = s->batch,
                                     .epoch_steps = s->epoch_steps};
    if (!s->options->dry_run) return AVI_OK;
    const int64_t rows = rows_to_load(s), lanes = lanes_to_try(s, rows);
    s->sampled = rows < s->partition.rows;
    if (!s->sampled && lanes == s->partition.lanes) return AVI_OK;
    s->shape.rows = s->train_source->shape.rows = rows + lookahead;
    if (test > rows) s->test_source->shape.rows = rows + lookahead;
    const avi_partition whole = s->partition;
    AVI_TRY(avi_partition_make(rows, whole.tile, lanes, whole.ranks, whole.seed, whole.shuffled, &s->partition));
    s->epoch_steps = avi_partition_epoch_steps(&s->partition);
    s->batch = least(s->partition.lanes * whole.tile, rows);
    return AVI_OK;
}

int64_t avi_session_rows_left_out(const avi_session *s)
{
    const int rank = avi_comm_rank(s->comm);
    const avi_partition *p = &s->counts.partition;
    return avi_partition_first_row(p, rank + 1) - avi_partition_first_row(p, rank) - s->train->count;
}

int64_t avi_session_test_rows_left_out(const avi_session *s)
{
    return s->test ? (s->counts.test_rows - s->test->partition.rows) / avi_comm_size(s->comm) : 0;
}

/* Of ragged rows, the mean of those that were loaded, on all ranks. */
static double held_row_bytes(const avi_data *d)
{
    const double stored = (double)(d->shape.width * (int64_t)avi_dtype_size(d->shape.type));
    if (d->feed) return 0;
    return d->entry ? stored * (double)d->entries / (double)d->partition.rows + sizeof *d->entry : stored;
}

double avi_session_row_bytes(const avi_session *s) { return held_row_bytes(s->train); }

double avi_session_data_bytes(const avi_session *s)
{
    return (double)avi_data_bytes(s->train) + held_row_bytes(s->train) * (double)avi_session_rows_left_out(s);
}

double avi_session_state_bytes(const avi_session *s)
{
    const double copies = s->infer->ops->local ? 2 + s->optim.ops->slots + avi_best_wanted(s) : 0;
    return (double)avi_state_bytes(s) + copies * (double)s->infer->outputs * (double)avi_real_size(s->precision) *
                                            (double)avi_session_rows_left_out(s);
}

double avi_session_data_bytes_left_out(const avi_session *s)
{
    const double train = avi_session_data_bytes(s) - (double)avi_data_bytes(s->train);
    return train + (s->test ? held_row_bytes(s->test) * (double)avi_session_test_rows_left_out(s) : 0);
}

double avi_session_bytes_left_out(const avi_session *s)
{
    const double bytes = avi_session_data_bytes_left_out(s) + avi_session_state_bytes(s) - (double)avi_state_bytes(s);
    if (s->model->ops->coupling != AVI_DENSE) return bytes;
    const double n = (double)s->partition.rows, all = (double)s->counts.partition.rows,
                 ranks = s->problem.reproducible ? 1 : avi_comm_size(s->comm),
                 matrices = s->optim.ops->update[s->precision] ? 1 : 2; /* of Newton steps, one more */
    if (s->problem.reproducible && avi_comm_rank(s->comm) > 0) return bytes;
    return bytes + matrices * (all * all - n * n) * sizeof(double) / ranks;
}
