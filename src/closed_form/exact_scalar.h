/* What linear and saw share: z_n ~ N(c_n, 1), y_n ~ N(alpha z_n + beta theta, sigma^2), theta ~ N(0, prior_sd^2) or
 * flat. Given theta the z_n are independent a posteriori (Margossian & Blei 2024, section 3.1). */
#ifndef AVI_CLOSED_FORM_EXACT_SCALAR_H
#define AVI_CLOSED_FORM_EXACT_SCALAR_H

#include "closed_form/optimum.h"

typedef struct avi_exact_scalar {
    const double *c, *y; /* (rows); c NULL: 0 */
    double alpha, beta, sigma;
} avi_exact_scalar;

/* Collective. As avi_exact_ops.solve; keeps m in a->self (freed with avi_exact_scalar_destroy). */
avi_status avi_exact_scalar_solve(avi_optimum *a, const avi_exact_scalar *m);
avi_status avi_exact_scalar_residuals(const avi_optimum *a, int64_t first, int64_t count, int64_t cols, const double *z,
                                      const double *theta, double *out);
void avi_exact_scalar_destroy(avi_optimum *a);

#endif
