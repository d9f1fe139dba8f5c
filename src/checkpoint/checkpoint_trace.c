#include "checkpoint/checkpoint_trace.h"
#include "checkpoint/checkpoint_check.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

avi_field avi_checkpoint_table(const char *path, const avi_trace *t)
{
    return (avi_field){.path = path,
                       .type = AVI_F64,
                       .rank = 2,
                       .dims = {t->rows, t->columns + t->extra},
                       .data = t->value,
                       .description = "lines so far",
                       .units = "",
                       .axes = "line, column"};
}

static const char SHARES[] = "/trace_rank";

static int64_t slab_lines(const avi_session *s, int64_t lines)
{
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    return avi_slab_first(lines, ranks, rank + 1) - avi_slab_first(lines, ranks, rank);
}

avi_status avi_checkpoint_shares(const avi_session *s, const avi_shares *t, avi_field *f, double **slab)
{
    const int64_t columns = avi_shares_columns(t);
    const size_t bytes = (size_t)(slab_lines(s, t->lines) * columns * t->width + 1) * sizeof **slab;
    *slab = malloc(bytes);
    AVI_TRY(avi_agree(s->comm, *slab ? AVI_OK : avi_fail_memory(bytes, "a checkpoint")));
    *f = (avi_field){.path = SHARES,
                     .type = AVI_F64,
                     .rank = 3,
                     .dims = {t->lines, columns, t->width},
                     .data = *slab,
                     .distributed = true,
                     .description = "shares of the ranks of those lines",
                     .units = "",
                     .axes = "line, rank, share"};
    return avi_shares_lines(t, 0, t->width, *slab);
}

static const char DIGESTS[] = "/digests";

avi_status avi_checkpoint_digests(const avi_session *s, const avi_state *st, avi_field *f, int64_t **sum)
{
    const avi_digests *d = &st->digests;
    const size_t bytes = (size_t)(d->lines * d->columns + 1) * sizeof **sum;
    *sum = malloc(bytes);
    AVI_TRY(avi_agree(s->comm, *sum ? AVI_OK : avi_fail_memory(bytes, "a checkpoint")));
    *f = (avi_field){.path = DIGESTS,
                     .type = AVI_I64,
                     .rank = 2,
                     .dims = {d->lines, d->columns},
                     .data = *sum,
                     .description = "digests of those lines",
                     .units = "",
                     .axes = "line, quantity"};
    return avi_digests_sum(s, d, *sum);
}

/* What avi_checkpoint_digests wrote. Checkpoints of earlier versions have none: their lines are without. */
static avi_status restore_digests(const avi_session *s, avi_store *store, avi_state *st)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    avi_digests *d = &st->digests;
    if (!d->columns) return AVI_OK;
    const bool there = avi_store_shape(store, DIGESTS, &type, &rank, dims) == AVI_OK && type == AVI_I64 && rank == 2 &&
                       dims[0] == st->trace.rows && dims[1] == d->columns;
    avi_error_clear();
    if (!there) return avi_agree(s->comm, avi_digests_restore(s, d, st->trace.rows, NULL));
    const size_t bytes = (size_t)(dims[0] * dims[1] + 1) * sizeof(int64_t);
    int64_t *sum = malloc(bytes);
    AVI_TRY(avi_agree_memory(s->comm, sum, bytes, "the digests of gradients"));
    avi_status status = avi_store_read(store, DIGESTS, AVI_I64, 2, dims, false, sum);
    if (status == AVI_OK) status = avi_agree(s->comm, avi_digests_restore(s, d, dims[0], sum));
    free(sum);
    return status;
}

/* Columns of a table beyond its own ones. Checkpoints of earlier versions have in /trace those of all ranks. */
static avi_status restore_extra(const avi_session *s, avi_state *st, const char *path, avi_trace *t,
                                const double *value, const int64_t dims[4])
{
    const int64_t extra = dims[1] - t->columns, ranks = extra / AVI_SHARES;
    const int rank = avi_comm_rank(s->comm);
    if (t != &st->trace || extra == 0 || dims[0] == 0) return AVI_OK;
    if (extra % AVI_SHARES)
        return avi_fail(AVI_ERR_DATA, "%s: /trace has %" PRId64 " columns of ranks; each rank has %d", path, extra,
                        (int)AVI_SHARES);
    const int64_t first = avi_slab_first(dims[0], avi_comm_size(s->comm), rank), own = slab_lines(s, dims[0]);
    double *slab = malloc((size_t)(own * extra + 1) * sizeof *slab);
    avi_status status =
        avi_agree(s->comm, slab ? AVI_OK : avi_fail_memory((size_t)(own * extra) * sizeof *slab, "the trace"));
    for (int64_t l = 0; status == AVI_OK && l < own; l++)
        memcpy(slab + l * extra, value + (first + l) * dims[1] + t->columns, (size_t)extra * sizeof *slab);
    if (status == AVI_OK) status = avi_shares_restore(&st->shares, dims[0], ranks, AVI_SHARES, slab);
    free(slab);
    return status;
}

