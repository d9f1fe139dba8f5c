/* Reproducible sums: floating-point values as 64-bit fixed point with a power-of-two scale, so that addition is
 * associative and a sum over tiles and ranks has the same bits in any order (Hallberg & Adcroft 2014, Parallel
 * Computing 40).
 *
 * A value v becomes the integer nearest to v * 2^shift (ties to even). The caller chooses `shift` per block from the
 * largest magnitude of the step before, so that |v| * 2^shift < 2^51: larger values (and NaN, Inf) are counted as
 * overflow and add nothing. Up to 2^11 tiles then fit 62 bits without wrapping; the caller lowers the shift by
 * log2(tiles / 2048) beyond. Not collective. */
#ifndef AVI_FIXED_POINT_H
#define AVI_FIXED_POINT_H

#include <stdint.h>

/* sum[i] += round(v[i] * 2^shift) for i < n. Returns the number of values out of range (finite or not).
 * *largest is raised to max |v[i]| over finite values (NaN ignored). shift in [-900, 900]. */
int64_t avi_fixed_point_add_f32(int64_t *sum, const float *v, int64_t n, int shift, double *largest);
int64_t avi_fixed_point_add_f64(int64_t *sum, const double *v, int64_t n, int shift, double *largest);
/* v[i] = sum[i] * 2^-shift, rounded once to the type. Returns the largest |v[i]|. */
double avi_fixed_point_read_f32(float *v, const int64_t *sum, int64_t n, int shift);
double avi_fixed_point_read_f64(double *v, const int64_t *sum, int64_t n, int shift);
/* The shift for which values up to `largest` stay below 2^(51 - headroom_bits); clamped to [-900, 900]; 0 for largest =
 * 0 or non-finite. */
int avi_fixed_point_shift(double largest, int headroom_bits);

/* Wide sums for a few scalars of any size: 128-bit fixed point as three int64 limbs of 40 bits (value resolution 2^-40
 * to 2^79): v is split exactly into limbs (low bits below 2^-40 are rounded to nearest even once per value), limbs are
 * added as integers, and the total is read back as one correctly rounded double. Up to 2^22 additions. Non-finite or
 * too large values: returns 1, adds nothing. */
enum { AVI_WIDE_LIMBS = 3 };
int avi_wide_add(int64_t limbs[AVI_WIDE_LIMBS], double v);
double avi_wide_read(const int64_t limbs[AVI_WIDE_LIMBS]);

/* The same idea for carriers that are floats: v as AVI_DIGITS floats of 10 bits each (signed, resolution 2^-40, range
 * 2^40), sums of up to 2^13 of them exact in float. Lets exact scalars ride at the end of a float gradient in one
 * MPI_SUM reduction. */
enum { AVI_DIGITS = 8 };
int avi_digits_split(float digits[AVI_DIGITS], double v);
double avi_digits_read(const float digits[AVI_DIGITS]);

#endif
