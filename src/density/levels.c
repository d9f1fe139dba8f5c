#include "density/levels.h"
#include "density/kernels.h"

AVI_DENSITY_OP(categorical_levels);
AVI_DENSITY_OP(discretised_logistic);

/* (rows, cols) values of the mean from logits or locations; log_scale is NULL for logits. */
void avi_mean_of_logits_f32(const avi_levels *l, int64_t rows, int64_t cols, const float *logits, float *out);
void avi_mean_of_logits_f64(const avi_levels *l, int64_t rows, int64_t cols, const double *logits, double *out);
void avi_mean_of_logistic_f32(const avi_levels *l, int64_t rows, int64_t cols, const float *location,
                              const float *log_scale, float *out);
void avi_mean_of_logistic_f64(const avi_levels *l, int64_t rows, int64_t cols, const double *location,
                              const double *log_scale, double *out);

static void check(const avi_custom_op *op, const avi_node *x, const avi_node *mask, const avi_node *of, int64_t cols)
{
    avi_tape_require(!x->needs_grad, op->name, "levels have no gradient", x, NULL);
    avi_tape_require(of->cols == cols && of->rows % x->rows == 0, op->name, "x (B, D), the other (B*S, D or K D)", x,
                     of);
    avi_tape_require(!mask || (mask->rows == x->rows && mask->cols == x->cols), op->name, "x and mask differ", x, mask);
}

avi_node *avi_categorical_levels_lpdf(avi_tape *t, const avi_levels *levels, avi_node *x, avi_node *mask,
                                      avi_node *logits)
{
    check(&categorical_levels_op, x, mask, logits, levels->count * x->cols);
    return avi_custom(t, &categorical_levels_op, logits->rows, 1, mask ? 3 : 2, (avi_node *[]){x, logits, mask},
                      levels);
}

avi_node *avi_discretised_logistic_lpdf(avi_tape *t, const avi_levels *levels, avi_node *x, avi_node *mask,
                                        avi_node *location, avi_node *log_scale)
{
    check(&discretised_logistic_op, x, mask, location, x->cols);
    avi_tape_require(log_scale->rows == 1 && log_scale->cols == x->cols, "discretised_logistic",
                     "log_scale is not (1, D)", x, log_scale);
    return avi_custom(t, &discretised_logistic_op, location->rows, 1, mask ? 4 : 3,
                      (avi_node *[]){x, location, log_scale, mask}, levels);
}

avi_node *avi_categorical_levels_mean(avi_tape *t, const avi_levels *levels, avi_node *logits)
{
    avi_node *mean = avi_constant_new(t, logits->rows, logits->cols / levels->count);
    if (avi_tape_precision(t) == AVI_PRECISION_SINGLE)
        avi_mean_of_logits_f32(levels, mean->rows, mean->cols, logits->value, mean->value);
    else
        avi_mean_of_logits_f64(levels, mean->rows, mean->cols, logits->value, mean->value);
    return mean;
}

avi_node *avi_discretised_logistic_mean(avi_tape *t, const avi_levels *levels, avi_node *location, avi_node *log_scale)
{
    avi_node *mean = avi_constant_new(t, location->rows, location->cols);
    if (avi_tape_precision(t) == AVI_PRECISION_SINGLE)
        avi_mean_of_logistic_f32(levels, mean->rows, mean->cols, location->value, log_scale->value, mean->value);
    else
        avi_mean_of_logistic_f64(levels, mean->rows, mean->cols, location->value, log_scale->value, mean->value);
    return mean;
}
