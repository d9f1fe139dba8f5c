/* log N(x; theta + z sin z + z, exp(cos z)^2) of many draws side by side, for kernels (k_*.c). */
#ifndef AVI_MODEL_WAVE_H
#define AVI_MODEL_WAVE_H

#include "base/vmath.h"

enum { AVI_WAVE_MOST = 512 /* draws at once: the arrays of a piece stay in the first-level cache */ };

static inline void avi_wave_angles(int64_t count, const real *restrict z, real *restrict sine, real *restrict cosine)
{
    for (int64_t k = 0; k < count; k++) {
        vm_bits quarter;
        const real rest = vm_quarter_turns(z[k], &quarter);
        sine[k] = vm_quarter(rest, quarter);
        cosine[k] = vm_quarter(rest, quarter + 1);
    }
}

/* Values, and derivatives with respect to the mean and to z, of up to AVI_WAVE_MOST draws. d: x - theta on entry, work
 * space. keep = 0 leaves out -log sigma. */
static inline void avi_wave_piece(int64_t count, real keep, const real *restrict z, real *restrict d,
                                  real *restrict value, real *restrict to_mean, real *restrict to_z)
{
    const real half_log_2pi = R(0.91893853320467274178);
    real s[AVI_WAVE_MOST], c[AVI_WAVE_MOST];
    avi_wave_angles(count, z, s, c);
    for (int64_t k = 0; k < count; k++) {
        const real inv = vm_exp(-c[k]), u = (d[k] - z[k] * s[k] - z[k]) * inv;
        value[k] = R(-0.5) * u * u - keep * c[k] - half_log_2pi;
        to_mean[k] = u * inv;
        d[k] = u * u - keep;
    }
    for (int64_t k = 0; k < count; k++) to_z[k] = to_mean[k] * (s[k] + z[k] * c[k] + 1) - s[k] * d[k];
}

#endif
