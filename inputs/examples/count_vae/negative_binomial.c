#include "negative_binomial.h"

avi_node *negative_binomial_lpdf(avi_tape *t, avi_node *x, avi_node *log_mu, avi_node *log_r)
{
    static const avi_custom_op op = {
        .name = "negative_binomial_lpdf",
        .forward = {forward_negative_binomial_f32, forward_negative_binomial_f64},
        .backward = {backward_negative_binomial_f32, backward_negative_binomial_f64},
    };
    avi_node *const in[] = {x, log_mu, log_r};
    return avi_custom(t, &op, log_mu->rows, 1, 3, in, NULL);
}
