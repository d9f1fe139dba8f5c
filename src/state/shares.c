#include "state/shares.h"

#include "avi/partition.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void avi_shares_create(avi_shares *t, avi_comm *comm, bool profile)
{
    *t = (avi_shares){.comm = comm, .width = profile ? AVI_SHARES : AVI_SHARE_PHASES};
}

void avi_shares_free(avi_shares *t)
{
    free(t->value);
    free(t->old);
    t->value = t->old = NULL;
    t->lines = t->capacity = t->gone = t->before = 0;
}

void avi_shares_clear(avi_shares *t)
{
    free(t->old);
    t->old = NULL;
    t->lines = t->gone = t->before = 0;
}

static avi_status reserve(avi_shares *t, int64_t lines)
{
    if (lines <= t->capacity) return AVI_OK;
    const int64_t capacity = 2 * lines + 64;
    const size_t bytes = (size_t)(capacity * t->width) * sizeof *t->value;
    double *value = realloc(t->value, bytes);
    if (!value) return avi_fail_memory(bytes, "the trace");
    t->value = value;
    t->capacity = capacity;
    return AVI_OK;
}

avi_status avi_shares_add(avi_shares *t, const double *own)
{
    AVI_TRY(reserve(t, t->lines + 1));
    memcpy(t->value + t->lines++ * t->width, own, (size_t)t->width * sizeof *own);
    return AVI_OK;
}

int64_t avi_shares_columns(const avi_shares *t) { return avi_comm_size(t->comm) + t->gone; }

/* ---- columns of ranks <-> slabs of lines ---- */

/* Column c belongs to rank c, or to the rank in whose slab of the columns that are gone it is. A rank's columns in
 * ascending order: its own, then those. */
static int64_t held_columns(int64_t ranks, int64_t gone, int rank)
{
    return 1 + avi_slab_first(gone, (int)ranks, rank + 1) - avi_slab_first(gone, (int)ranks, rank);
}

static int64_t column_of(int64_t ranks, int64_t gone, int rank, int64_t k)
{
    return k == 0 ? rank : ranks + avi_slab_first(gone, (int)ranks, rank) + k - 1;
}

/* Between a rank's columns and its slab of lines: every pair of ranks has the lines of one and the columns of the other
 * in common, column by column. */
typedef struct exchange {
    int ranks, rank;
    int64_t gone, lines, count;          /* count: values of a column on a line */
    int64_t *columns_bytes, *columns_at; /* of the own columns, by rank of the lines */
    int64_t *lines_bytes, *lines_at;     /* of the own lines, by rank of the columns */
    double *of_columns, *of_lines;       /* buffers */
} exchange;

static void exchange_free(exchange *x)
{
    free(x->columns_bytes);
    free(x->of_columns);
    free(x->of_lines);
}

static int64_t lines_of(const exchange *x, int rank)
{
    return avi_slab_first(x->lines, x->ranks, rank + 1) - avi_slab_first(x->lines, x->ranks, rank);
}

static avi_status exchange_plan(exchange *x, avi_comm *comm, int64_t gone, int64_t lines, int64_t count)
{
    *x = (exchange){
        .ranks = avi_comm_size(comm), .rank = avi_comm_rank(comm), .gone = gone, .lines = lines, .count = count};
    int64_t *plan = x->columns_bytes = malloc((size_t)x->ranks * 4 * sizeof *plan);
    if (!plan) return avi_fail_memory((size_t)x->ranks * 4 * sizeof *plan, "the trace");
    x->columns_at = plan + x->ranks;
    x->lines_bytes = plan + 2 * x->ranks;
    x->lines_at = plan + 3 * x->ranks;
    const int64_t word = count * (int64_t)sizeof(double);
    int64_t out = 0, in = 0;
    for (int r = 0; r < x->ranks; r++) {
        x->columns_bytes[r] = lines_of(x, r) * held_columns(x->ranks, gone, x->rank) * word;
        x->lines_bytes[r] = lines_of(x, x->rank) * held_columns(x->ranks, gone, r) * word;
        x->columns_at[r] = out;
        x->lines_at[r] = in;
        out += x->columns_bytes[r];
        in += x->lines_bytes[r];
    }
    x->of_columns = malloc((size_t)out + 1);
    x->of_lines = malloc((size_t)in + 1);
    return x->of_columns && x->of_lines ? AVI_OK : avi_fail_memory((size_t)(out + in), "the trace");
}

