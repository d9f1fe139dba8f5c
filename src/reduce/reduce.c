#include "reduce/reduce_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tile gradients may exceed the summed gradient of the step before, which gives the scale, by this many bits before a
 * step must be redone: 10, and the 4 by which a product must stay below other values. */
enum { HEADROOM_BITS = 10 + 51 - AVI_PRODUCT_BITS };

static size_t scalar_values(const avi_reducer *r)
{
    return r->precision == AVI_PRECISION_SINGLE ? AVI_SUMS * AVI_DIGITS : AVI_SUMS;
}

static avi_status allocate(avi_reducer *r)
{
    const size_t bytes = ((size_t)r->size + scalar_values(r)) * avi_real_size(r->precision);
    const size_t fixed = ((size_t)(r->reproducible ? r->size : 0) + AVI_SUMS * AVI_WIDE_LIMBS) * sizeof(int64_t);
    r->owns_gradient = !r->gradient;
    r->owns_fixed = !r->fixed;
    if (r->owns_gradient) r->gradient = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (r->owns_fixed) r->fixed = malloc(fixed);
    if (!r->gradient || !r->fixed) return avi_fail_memory(bytes + fixed, "the gradient of a step");
    memset(r->gradient, 0, bytes); /* padding stays zero */
    if (!r->total) r->total = r->gradient;
    return AVI_OK;
}

avi_status avi_reducer_create(avi_precision precision, bool reproducible, int blocks, const int64_t *offset,
                              int64_t tiles, avi_comm *comm, avi_reducer **reducer)
{
    avi_reducer *r = calloc(1, sizeof *r);
    *reducer = r;
    avi_status status = r ? AVI_OK : avi_fail_memory(sizeof *r, "the reduction");
    if (r) {
        *r = (avi_reducer){
            .precision = precision, .reproducible = reproducible, .blocks = blocks, .size = offset[blocks]};
        while (tiles > 2048) {
            r->extra_bits++;
            tiles /= 2;
        }
        r->offset = malloc((size_t)(blocks + 1) * sizeof *r->offset);
        r->largest = calloc((size_t)blocks + 1, sizeof *r->largest);
        r->tile_max = calloc((size_t)blocks + 1, sizeof *r->tile_max);
        r->written = calloc((size_t)blocks + 1, sizeof *r->written);
        if (!r->offset || !r->largest || !r->tile_max || !r->written)
            status = avi_fail_memory((size_t)blocks, "the blocks of the gradient");
    }
    if (status == AVI_OK) memcpy(r->offset, offset, (size_t)(blocks + 1) * sizeof *offset);
    if (comm) status = avi_agree(comm, status);
    if (comm && status == AVI_OK) status = avi_reducer_share(r, comm);
    if (status == AVI_OK) status = allocate(r);
    if (comm) status = avi_agree(comm, status);
    if (status != AVI_OK) avi_reducer_destroy(reducer);
    return status;
}

void avi_reducer_destroy(avi_reducer **reducer)
{
    avi_reducer *r = *reducer;
    if (!r) return;
    avi_shared_destroy(&r->shared);
    free(r->offset);
    free(r->largest);
    free(r->tile_max);
    if (r->owns_gradient) free(r->gradient);
    if (r->owns_fixed) free(r->fixed);
    free(r->written);
    free(r->scratch);
    free(r);
    *reducer = NULL;
}

int64_t *avi_reducer_limbs(const avi_reducer *r, int i)
{
    return r->fixed + (r->reproducible ? r->size : 0) + i * AVI_WIDE_LIMBS;
}

void avi_reducer_begin(avi_reducer *r)
{
    memset(avi_reducer_limbs(r, 0), 0, AVI_SUMS * AVI_WIDE_LIMBS * sizeof *r->fixed);
    memset(r->written, 0, (size_t)r->blocks * sizeof *r->written);
    memset(r->scalar, 0, sizeof r->scalar);
    memset(r->tile_max, 0, (size_t)r->blocks * sizeof *r->tile_max);
    r->overflow = 0;
}

void *avi_reducer_gradient(avi_reducer *r) { return r->gradient; }
const void *avi_reducer_total(const avi_reducer *r) { return r->total; }
bool avi_reducer_is_shared(const avi_reducer *r) { return r->shared != NULL; }

int avi_reducer_shift(const avi_reducer *r, int block)
{
    return avi_fixed_point_shift(r->largest[block], HEADROOM_BITS + r->extra_bits);
}

void avi_reducer_zero(avi_reducer *r) { memset(r->gradient, 0, (size_t)r->size * avi_real_size(r->precision)); }

static int block_at(const avi_reducer *r, int64_t place)
{
    int low = 0, high = r->blocks;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(r->offset[middle] <= place ? &low : &high) = middle;
    }
    return low;
}

static void zero_unless_written(avi_reducer *r, int b)
{
    if (!r->written[b])
        memset(r->fixed + r->offset[b], 0, (size_t)(r->offset[b + 1] - r->offset[b]) * sizeof *r->fixed);
    r->written[b] = true;
}

