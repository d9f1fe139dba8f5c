#include "factors/own_steps.h"

#include <math.h>
#include <string.h>

double avi_own_steps_rate(int64_t epoch)
{
    const double scale = 20;
    return 1 / sqrt(1 + (double)epoch / scale);
}

void avi_own_steps_keep(avi_precision p, int64_t rows, int64_t latent, const void *nu, void *means)
{
    const size_t row = (size_t)latent * avi_real_size(p);
    for (int64_t r = 0; r < rows; r++)
        memcpy((char *)means + (size_t)r * row, (const char *)nu + 2 * (size_t)r * row, row);
}

static void shorten_f32(int64_t rows, int64_t l, float *nu, const float *means)
{
    for (int64_t r = 0; r < rows; r++, nu += 2 * l, means += l)
        for (int64_t i = 0; i < l; i++) {
            const float part = nu[l + i] < 0 ? expf(0.5f * nu[l + i]) : 1;
            nu[i] = means[i] + part * (nu[i] - means[i]);
        }
}

static void shorten_f64(int64_t rows, int64_t l, double *nu, const double *means)
{
    for (int64_t r = 0; r < rows; r++, nu += 2 * l, means += l)
        for (int64_t i = 0; i < l; i++) {
            const double part = nu[l + i] < 0 ? exp(0.5 * nu[l + i]) : 1;
            nu[i] = means[i] + part * (nu[i] - means[i]);
        }
}

void avi_own_steps_shorten(avi_precision p, int64_t rows, int64_t latent, void *nu, const void *means)
{
    if (p == AVI_PRECISION_SINGLE)
        shorten_f32(rows, latent, nu, means);
    else
        shorten_f64(rows, latent, nu, means);
}
