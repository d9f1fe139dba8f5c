#include "density/masked.h"
#include "density/kernels.h"

AVI_DENSITY_OP(masked_normal);
AVI_DENSITY_OP(masked_bernoulli);

static avi_node *masked(avi_tape *t, const avi_custom_op *op, avi_node *x, avi_node *mask, avi_node *of,
                        const void *data)
{
    avi_tape_require(!x->needs_grad && !mask->needs_grad, op->name, "x and mask have no gradient", x, mask);
    avi_tape_require(mask->rows == x->rows && mask->cols == x->cols && of->cols == x->cols && of->rows % x->rows == 0,
                     op->name, "x and mask (B, D), the other (B*S, D)", x, of);
    return avi_custom(t, op, of->rows, 1, 3, (avi_node *[]){x, mask, of}, data);
}

avi_node *avi_masked_normal_lpdf_sd(avi_tape *t, avi_node *x, avi_node *mask, avi_node *mean, double sd)
{
    static const double spare = 1; /* where memory is short, which the tape remembers */
    double *kept = avi_tape_alloc(t, 2);
    if (kept) *kept = sd;
    return masked(t, &masked_normal_op, x, mask, mean, kept ? kept : &spare);
}

avi_node *avi_masked_bernoulli_logit_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *logits)
{
    return masked(t, &masked_bernoulli_op, x, mask, logits, NULL);
}

avi_node *avi_masked_count(avi_tape *t, avi_node *mask, int64_t draws)
{
    return avi_repeat(t, avi_row_sum(t, mask), draws);
}
