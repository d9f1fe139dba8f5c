/* log N(x; theta + z sin z + z, exp(cos z)^2) of many draws side by side, for kernels (k_*.c). */
#ifndef AVI_DENSITY_WAVE_NORMAL_H
#define AVI_DENSITY_WAVE_NORMAL_H

#include "avi/vmath.h"

enum { AVI_WAVE_MOST = 512 /* draws at once: the arrays of a piece stay in the first-level cache */ };

static inline void avi_wave_angles(int64_t count, const real *restrict z, real *restrict sine, real *restrict cosine)
{
    vm_bits quarter[AVI_WAVE_MOST];
    for (int64_t k = 0; k < count; k++) sine[k] = vm_quarter_turns(z[k], &quarter[k]);
    for (int64_t k = 0; k < count; k++) {
        const real rest = sine[k];
        sine[k] = vm_quarter(rest, quarter[k]);
        cosine[k] = vm_quarter(rest, quarter[k] + 1);
    }
}

/* Values, and derivatives with respect to the mean and to z, of up to AVI_WAVE_MOST draws. d: x - theta. keep = 0
 * leaves out -log sigma. In stages, as box_muller.h has them: 0.8 of the time of one loop on AVX2. */
static inline void avi_wave_piece(int64_t count, real keep, const real *restrict z, const real *restrict d,
                                  real *restrict value, real *restrict to_mean, real *restrict to_z)
{
    const real half_log_2pi = R(0.91893853320467274178);
    real s[AVI_WAVE_MOST], c[AVI_WAVE_MOST], inverse[AVI_WAVE_MOST];
    avi_wave_angles(count, z, s, c);
    for (int64_t k = 0; k < count; k++) inverse[k] = vm_exp_within(-c[k]);
    for (int64_t k = 0; k < count; k++) {
        const real u = (d[k] - z[k] * s[k] - z[k]) * inverse[k];
        value[k] = R(-0.5) * u * u - keep * c[k] - half_log_2pi;
        to_mean[k] = u * inverse[k];
        to_z[k] = to_mean[k] * (s[k] + z[k] * c[k] + 1) - s[k] * (u * u - keep);
    }
}

#endif