/* slab (own lines, columns, count) from the buffer, or into it. */
static void copy_lines(exchange *x, double *slab, bool pack)
{
    const int64_t columns = x->ranks + x->gone, own = lines_of(x, x->rank);
    double *place = x->of_lines;
    for (int r = 0; r < x->ranks; r++)
        for (int64_t k = 0; k < held_columns(x->ranks, x->gone, r); k++)
            for (int64_t l = 0; l < own; l++, place += x->count) {
                double *value = slab + (l * columns + column_of(x->ranks, x->gone, r, k)) * x->count;
                memcpy(pack ? place : value, pack ? value : place, (size_t)x->count * sizeof *place);
            }
}

/* Value of an own column on a line; NULL where there is none. */
static double *at(const avi_shares *t, int64_t column, int64_t line)
{
    if (column == 0) return t->value + line * t->width;
    return line < t->before ? t->old + ((column - 1) * t->before + line) * t->width : NULL;
}

avi_status avi_shares_lines(const avi_shares *t, int which, int count, double *slab)
{
    exchange x;
    avi_status status = avi_agree(t->comm, exchange_plan(&x, t->comm, t->gone, t->lines, count));
    double *place = x.of_columns;
    for (int r = 0; status == AVI_OK && r < x.ranks; r++)
        for (int64_t k = 0; k < held_columns(x.ranks, x.gone, x.rank); k++)
            for (int64_t l = avi_slab_first(t->lines, x.ranks, r); l < avi_slab_first(t->lines, x.ranks, r + 1); l++) {
                const double *value = at(t, k, l);
                for (int i = 0; i < count; i++) *place++ = value && which + i < t->width ? value[which + i] : NAN;
            }
    if (status == AVI_OK)
        status = avi_comm_exchange(t->comm, x.of_columns, x.columns_bytes, x.columns_at, x.of_lines, x.lines_bytes,
                                   x.lines_at);
    if (status == AVI_OK) copy_lines(&x, slab, false);
    exchange_free(&x);
    return status;
}

/* Own columns of `lines` lines, all NaN. */
static avi_status prepare(avi_shares *t, int64_t lines, int64_t gone)
{
    avi_shares_clear(t);
    const int64_t others = held_columns(avi_comm_size(t->comm), gone, avi_comm_rank(t->comm)) - 1,
                  values = others * lines * t->width;
    AVI_TRY(reserve(t, lines));
    t->old = malloc((size_t)(values + 1) * sizeof *t->old);
    if (!t->old) return avi_fail_memory((size_t)values * sizeof *t->old, "the trace");
    t->lines = t->before = lines;
    t->gone = gone;
    for (int64_t i = 0; i < lines * t->width; i++) t->value[i] = NAN;
    for (int64_t i = 0; i < values; i++) t->old[i] = NAN;
    return AVI_OK;
}

/* The file's lines with a column for every rank that there is now: (own lines, columns, width). */
static double *widen(int64_t own, int64_t from, int64_t to, int width, const double *slab)
{
    double *wide = malloc((size_t)(own * to * width + 1) * sizeof *wide);
    for (int64_t i = 0; wide && i < own * to * width; i++) wide[i] = NAN;
    for (int64_t l = 0; wide && l < own; l++)
        memcpy(wide + l * to * width, slab + l * from * width, (size_t)(from * width) * sizeof *wide);
    return wide;
}

avi_status avi_shares_restore(avi_shares *t, int64_t lines, int64_t columns, int width, const double *slab)
{
    const int ranks = avi_comm_size(t->comm), rank = avi_comm_rank(t->comm), kept = width < t->width ? width : t->width;
    const int64_t gone = columns > ranks ? columns - ranks : 0,
                  own = avi_slab_first(lines, ranks, rank + 1) - avi_slab_first(lines, ranks, rank);
    exchange x = {0};
    double *wide = widen(own, columns, ranks + gone, width, slab);
    avi_status status =
        wide ? prepare(t, lines, gone) : avi_fail_memory((size_t)(own * columns) * sizeof *wide, "the trace");
    if (status == AVI_OK) status = exchange_plan(&x, t->comm, gone, lines, width);
    status = avi_agree(t->comm, status);
    if (status == AVI_OK) {
        copy_lines(&x, wide, true);
        status = avi_comm_exchange(t->comm, x.of_lines, x.lines_bytes, x.lines_at, x.of_columns, x.columns_bytes,
                                   x.columns_at);
    }
    const double *place = x.of_columns;
    for (int r = 0; status == AVI_OK && r < ranks; r++)
        for (int64_t k = 0; k < held_columns(ranks, gone, rank); k++)
            for (int64_t l = avi_slab_first(lines, ranks, r); l < avi_slab_first(lines, ranks, r + 1);
                 l++, place += width)
                memcpy(at(t, k, l), place, (size_t)kept * sizeof *place);
    exchange_free(&x);
    free(wide);
    return status;
}
