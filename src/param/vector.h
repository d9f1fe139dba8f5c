/* The two precisions of the vector loops (k_vector.c), dispatched by vector.c. */
#ifndef AVI_PARAM_VECTOR_H
#define AVI_PARAM_VECTOR_H

#include <stdint.h>

#define AVI_VECTOR_KERNELS(type)                                                                                       \
    void avi_vector_to_double_##type(const void *v, int64_t n, double *out);                                           \
    void avi_vector_from_double_##type(const double *v, int64_t n, void *out);                                         \
    double avi_vector_sumsq_##type(const void *v, int64_t n);                                                          \
    void avi_vector_scaled_##type(const void *v, int64_t n, double factor, void *out);                                 \
    int64_t avi_vector_nonfinite_##type(const void *v, int64_t n, int64_t *first);                                     \
    int64_t avi_vector_below_zero_##type(const void *v, int64_t n);
AVI_VECTOR_KERNELS(f32)
AVI_VECTOR_KERNELS(f64)

#endif
