#include "nn/convolution.h"
#include "tape/internal.h"

#include <limits.h>

/* Sizes along one side. Beside a single pixel there is nothing to see. */
static int64_t side(int64_t image, int64_t *kernel, int64_t *stride, int64_t *pad)
{
    if (image == 1) *kernel = *stride = 1;
    *pad = (*kernel - 1) / 2;
    return (image + 2 * *pad - *kernel) / *stride + 1; /* at least 1: image + 2 pad >= kernel from 2 pixels on */
}

bool avi_convolution_make(const avi_view *image, int64_t channels, int64_t kernel, int64_t stride,
                          avi_activation activation, avi_convolution *c)
{
    *c = (avi_convolution){.image = *image,
                           .channels = channels,
                           .kernel_height = kernel,
                           .kernel_width = kernel,
                           .stride_height = stride,
                           .stride_width = stride,
                           .activation = activation};
    c->height = side(image->height, &c->kernel_height, &c->stride_height, &c->pad_height);
    c->width = side(image->width, &c->kernel_width, &c->stride_width, &c->pad_width);
    const double most = INT_MAX, pixels = (double)c->height * (double)c->width,
                 patch = (double)image->planes * (double)image->channels * (double)c->kernel_height *
                         (double)c->kernel_width;
    return pixels * (double)channels < most && pixels * patch < most && patch * (double)channels < most;
}

int64_t avi_convolution_values(const avi_convolution *c) { return c->height * c->width * c->channels; }

int64_t avi_convolution_patch(const avi_convolution *c)
{
    return c->image.planes * c->image.channels * c->kernel_height * c->kernel_width;
}

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

bool avi_patches_make(const avi_view *image, int64_t length, avi_convolution *c)
{
    const int64_t high = image->height == 1 ? 1 : length, wide = image->width == 1 ? 1 : length;
    *c = (avi_convolution){.image = *image,
                           .height = image->height / high,
                           .width = image->width / wide,
                           .channels = 1,
                           .kernel_height = high,
                           .kernel_width = wide,
                           .stride_height = high,
                           .stride_width = wide};
    return image->height % high == 0 && image->width % wide == 0;
}
