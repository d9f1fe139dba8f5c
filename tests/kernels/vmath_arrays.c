#include "vmath_arrays.h"
#include "avi/vmath.h"

#define VMATH_DEFINE(name)                                                                                             \
    void AVI_R(array_##name)(int64_t n, const real *restrict x, real *restrict y)                                      \
    {                                                                                                                  \
        for (int64_t i = 0; i < n; i++) y[i] = vm_##name(x[i]);                                                        \
    }
VMATH_DEFINE(exp)
VMATH_DEFINE(log)
VMATH_DEFINE(softplus)
VMATH_DEFINE(sigmoid)
VMATH_DEFINE(tanh)
VMATH_DEFINE(sin)
VMATH_DEFINE(cos)
