#include "avi/fixed_point.h"

#include <math.h>

/* ---- scale ---------------------------------------------------------------------------------------------------------
 */

int avi_fixed_point_shift(double largest, int headroom_bits)
{
    if (!(largest > 0) || !isfinite(largest)) return 0;
    int exponent;
    frexp(largest, &exponent); /* largest < 2^exponent */
    long shift = 51L - headroom_bits - exponent;
    return shift < -900 ? -900 : shift > 900 ? 900 : (int)shift;
}

/* ---- wide sums: limb k has unit 2^(40 k - 40) ----------------------------------------------------------------------
 */

enum { LIMB_BITS = 40 };
static const int64_t limb_unit = INT64_C(1) << LIMB_BITS;

/* |v| as three limbs in [0, 2^40]; 1 when v is not finite or not below 2^79. Every step but the last rint is exact. */
static int split(int64_t limbs[AVI_WIDE_LIMBS], double v)
{
    double a = fabs(v);
    if (!(a < 0x1p79)) return 1;
    double high = floor(a * 0x1p-40), rest = a - high * 0x1p40, middle = floor(rest);
    limbs[2] = (int64_t)high;
    limbs[1] = (int64_t)middle;
    limbs[0] = (int64_t)rint((rest - middle) * 0x1p40);
    return 0;
}

/* Carries upward until limbs 0 and 1 are in [0, 2^40); the sign of the whole is then that of limb 2. */
static void carry(int64_t limbs[AVI_WIDE_LIMBS])
{
    for (int k = 0; k < AVI_WIDE_LIMBS - 1; k++) {
        int64_t low = limbs[k] & (limb_unit - 1);
        limbs[k + 1] += (limbs[k] - low) / limb_unit;
        limbs[k] = low;
    }
}

int avi_wide_add(int64_t limbs[AVI_WIDE_LIMBS], double v)
{
    int64_t part[AVI_WIDE_LIMBS];
    if (split(part, v)) return 1;
    for (int k = 0; k < AVI_WIDE_LIMBS; k++) limbs[k] += v < 0 ? -part[k] : part[k];
    return 0;
}

double avi_wide_read(const int64_t limbs[AVI_WIDE_LIMBS])
{
    __extension__ typedef unsigned __int128 u128;
    int64_t l[AVI_WIDE_LIMBS] = {limbs[0], limbs[1], limbs[2]};
    carry(l);
    double sign = 1;
    if (l[2] < 0) {
        sign = -1;
        for (int k = 0; k < AVI_WIDE_LIMBS; k++) l[k] = -l[k];
        carry(l);
    }
    /* Up to 142 bits: where the upper limbs alone have more than 64 bits, the lowest only says "inexact" (a sticky
     * bit). */
    u128 upper = (u128)(uint64_t)l[2] << LIMB_BITS | (u128)(uint64_t)l[1];
    if (upper >> 64) return sign * (double)(upper | (l[0] != 0));
    return sign * (double)(upper << LIMB_BITS | (u128)(uint64_t)l[0]) * 0x1p-40;
}

/* ---- digits: v = sum of digits[k] * 2^(10 k - 40) ------------------------------------------------------------------
 */

int avi_digits_split(float digits[AVI_DIGITS], double v)
{
    int64_t limbs[AVI_WIDE_LIMBS] = {0};
    int bad = split(limbs, v);
    if (!bad) {
        carry(limbs);
        bad = limbs[2] != 0;
    }
    for (int k = 0; k < AVI_DIGITS; k++) {
        float d = bad ? 0.0f : (float)(limbs[k / 4] >> (10 * (k % 4)) & 1023);
        digits[k] = v < 0 ? -d : d;
    }
    return bad;
}

double avi_digits_read(const float digits[AVI_DIGITS])
{
    int64_t limbs[AVI_WIDE_LIMBS] = {0};
    for (int k = 0; k < AVI_DIGITS; k++) {
        if (!(fabsf(digits[k]) <= 0x1p24f)) /* a sum that is not a sum of digits */
            return NAN;
        limbs[k / 4] += (int64_t)digits[k] * (INT64_C(1) << (10 * (k % 4)));
    }
    return avi_wide_read(limbs);
}
