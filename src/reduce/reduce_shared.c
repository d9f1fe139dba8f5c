/* The reduction of ranks that share memory: every rank's gradient lives there, every rank adds up its share of all
 * gradients, in order of ranks, and all read the total. Nothing is copied, and with reproducible sums a value is
 * rounded to the run's precision by one rank and not by each. */
#include "reduce/reduce_internal.h"

#include <math.h>
#include <string.h>

enum { CHUNK = 2048, ALIGN = 16 /* values: shares begin at cache lines */ };

/* A rank's part: values, then scalars (digits, doubles or limbs), then, with reproducible sums, the largest magnitude
 * of each block in its share of the total. */
static size_t own_values_bytes(const avi_reducer *r)
{
    if (r->reproducible) return ((size_t)r->size + AVI_SUMS * AVI_WIDE_LIMBS) * sizeof(int64_t);
    return r->precision == AVI_PRECISION_SINGLE ? ((size_t)r->size + AVI_SUMS * AVI_DIGITS) * sizeof(float)
                                                : ((size_t)r->size + AVI_SUMS) * sizeof(double);
}

static size_t tops_at(const avi_reducer *r) { return (own_values_bytes(r) + 63) / 64 * 64; }
static double *tops_of(const avi_reducer *r, int rank)
{
    return (double *)(void *)((char *)avi_shared_of(r->shared, rank) + tops_at(r));
}

avi_status avi_reducer_share(avi_reducer *r, avi_comm *comm)
{
    AVI_TRY(avi_shared_create(comm, tops_at(r) + (size_t)r->blocks * sizeof(double),
                              (size_t)r->size * avi_real_size(r->precision), &r->shared));
    if (!r->shared) return AVI_OK;
    void *own = avi_shared_of(r->shared, avi_comm_rank(comm));
    if (r->reproducible)
        r->fixed = own;
    else
        r->gradient = own;
    r->total = avi_shared_total(r->shared);
    return AVI_OK;
}

/* Shares begin at cache lines, so that no two ranks write to one line. */
static int64_t share_of(const avi_reducer *r, const avi_comm *comm, int rank)
{
    const int64_t lines = (r->size + ALIGN - 1) / ALIGN, at = lines * rank / avi_comm_size(comm) * ALIGN;
    return at < r->size ? at : r->size;
}

#define SUM_SHARE(type)                                                                                                \
    static void sum_##type(const avi_reducer *r, int ranks, int64_t first, int64_t end)                                \
    {                                                                                                                  \
        type *restrict total = (type *)r->total;                                                                       \
        for (int64_t at = first; at < end; at += CHUNK) { /* chunks stay in cache while ranks are added to them */     \
            const int64_t n = end - at < CHUNK ? end - at : CHUNK;                                                     \
            const type *restrict a = (const type *)avi_shared_of(r->shared, 0) + at;                                   \
            for (int k = 1; k < ranks; k++) {                                                                          \
                const type *restrict b = (const type *)avi_shared_of(r->shared, k) + at;                               \
                for (int64_t i = 0; i < n; i++) total[at + i] = (k == 1 ? a[i] : total[at + i]) + b[i];                \
            }                                                                                                          \
        }                                                                                                              \
    }
SUM_SHARE(float)
SUM_SHARE(double)

/* Integers of one block: rounded while they are in cache. Returns the largest magnitude. */
static double sum_fixed_point(const avi_reducer *r, int ranks, int block, int64_t first, int64_t end)
{
    uint64_t sum[CHUNK];
    double top = 0;
    const int shift = avi_reducer_shift(r, block);
    for (int64_t at = first; at < end; at += CHUNK) {
        const int64_t n = end - at < CHUNK ? end - at : CHUNK;
        memcpy(sum, (const int64_t *)avi_shared_of(r->shared, 0) + at, (size_t)n * sizeof *sum);
        for (int k = 1; k < ranks; k++) {
            const uint64_t *restrict b = (const uint64_t *)avi_shared_of(r->shared, k) + at;
            for (int64_t i = 0; i < n; i++) sum[i] += b[i];
        }
        const double largest = r->precision == AVI_PRECISION_SINGLE
                                   ? avi_fixed_point_read_f32((float *)r->total + at, (const int64_t *)sum, n, shift)
                                   : avi_fixed_point_read_f64((double *)r->total + at, (const int64_t *)sum, n, shift);
        top = fmax(top, largest);
    }
    return top;
}

