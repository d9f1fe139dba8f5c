/* Sizes of convolutions and patches: what the operations and their loops both ask. */
#include "avi/nn.h"

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