void avi_reducer_add_values(avi_reducer *r, int64_t place, int64_t n, const void *values)
{
    const int b = block_at(r, place);
    const int64_t at = r->offset[b];
    zero_unless_written(r, b);
    if (r->precision == AVI_PRECISION_SINGLE)
        r->overflow += avi_fixed_point_add_f32(r->fixed + at, values, n, avi_reducer_shift(r, b), &r->tile_max[b]);
    else
        r->overflow += avi_fixed_point_add_f64(r->fixed + at, values, n, avi_reducer_shift(r, b), &r->tile_max[b]);
}

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

/* New scales from the tiles of this step, after an overflow: the one case that needs a second reduction. */
static avi_status rescale(avi_reducer *r, avi_comm *comm)
{
    AVI_TRY(avi_comm_max_double(comm, r->tile_max, (size_t)r->blocks));
    for (int b = 0; b < r->blocks; b++)
        if (r->tile_max[b] > 0) r->largest[b] = r->tile_max[b];
    return AVI_OK;
}

static void read_fixed_point_gradient(avi_reducer *r)
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

/* Values that are not finite overflow too, but no scale helps: the caller sees them in AVI_SUM_BAD and drops the step.
 */
static bool must_redo(const double sums[AVI_SUMS]) { return sums[AVI_SUM_OVERFLOW] > 0 && !(sums[AVI_SUM_BAD] > 0); }

static avi_status finish_reproducible(avi_reducer *r, avi_comm *comm, bool scalars_only, double sums[AVI_SUMS],
                                      bool *redo)
{
    for (int b = 0; !scalars_only && b < r->blocks; b++) zero_unless_written(r, b);
    for (int b = 0; !scalars_only && b < r->blocks; b++) r->overflow += !(r->largest[b] > 0) && r->tile_max[b] > 0;
    avi_wide_add(avi_reducer_limbs(r, AVI_SUM_OVERFLOW), (double)r->overflow);
    if (r->shared && !scalars_only) {
        avi_reducer_finish_shared(r, comm, sums);
        *redo = must_redo(sums);
        return *redo ? rescale(r, comm) : AVI_OK;
    }
    if (scalars_only)
        AVI_TRY(avi_comm_sum_int64(comm, avi_reducer_limbs(r, 0), AVI_SUMS * AVI_WIDE_LIMBS));
    else
        AVI_TRY(avi_comm_sum_int64(comm, r->fixed, (size_t)r->size + AVI_SUMS * AVI_WIDE_LIMBS));
    for (int i = 0; i < AVI_SUMS; i++) sums[i] = avi_wide_read(avi_reducer_limbs(r, i));
    *redo = must_redo(sums);
    if (*redo) return rescale(r, comm);
    if (!scalars_only && !(sums[AVI_SUM_BAD] > 0)) read_fixed_point_gradient(r);
    return AVI_OK;
}

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

static avi_status finish_single(avi_reducer *r, avi_comm *comm, double sums[AVI_SUMS])
{
    float *tail = (float *)r->gradient + r->size;
    avi_reducer_put_digits(r);
    AVI_TRY(avi_comm_sum_float(comm, r->gradient, (size_t)r->size + AVI_SUMS * AVI_DIGITS));
    for (int i = 0; i < AVI_SUMS; i++) sums[i] = avi_digits_read(tail + i * AVI_DIGITS);
    return AVI_OK;
}

static avi_status finish_double(avi_reducer *r, avi_comm *comm, double sums[AVI_SUMS])
{
    double *tail = (double *)r->gradient + r->size;
    memcpy(tail, r->scalar, sizeof r->scalar);
    AVI_TRY(avi_comm_sum_double(comm, r->gradient, (size_t)r->size + AVI_SUMS));
    memcpy(sums, tail, AVI_SUMS * sizeof *sums);
    return AVI_OK;
}

avi_status avi_reducer_finish(avi_reducer *r, avi_comm *comm, bool scalars_only, double sums[AVI_SUMS], bool *redo)
{
    *redo = false;
    if (r->reproducible) return finish_reproducible(r, comm, scalars_only, sums, redo);
    if (r->shared && !scalars_only) {
        avi_reducer_finish_shared(r, comm, sums);
        return AVI_OK;
    }
    if (scalars_only) { /* without a gradient of floats to ride on they are doubles: no range, NaN stays NaN */
        memcpy(sums, r->scalar, sizeof r->scalar);
        return avi_comm_sum_double(comm, sums, AVI_SUMS);
    }
    return r->precision == AVI_PRECISION_SINGLE ? finish_single(r, comm, sums) : finish_double(r, comm, sums);
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

size_t avi_reducer_bytes(const avi_reducer *r)
{
    return (size_t)r->size * (avi_real_size(r->precision) + (r->reproducible ? sizeof(int64_t) : 0));
}
