/* Box & Muller (1958) on the words of Philox, for kernels (k_*.c) that fill panels of counters. */
#ifndef AVI_BASE_BOX_MULLER_H
#define AVI_BASE_BOX_MULLER_H

#include "base/vmath.h"

/* sqrt(-2 log u) for u = (w + 1/2) / 2^32, never 0. Above 1/2 the small number 1 - u is what keeps its digits, so that
 * single precision sees the radius of double precision at both ends. */
static inline real box_muller_radius(uint32_t w)
{
    uint32_t upper = (uint32_t)((int32_t)w >> 31);
    real v = ((real)(int32_t)(w ^ upper) + R(0.5)) * R(0x1p-32); /* min(u, 1 - u) */
    real u = vm_pick(upper != 0, R(1.0) - v, v);
    real k, f = vm_log_split(u, &k);
    f = vm_pick(k == R(0.0), -v, f); /* k = 0 means u >= sqrt(1/2) */
    return R_FN(sqrt)(R(-2.0) * vm_log_sum(k, f));
}

/* Angle 2 pi w / 2^32 = quarter pi/2 + r, split in integers, so exactly. `whole` is the quarter in its two upper bits:
 * signs are where a number has its own. */
static inline void box_muller_angle(uint32_t w, real *cosine, real *sine)
{
    const uint32_t one = 0x40000000u, sign = 0x80000000u;
    const int up = 8 * ((int)sizeof(real) - 4);
    int32_t rest = (int32_t)(w << 2) >> 2;
    uint32_t whole = w - (uint32_t)rest;
    real r = (real)rest * R(1.46291807926715968105e-9); /* 2 pi / 2^32 */
    real s = vm_sin_quarter(r), c = vm_cos_quarter(r);
    real x = whole & one ? s : c, y = whole & one ? c : s;
    *cosine = vm_from_bits(vm_to_bits(x) ^ (vm_bits)((whole + one) & sign) << up);
    *sine = vm_from_bits(vm_to_bits(y) ^ (vm_bits)(whole & sign) << up);
}

#endif
