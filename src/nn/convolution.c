#include "nn/convolution.h"
#include "tape/internal.h"

static const avi_custom_op convolution = {.name = "convolution",
                                          .forward = {avi_forward_convolution_f32, avi_forward_convolution_f64},
                                          .backward = {avi_backward_convolution_f32, avi_backward_convolution_f64}};
static const avi_custom_op transposed = {.name = "transposed_convolution",
                                         .forward = {avi_forward_transposed_f32, avi_forward_transposed_f64},
                                         .backward = {avi_backward_transposed_f32, avi_backward_transposed_f64}};

avi_node *avi_convolve(avi_tape *t, avi_node *x, avi_node *weight, avi_node *bias, const avi_convolution *c)
{
    avi_tape_require(x->cols == avi_view_values(&c->image), convolution.name, "x is not (R, image)", x, NULL);
    avi_tape_require(weight->rows == c->channels && weight->cols == avi_convolution_patch(c) && bias->rows == 1 &&
                         bias->cols == c->channels,
                     convolution.name, "weight (channels, patch), bias (1, channels)", weight, bias);
    return avi_custom(t, &convolution, x->rows, avi_convolution_values(c), 3, (avi_node *[]){x, weight, bias}, c);
}

avi_node *avi_convolve_transposed(avi_tape *t, avi_node *x, avi_node *weight, avi_node *bias, const avi_convolution *c)
{
    avi_tape_require(x->cols == avi_convolution_values(c) && c->image.planes == 1, transposed.name,
                     "x is not (R, small), or the image has several planes", x, NULL);
    avi_tape_require(weight->rows == avi_convolution_patch(c) && weight->cols == c->channels && bias->rows == 1 &&
                         bias->cols == c->image.channels,
                     transposed.name, "weight (patch, channels), bias (1, channels of the image)", weight, bias);
    return avi_custom(t, &transposed, x->rows, avi_view_values(&c->image), 3, (avi_node *[]){x, weight, bias}, c);
}

static const avi_custom_op patches = {.name = "patches",
                                      .forward = {avi_forward_patches_f32, avi_forward_patches_f64},
                                      .backward = {avi_backward_patches_f32, avi_backward_patches_f64}};

avi_node *avi_patches(avi_tape *t, avi_node *x, const avi_convolution *c)
{
    avi_tape_require(x->cols == avi_view_values(&c->image), patches.name, "x is not (R, image)", x, NULL);
    return avi_custom(t, &patches, x->rows * c->height * c->width, avi_convolution_patch(c), 1, &x, c);
}
