/* Box & Muller (1958) on the words of Philox, for kernels (k_*.c) that fill panels of counters. */
#ifndef AVI_BASE_BOX_MULLER_H
#define AVI_BASE_BOX_MULLER_H

#include "avi/vmath.h"

enum { PANEL = 64 /* counters side by side */ };

/* sqrt(-2 log u) for u = (w + 1/2) / 2^32, never 0. Above 1/2 the small number 1 - u is what keeps its digits, so that
 * single precision sees the radius of double precision at both ends.
 * In stages: the way from a word to its radius is so long that a processor's schedulers hold two or three vectors of
 * it; of a stage they hold more, and work on them side by side (AVX2: 0.37 ns a normal, in one loop 0.51). */
static inline void box_muller_radii(const uint32_t *restrict w, real *restrict r)
{
    real k[PANEL], f[PANEL], s[PANEL];
    for (int i = 0; i < PANEL; i++) {
        uint32_t upper = (uint32_t)((int32_t)w[i] >> 31);
        real v = ((real)(int32_t)(w[i] ^ upper) + R(0.5)) * R(0x1p-32); /* min(u, 1 - u) */
        real u = vm_pick(upper != 0, R(1.0) - v, v);
        real part = vm_log_split(u, &k[i]);
        f[i] = vm_pick(k[i] == R(0.0), -v, part); /* k = 0 means u >= sqrt(1/2) */
    }
    for (int i = 0; i < PANEL; i++) s[i] = vm_log_quotient(f[i]);
    for (int i = 0; i < PANEL; i++) r[i] = R(-2.0) * vm_log_rest(k[i], f[i], s[i]);
    for (int i = 0; i < PANEL; i++) r[i] = R_FN(sqrt)(r[i]);
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

/* Two columns of standard normals from two words of every counter. */
static inline void box_muller_pair(const uint32_t *restrict w0, const uint32_t *restrict w1, real *restrict z0,
                                   real *restrict z1)
{
    real r[PANEL];
    box_muller_radii(w0, r);
    for (int i = 0; i < PANEL; i++) {
        real c, s;
        box_muller_angle(w1[i], &c, &s);
        z0[i] = r[i] * c;
        z1[i] = r[i] * s;
    }
}

#endif
