/* Parameters: named blocks laid out in one flat vector, so that gradient, optimizer state, reduction and checkpoint are
 * one array each. Offsets are padded to 16 values; padding is zero and stays zero. Not collective. */
#ifndef AVI_PARAM_H
#define AVI_PARAM_H

#include "avi/status.h"

#include <stdbool.h>
#include <stdint.h>

/* The type of the numbers on the tape and of the parameters: one a run. */
typedef enum avi_precision { AVI_PRECISION_SINGLE = 0, AVI_PRECISION_DOUBLE = 1 } avi_precision;
static inline size_t avi_real_size(avi_precision p)
{
    return p == AVI_PRECISION_SINGLE ? sizeof(float) : sizeof(double);
}

typedef enum avi_init_rule {
    AVI_INIT_CONSTANT, /* every value = scale */
    AVI_INIT_UNIFORM,  /* uniform in (-scale, scale); PyTorch's Linear has scale = 1 / sqrt(fan_in) */
    AVI_INIT_NORMAL,   /* normal with standard deviation scale */
    AVI_INIT_DATA_MEAN /* mean of each column of the training rows, which the session knows; 0 until it has put them in
                        */
} avi_init_rule;

typedef struct avi_block {
    char name[64];      /* unique in its vector: "decoder.0.weight" */
    int64_t rows, cols; /* (rows, cols), row-major */
    int64_t offset;     /* of its first value in the flat vector */
    avi_init_rule init;
    double scale;
    /* For who reads the results. What the block is, "" where nobody has said it; names of its axes, "output, input"
     * (one where rows = 1); "column" and "dimension" are those of the data and of z. */
    char description[128], axes[96];
} avi_block;

typedef struct avi_params {
    avi_block *block; /* owned */
    int count;
    int64_t size; /* values of the flat vector, padding included */
} avi_params;

/* Appends a block. *index (may be NULL) becomes its number. Errors: INTERNAL (memory, a name twice or longer than 63
 * letters, a size < 1). */
AVI_API avi_status avi_params_add(avi_params *p, const char *name, int64_t rows, int64_t cols, avi_init_rule init,
                                  double scale, int *index);
/* Says what the block `name` is and what its axes are called, for who reads the results. Errors: INTERNAL (no such
 * block, a text that is too long). */
AVI_API avi_status avi_params_describe(avi_params *p, const char *name, const char *axes, const char *description);
/* Gives the axis `axis` of all blocks another name, where some block has it: "decoder_0_input" is "dimension". Errors:
 * INTERNAL (a text that is too long). */
AVI_API avi_status avi_params_name_axis(avi_params *p, const char *axis, const char *name);
/* Appends weight (out, in) and bias (1, out) of an affine map under `name`, started as PyTorch's Linear. The axes of
 * "net.0" are net_0_output and net_0_input. */
AVI_API avi_status avi_params_add_affine(avi_params *p, const char *name, int64_t in, int64_t out);
void avi_params_free(avi_params *p);
/* Number of values without padding. */
AVI_API int64_t avi_params_values(const avi_params *p);
/* The block that holds flat index i. */
AVI_API const avi_block *avi_params_block_at(const avi_params *p, int64_t i);

/* Initial values, a function of (seed, name, index) only; values (size) of the given precision, padding zero. */
avi_status avi_params_initialise(const avi_params *p, uint64_t seed, avi_precision precision, void *values);

/* Flat vectors of either precision. n values; sums in double. */
void avi_vector_to_double(avi_precision p, const void *v, int64_t n, double *out);
void avi_vector_from_double(avi_precision p, const double *v, int64_t n, void *out);
double avi_vector_sumsq(avi_precision p, const void *v, int64_t n);
/* out = factor * v; out and v do not overlap. */
void avi_vector_scaled(avi_precision p, const void *v, int64_t n, double factor, void *out);
int64_t avi_vector_nonfinite(avi_precision p, const void *v, int64_t n,
                             int64_t *first);                             /* count; *first: index of the first one */
int64_t avi_vector_below_zero(avi_precision p, const void *v, int64_t n); /* count */
void *avi_vector_at(avi_precision p, void *v, int64_t i);
double avi_vector_get(avi_precision p, const void *v, int64_t i);
void avi_vector_set(avi_precision p, void *v, int64_t i, double value);

#endif