static void sum_fixed_point_part(const avi_reducer *r, const avi_comm *comm, int64_t first, int64_t end)
{
    double *tops = tops_of(r, avi_comm_rank(comm));
    for (int b = 0; b < r->blocks; b++) {
        const int64_t from = r->offset[b] > first ? r->offset[b] : first,
                      to = r->offset[b + 1] < end ? r->offset[b + 1] : end;
        if (from < to) tops[b] = fmax(tops[b], sum_fixed_point(r, avi_comm_size(comm), b, from, to));
    }
}

static void sum_part(const avi_reducer *r, const avi_comm *comm, int64_t first, int64_t end)
{
    if (r->reproducible)
        sum_fixed_point_part(r, comm, first, end);
    else if (r->precision == AVI_PRECISION_SINGLE)
        sum_float(r, avi_comm_size(comm), first, end);
    else
        sum_double(r, avi_comm_size(comm), first, end);
}

/* Parts that the estimator has set, where ranks move their parameters as soon as these are summed; else equal shares.
 */
static void sum_parts(const avi_reducer *r, const avi_comm *comm)
{
    const int rank = avi_comm_rank(comm);
    if (r->reproducible) memset(tops_of(r, rank), 0, (size_t)r->blocks * sizeof(double));
    for (int i = 0; i < r->parts; i++) sum_part(r, comm, r->part_first[i], r->part_end[i]);
    if (r->parts == 0) sum_part(r, comm, share_of(r, comm, rank), share_of(r, comm, rank + 1));
}

void avi_reducer_shard(avi_reducer *r, int parts, const int64_t *first, const int64_t *end,
                       void (*then)(void *context, const double sums[AVI_SUMS]), void *context)
{
    r->parts = parts;
    r->part_first = first;
    r->part_end = end;
    r->then = then;
    r->context = context;
}

/* ---- scalars: every rank adds up all ranks' ---- */

static void add_limbs(const avi_reducer *r, int ranks, double sums[AVI_SUMS])
{
    for (int i = 0; i < AVI_SUMS; i++) {
        int64_t limbs[AVI_WIDE_LIMBS] = {0};
        for (int k = 0; k < ranks; k++)
            for (int l = 0; l < AVI_WIDE_LIMBS; l++)
                limbs[l] += ((const int64_t *)avi_shared_of(r->shared, k))[r->size + i * AVI_WIDE_LIMBS + l];
        sums[i] = avi_wide_read(limbs);
    }
}

static void add_digits(const avi_reducer *r, int ranks, double sums[AVI_SUMS])
{
    for (int i = 0; i < AVI_SUMS; i++) {
        float digits[AVI_DIGITS] = {0};
        for (int k = 0; k < ranks; k++)
            for (int d = 0; d < AVI_DIGITS; d++)
                digits[d] += ((const float *)avi_shared_of(r->shared, k))[r->size + i * AVI_DIGITS + d];
        sums[i] = avi_digits_read(digits);
    }
}

static void add_doubles(const avi_reducer *r, int ranks, double sums[AVI_SUMS])
{
    memset(sums, 0, AVI_SUMS * sizeof *sums);
    for (int k = 0; k < ranks; k++)
        for (int i = 0; i < AVI_SUMS; i++) sums[i] += ((const double *)avi_shared_of(r->shared, k))[r->size + i];
}

void avi_reducer_finish_shared(avi_reducer *r, avi_comm *comm, double sums[AVI_SUMS])
{
    const int ranks = avi_comm_size(comm);
    const bool single = r->precision == AVI_PRECISION_SINGLE;
    if (!r->reproducible && single) avi_reducer_put_digits(r);
    if (!r->reproducible && !single) memcpy((double *)r->gradient + r->size, r->scalar, sizeof r->scalar);
    avi_shared_barrier(r->shared); /* all gradients are complete */
    sum_parts(r, comm);
    if (r->reproducible)
        add_limbs(r, ranks, sums);
    else if (single)
        add_digits(r, ranks, sums);
    else
        add_doubles(r, ranks, sums);
    const bool good = !(sums[AVI_SUM_OVERFLOW] > 0) && !(sums[AVI_SUM_BAD] > 0);
    if (good && r->then) r->then(r->context, sums);
    avi_shared_barrier(r->shared); /* the total is complete, and nobody reads the gradients any more */
    if (!r->reproducible || !good) return;
    for (int b = 0; b < r->blocks; b++) {
        double top = 0;
        for (int k = 0; k < ranks; k++) top = fmax(top, tops_of(r, k)[b]);
        if (top > 0) r->largest[b] = top; /* the scale of the next step */
    }
}
