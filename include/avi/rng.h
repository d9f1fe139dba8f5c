/* Random numbers as a function of (seed, purpose, step, row, sample): Philox4x32-10 of Random123 (Salmon et al. 2011).
 * There is no generator state: nothing to save, nothing that depends on ranks, tiles or the order of work.
 *
 * Key of the generator: a 64-bit hash of (seed, purpose). Counter: (row low, row high << 24 ^ block, step low, step
 * high). One counter gives four 32-bit words, words of columns 4*block .. 4*block+3. Not collective. */
#ifndef AVI_RNG_H
#define AVI_RNG_H

#include "avi/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum avi_purpose {
    AVI_DRAW_LOCAL = 1,   /* eps of z: row = row of the data, column = sample * L + dimension */
    AVI_DRAW_GLOBAL = 2,  /* eps of theta: row = sample, column = index in the flat vector */
    AVI_DRAW_INIT = 3,    /* initial weights: row = parameter block, column = index in the block */
    AVI_DRAW_SHUFFLE = 4, /* keyed bijections of data.h */
    AVI_DRAW_ORDER = 5,   /* order of a lane's tiles in an epoch */
    AVI_DRAW_DATA = 6,    /* synthetic data: row = row of the data */
    AVI_DRAW_EVAL = 7,    /* evaluation draws: the same for every evaluation */
    AVI_DRAW_TEST = 8,    /* tests, gradient checks */
    AVI_DRAW_REFINE = 9   /* eps of z in refinements of a factor (graph/refinement.c), as AVI_DRAW_LOCAL */
} avi_purpose;

typedef struct avi_stream {
    uint32_t key[2];
    uint64_t step;
} avi_stream;

AVI_API avi_stream avi_stream_make(uint64_t seed, avi_purpose purpose, uint64_t step);

/* Standard normals for `rows` consecutive rows from `first_row`, columns [first_col, first_col + cols):
 * out is (rows, cols), row-major. Box-Muller on the SAME 32-bit words in both
 * precisions, so that single and double runs see the same draws up to rounding. Value (row, col) does not depend on
 * the range asked for. Columns up to 2^26. At most 2.5 ns a value in
 * single precision for cols >= 16 (vectors of 256 bits). One column costs a whole counter a value, two half a counter.
 */
AVI_API void avi_normal_f32(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols,
                            float *out);
AVI_API void avi_normal_f64(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols,
                            double *out);

/* The same values for the `rows` rows that `row` lists, in its order: about as fast for many rows as for consecutive
 * ones. */
AVI_API void avi_normal_rows_f32(avi_stream s, const int64_t *row, int64_t rows, int64_t first_col, int64_t cols,
                                 float *out);
AVI_API void avi_normal_rows_f64(avi_stream s, const int64_t *row, int64_t rows, int64_t first_col, int64_t cols,
                                 double *out);

/* Uniforms in (0, 1), same indexing; 32 bits each. */
AVI_API void avi_uniform_f64(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols,
                             double *out);

/* Four random words for (row, block). */
AVI_API void avi_words(avi_stream s, uint64_t row, uint32_t block, uint32_t out[4]);

/* A 64-bit mix of two numbers (splitmix64 finaliser), for keys and checksums of small things. */
AVI_API uint64_t avi_mix64(uint64_t a, uint64_t b);

/* A keyed bijection of [0, n), n up to 2^62, without an array of n; avi_permute_inverse(avi_permute(i)) == i. Up to 64
 * numbers: Fisher and Yates's shuffle, all n! orders alike; a number costs n random words at most. More numbers: a
 * six-round Feistel network on the smallest even number of bits that holds n, with cycle walking (Black & Rogaway
 * 2002). */
typedef struct avi_permutation {
    uint64_t n;
    uint32_t half_bits;
    uint32_t round_key[6];
} avi_permutation;
AVI_API avi_permutation avi_permutation_make(uint64_t seed, avi_purpose purpose, uint64_t tweak, uint64_t n);
AVI_API uint64_t avi_permute(const avi_permutation *p, uint64_t i);
AVI_API uint64_t avi_permute_inverse(const avi_permutation *p, uint64_t i);
/* avi_permute, or with back = true avi_permute_inverse, of first, first + 1, ...: out (count). Several times as fast as
 * one by one. */
AVI_API void avi_permute_run(const avi_permutation *p, bool back, uint64_t first, int64_t count, int64_t *out);

#endif
