/* The encodings of a step's sums: floats, digits of floats for scalars, fixed point. How they travel is elsewhere: by
 * messages (reduce.c) or in shared memory (reduce_shared.c). */
#include "reduce/reduce_internal.h"
#include "base/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tile gradients may exceed the summed gradient of the step before, which gives the scale, by this many bits before a
 * step must be redone: 10, and the 4 by which a product must stay below other values. */
enum { HEADROOM_BITS = 10 + 51 - AVI_PRODUCT_BITS };

int64_t *avi_reducer_limbs(const avi_reducer *r, int i)
{
    return r->fixed + (r->reproducible ? r->size : 0) + i * AVI_WIDE_LIMBS;
}

int avi_reducer_shift(const avi_reducer *r, int block)
{
    return avi_fixed_point_shift(r->largest[block], HEADROOM_BITS + r->extra_bits);
}

/* The block of parameters that a place of the gradient belongs to. */
static int block_at(const avi_reducer *r, int64_t place) { return (int)avi_interval_of(r->offset, r->blocks, place); }

/* Zeroed when the first values of a step come and not when the step begins: a product overwrites a block that has none
 * yet, which saves a pass over it. */
void avi_reducer_zero_unless_written(avi_reducer *r, int b)
{
    if (!r->written[b])
        memset(r->fixed + r->offset[b], 0, (size_t)(r->offset[b + 1] - r->offset[b]) * sizeof *r->fixed);
    r->written[b] = true;
}

void avi_reducer_add_values(avi_reducer *r, int64_t place, int64_t n, const void *values)
{
    const int b = block_at(r, place);
    const int64_t at = r->offset[b];
    avi_reducer_zero_unless_written(r, b);
    if (r->precision == AVI_PRECISION_SINGLE)
        r->overflow += avi_fixed_point_add_f32(r->fixed + at, values, n, avi_reducer_shift(r, b), &r->tile_max[b]);
    else
        r->overflow += avi_fixed_point_add_f64(r->fixed + at, values, n, avi_reducer_shift(r, b), &r->tile_max[b]);
}

/* Grows in the first step to what the largest product needs, and stays. */
static avi_status reserve_scratch(avi_reducer *r, int64_t rows, int64_t in)
{
    const size_t need =
        r->precision == AVI_PRECISION_SINGLE ? avi_products_scratch_f32(rows, in) : avi_products_scratch_f64(rows, in);
    const size_t bytes = (need + 63) / 64 * 64;
    if (bytes <= r->scratch_bytes) return AVI_OK;
    free(r->scratch);
    r->scratch = aligned_alloc(64, bytes);
    r->scratch_bytes = r->scratch ? bytes : 0;
    return r->scratch ? AVI_OK : avi_fail_memory(bytes, "the products of a weight");
}

avi_status avi_reducer_add_products(avi_reducer *r, int64_t place, int count, const avi_product *p)
{
    const int b = block_at(r, place);
    int64_t rows = 0;
    for (int i = 0; i < count; i++) rows += p[i].rows;
    AVI_TRY(reserve_scratch(r, rows, p->in));
    int64_t *sum = r->fixed + r->offset[b];
    const bool add = r->written[b];
    const int64_t values = p->out * p->in;
    if (!add) memset(sum + values, 0, (size_t)(r->offset[b + 1] - r->offset[b] - values) * sizeof *sum); /* padding */
    r->written[b] = true;
    if (r->precision == AVI_PRECISION_SINGLE)
        r->overflow +=
            avi_products_fixed_point_f32(sum, add, count, p, avi_reducer_shift(r, b), &r->tile_max[b], r->scratch);
    else
        r->overflow +=
            avi_products_fixed_point_f64(sum, add, count, p, avi_reducer_shift(r, b), &r->tile_max[b], r->scratch);
    return AVI_OK;
}

void avi_reducer_add_scalars(avi_reducer *r, const double values[AVI_SUMS])
{
    for (int i = 0; i < AVI_SUMS; i++) {
        r->scalar[i] += values[i];
        /* A value that no fixed point holds makes the pass bad, as NaN does. */
        if (r->reproducible && avi_wide_add(avi_reducer_limbs(r, i), values[i]))
            avi_wide_add(avi_reducer_limbs(r, AVI_SUM_BAD), 1);
    }
}

void avi_reducer_own(const avi_reducer *r, double sums[AVI_SUMS])
{
    for (int i = 0; i < AVI_SUMS; i++)
        sums[i] = r->reproducible ? avi_wide_read(avi_reducer_limbs(r, i)) : r->scalar[i];
}

void avi_reducer_read_fixed_point(avi_reducer *r)
{
    for (int b = 0; b < r->blocks; b++) {
        const int64_t at = r->offset[b], n = r->offset[b + 1] - at;
        const int shift = avi_reducer_shift(r, b);
        const double top = r->precision == AVI_PRECISION_SINGLE
                               ? avi_fixed_point_read_f32((float *)r->gradient + at, r->fixed + at, n, shift)
                               : avi_fixed_point_read_f64((double *)r->gradient + at, r->fixed + at, n, shift);
        if (top > 0) r->largest[b] = top; /* the scale of the next step */
    }
}

/* A sum that the digits cannot hold (not finite, or too large) is sent as 0 and counted as bad, so that all ranks drop
 * the step. Where even that count does not fit, 1 is sent in its place. */
void avi_reducer_put_digits(avi_reducer *r)
{
    float *tail = (float *)r->gradient + r->size;
    double bad = r->scalar[AVI_SUM_BAD];
    for (int i = 0; i < AVI_SUMS; i++)
        if (avi_digits_split(tail + i * AVI_DIGITS, r->scalar[i])) {
            memset(tail + i * AVI_DIGITS, 0, AVI_DIGITS * sizeof *tail);
            bad++;
        }
    if (bad != r->scalar[AVI_SUM_BAD] && (!(bad < 1e12) || avi_digits_split(tail + AVI_SUM_BAD * AVI_DIGITS, bad)))
        avi_digits_split(tail + AVI_SUM_BAD * AVI_DIGITS, 1);
}

int avi_reducer_scales(const avi_reducer *r, double *out)
{
    if (out) memcpy(out, r->largest, (size_t)r->blocks * sizeof *out);
    return r->blocks;
}

void avi_reducer_set_scales(avi_reducer *r, const double *in)
{
    if (in)
        memcpy(r->largest, in, (size_t)r->blocks * sizeof *in);
    else
        memset(r->largest, 0, (size_t)r->blocks * sizeof *r->largest);
}
