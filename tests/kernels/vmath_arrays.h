/* y[i] = f(x[i]) for the functions of avi/vmath.h, in both precisions. */
#ifndef AVI_TESTS_VMATH_ARRAYS_H
#define AVI_TESTS_VMATH_ARRAYS_H

#include <stdint.h>

#define VMATH_DECLARE(name)                                                                                            \
    void array_##name##_f32(int64_t n, const float *x, float *y);                                                      \
    void array_##name##_f64(int64_t n, const double *x, double *y);
VMATH_DECLARE(exp)
VMATH_DECLARE(log)
VMATH_DECLARE(softplus)
VMATH_DECLARE(sigmoid)
VMATH_DECLARE(tanh)
VMATH_DECLARE(sin)
VMATH_DECLARE(cos)

#endif
