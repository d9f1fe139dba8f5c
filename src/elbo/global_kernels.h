/* Loops over q(theta) in both precisions (k_global.c); n values, layouts as in global.c. */
#ifndef AVI_ELBO_GLOBAL_KERNELS_H
#define AVI_ELBO_GLOBAL_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#define AVI_GLOBAL_KERNELS(type)                                                                                       \
    /* out[i * stride] = mean[i] + exp(log_sd[i]) * eps[i * stride] */                                                 \
    void avi_global_draw_##type(int64_t n, const void *mean, const void *log_sd, const void *eps, int64_t stride,      \
                                void *out);                                                                            \
    /* One draw's part: dmean += f g, dlog_sd += f g eps sd; g, eps strided */                                         \
    void avi_global_chain_##type(int64_t n, const void *log_sd, const void *eps, const void *g, int64_t stride,        \
                                 double f, void *dmean, void *dlog_sd);                                                \
    /* to += f g */                                                                                                    \
    void avi_global_add_##type(int64_t n, const void *g, double f, void *to);                                          \
    /* KL to N(0, 1 / precision) or minus the entropy (precision 0), times f; dlog_sd NULL: a point, -log prior.       \
     * notebook: of avi_estimator_step_kl_global */                                                                    \
    void avi_global_kl_gradient_##type(int64_t n, const void *mean, const void *log_sd, double precision,              \
                                       bool notebook, double f, void *dmean, void *dlog_sd);                           \
    double avi_global_kl_##type(int64_t n, const void *mean, const void *log_sd, double precision);                    \
    /* The entropy minus what the notebook has in its place: sum (log s + 1 - s) / 2 */                                \
    double avi_global_notebook_excess_##type(int64_t n, const void *log_sd);
AVI_GLOBAL_KERNELS(f32)
AVI_GLOBAL_KERNELS(f64)

#endif
