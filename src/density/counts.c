#include "density/counts.h"
#include "density/kernels.h"

AVI_DENSITY_OP(masked_poisson);
AVI_DENSITY_OP(negative_binomial);

static void check(const avi_custom_op *op, const avi_node *x, const avi_node *mask, const avi_node *log_mean)
{
    avi_tape_require(!x->needs_grad, op->name, "counts have no gradient", x, NULL);
    avi_tape_require(log_mean->cols == x->cols && log_mean->rows % x->rows == 0, op->name,
                     "x (B, D), log_mean (B*S, D)", x, log_mean);
    avi_tape_require(!mask || (mask->rows == x->rows && mask->cols == x->cols), op->name, "x and mask differ", x, mask);
}

avi_node *avi_poisson_counts_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *log_mean)
{
    if (!mask) return avi_poisson_log_lpdf(t, x, log_mean);
    check(&masked_poisson_op, x, mask, log_mean);
    return avi_custom(t, &masked_poisson_op, log_mean->rows, 1, 3, (avi_node *[]){x, log_mean, mask}, NULL);
}

avi_node *avi_negative_binomial_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *log_mean, avi_node *log_r)
{
    check(&negative_binomial_op, x, mask, log_mean);
    avi_tape_require(log_r->rows == 1 && log_r->cols == x->cols, "negative_binomial", "log_r is not (1, D)", x, log_r);
    return avi_custom(t, &negative_binomial_op, log_mean->rows, 1, mask ? 4 : 3,
                      (avi_node *[]){x, log_mean, log_r, mask}, NULL);
}
