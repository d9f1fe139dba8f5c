#include "avi/nn.h"
#include "tape/internal.h"

void avi_forward_layer_norm_f32(avi_tape *t, avi_node *n);
void avi_forward_layer_norm_f64(avi_tape *t, avi_node *n);
void avi_backward_layer_norm_f32(avi_tape *t, avi_node *n);
void avi_backward_layer_norm_f64(avi_tape *t, avi_node *n);

static const avi_custom_op op = {.name = "layer_norm",
                                 .forward = {avi_forward_layer_norm_f32, avi_forward_layer_norm_f64},
                                 .backward = {avi_backward_layer_norm_f32, avi_backward_layer_norm_f64}};

avi_node *avi_layer_norm(avi_tape *t, avi_node *x, avi_node *gain, avi_node *offset)
{
    avi_tape_require(gain->rows == 1 && gain->cols == x->cols && offset->rows == 1 && offset->cols == x->cols, op.name,
                     "x (R, C), gain and offset (1, C)", x, gain);
    return avi_custom(t, &op, x->rows, x->cols, 3, (avi_node *[]){x, gain, offset}, NULL);
}
