#include "param/vector.h"
#include "avi/param.h"

#define BY_PRECISION(p, f, ...) ((p) == AVI_PRECISION_SINGLE ? f##_f32(__VA_ARGS__) : f##_f64(__VA_ARGS__))

void avi_vector_to_double(avi_precision p, const void *v, int64_t n, double *out)
{
    BY_PRECISION(p, avi_vector_to_double, v, n, out);
}
void avi_vector_from_double(avi_precision p, const double *v, int64_t n, void *out)
{
    BY_PRECISION(p, avi_vector_from_double, v, n, out);
}
double avi_vector_sumsq(avi_precision p, const void *v, int64_t n) { return BY_PRECISION(p, avi_vector_sumsq, v, n); }
void avi_vector_scaled(avi_precision p, const void *v, int64_t n, double factor, void *out)
{
    BY_PRECISION(p, avi_vector_scaled, v, n, factor, out);
}
int64_t avi_vector_nonfinite(avi_precision p, const void *v, int64_t n, int64_t *first)
{
    return BY_PRECISION(p, avi_vector_nonfinite, v, n, first);
}
int64_t avi_vector_below_zero(avi_precision p, const void *v, int64_t n)
{
    return BY_PRECISION(p, avi_vector_below_zero, v, n);
}

void *avi_vector_at(avi_precision p, void *v, int64_t i) { return (char *)v + (size_t)i * avi_real_size(p); }

double avi_vector_get(avi_precision p, const void *v, int64_t i)
{
    return p == AVI_PRECISION_SINGLE ? (double)((const float *)v)[i] : ((const double *)v)[i];
}

void avi_vector_set(avi_precision p, void *v, int64_t i, double value)
{
    if (p == AVI_PRECISION_SINGLE)
        ((float *)v)[i] = (float)value;
    else
        ((double *)v)[i] = value;
}