/* Evaluations of checkpoints from before these had errors: step, ELBOs and squared errors. */
enum { EVAL_BEFORE_ERRORS = 5 };

static avi_status add_without_errors(avi_trace *t, const double *row)
{
    double full[AVI_EVAL_COLUMNS];
    for (int c = 0; c < AVI_EVAL_COLUMNS; c++) full[c] = c < EVAL_BEFORE_ERRORS ? row[c] : NAN;
    return avi_trace_add(t, full, 0, NULL);
}

static avi_status restore_table(const avi_session *s, avi_store *store, avi_state *st, const char *path,
                                const char *name, avi_trace *t)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    AVI_TRY(avi_store_shape(store, name, &type, &rank, dims));
    const bool old = t == &st->eval && type == AVI_F64 && rank == 2 && dims[1] == EVAL_BEFORE_ERRORS;
    if (!old && (type != AVI_F64 || rank != 2 || (dims[0] > 0 && dims[1] < t->columns)))
        return avi_fail(AVI_ERR_DATA, "%s: not a table of this program", name);
    double *value = malloc((size_t)(dims[0] * dims[1] + 1) * sizeof *value);
    AVI_TRY(avi_agree_memory(s->comm, value, (size_t)(dims[0] * dims[1]) * sizeof *value, "the trace"));
    avi_status status = avi_store_read(store, name, AVI_F64, 2, dims, false, value);
    const bool trace = t == &st->trace; /* whose other columns are the ranks' */
    t->rows = 0;
    for (int64_t r = 0; status == AVI_OK && r < dims[0]; r++)
        status = old ? add_without_errors(t, value + r * dims[1])
                     : avi_trace_add(t, value + r * dims[1], trace ? 0 : (int)dims[1] - t->columns,
                                     value + r * dims[1] + t->columns);
    status = avi_agree(s->comm, status);
    if (status == AVI_OK) status = restore_extra(s, st, path, t, value, dims);
    free(value);
    return status;
}

/* What avi_shares_lines wrote. A checkpoint without lines, or one whose trace held them, has none. */
static avi_status restore_shares(const avi_session *s, avi_store *store, avi_state *st, const char *path)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    if (st->trace.rows == st->shares.lines) return AVI_OK;
    AVI_TRY(avi_store_shape(store, SHARES, &type, &rank, dims));
    if (type != AVI_F64 || rank != 3 || dims[0] != st->trace.rows || dims[1] < 1 || dims[1] > INT_MAX || dims[2] < 1 ||
        dims[2] > AVI_SHARES)
        return avi_fail(AVI_ERR_DATA, "%s: %s is not the ranks' part of %" PRId64 " lines of /trace", path, SHARES,
                        st->trace.rows);
    const size_t bytes = (size_t)(slab_lines(s, dims[0]) * dims[1] * dims[2] + 1) * sizeof(double);
    double *slab = malloc(bytes);
    avi_status status = avi_agree(s->comm, slab ? AVI_OK : avi_fail_memory(bytes, "the trace"));
    if (status == AVI_OK) status = avi_store_read(store, SHARES, AVI_F64, 3, dims, true, slab);
    if (status == AVI_OK) status = avi_shares_restore(&st->shares, dims[0], dims[1], (int)dims[2], slab);
    free(slab);
    return status;
}

const char avi_variance_path[] = "/gradient_variance", avi_variance_lines[] = "gradient_variance_lines";

static avi_status restore_variance(const avi_session *s, avi_store *store, avi_state *st, const char *path)
{
    int64_t lines = 0;
    st->gradient_variance.rows = 0;
    if (avi_store_attribute_int(store, "/", avi_variance_lines, &lines) != AVI_OK) {
        avi_error_clear(); /* a run without, or one of an earlier version */
        return AVI_OK;
    }
    AVI_TRY(restore_table(s, store, st, path, avi_variance_path, &st->gradient_variance));
    return avi_check_lines(path, avi_variance_path, st, &st->gradient_variance);
}

avi_status avi_checkpoint_restore_trace(const avi_session *s, avi_store *store, const char *path, avi_state *st)
{
    avi_shares_clear(&st->shares);
    AVI_TRY(restore_table(s, store, st, path, "/trace", &st->trace));
    AVI_TRY(restore_shares(s, store, st, path));
    AVI_TRY(restore_digests(s, store, st));
    AVI_TRY(avi_check_lines(path, "/trace", st, &st->trace));
    AVI_TRY(restore_table(s, store, st, path, "/eval", &st->eval));
    AVI_TRY(restore_variance(s, store, st, path));
    return avi_check_lines(path, "/eval", st, &st->eval);
}
