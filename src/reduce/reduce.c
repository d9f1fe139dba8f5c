#include "reduce/reduce_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums of a step are doubles, and the message is of floats in single precision: each is cut into digits that floats
 * hold without rounding. */
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
        /* Integers of many tiles need room above the largest of one: a bit for each doubling. */
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

void avi_reducer_zero(avi_reducer *r) { memset(r->gradient, 0, (size_t)r->size * avi_real_size(r->precision)); }

/* New scales from the tiles of this step, after an overflow: the one case that needs a second reduction. */
static avi_status rescale(avi_reducer *r, avi_comm *comm)
{
    AVI_TRY(avi_comm_max_double(comm, r->tile_max, (size_t)r->blocks));
    for (int b = 0; b < r->blocks; b++)
        if (r->tile_max[b] > 0) r->largest[b] = r->tile_max[b];
    return AVI_OK;
}

/* Values that are not finite overflow too, but no scale helps: the caller sees them in AVI_SUM_BAD and drops the step.
 */
static bool must_redo(const double sums[AVI_SUMS]) { return sums[AVI_SUM_OVERFLOW] > 0 && !(sums[AVI_SUM_BAD] > 0); }

static avi_status finish_reproducible(avi_reducer *r, avi_comm *comm, bool scalars_only, double sums[AVI_SUMS],
                                      bool *redo)
{
    /* A rank without tiles of a block adds zeros, not what is left of the step before. */
    for (int b = 0; !scalars_only && b < r->blocks; b++) avi_reducer_zero_unless_written(r, b);
    /* A block that had no gradient so far has no scale: it overflows once, and the tiles give one. */
    for (int b = 0; !scalars_only && b < r->blocks; b++) r->overflow += !(r->largest[b] > 0) && r->tile_max[b] > 0;
    avi_wide_add(avi_reducer_limbs(r, AVI_SUM_OVERFLOW), (double)r->overflow);
    if (r->shared && !scalars_only) {
        avi_reducer_finish_shared(r, comm, sums);
        *redo = must_redo(sums);
        return *redo ? rescale(r, comm) : AVI_OK;
    }
    /* Sums of integers do not depend on their order: the bits are the same on any number of ranks. */
    if (scalars_only)
        AVI_TRY(avi_comm_sum_int64(comm, avi_reducer_limbs(r, 0), AVI_SUMS * AVI_WIDE_LIMBS));
    else
        AVI_TRY(avi_comm_sum_int64(comm, r->fixed, (size_t)r->size + AVI_SUMS * AVI_WIDE_LIMBS));
    for (int i = 0; i < AVI_SUMS; i++) sums[i] = avi_wide_read(avi_reducer_limbs(r, i));
    *redo = must_redo(sums);
    if (*redo) return rescale(r, comm);
    if (!scalars_only && !(sums[AVI_SUM_BAD] > 0)) avi_reducer_read_fixed_point(r);
    return AVI_OK;
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

size_t avi_reducer_bytes(const avi_reducer *r)
{
    return (size_t)r->size * (avi_real_size(r->precision) + (r->reproducible ? sizeof(int64_t) : 0));
}
