/* Patches of images and back (im2col and col2im): convolutions become products of matrices. */
#include "avi/kernel.h"
#include "nn/convolution.h"

#include <string.h>

/* The part of a patch's line of kernel_width pixels from x = from that is inside of the image: pixels [low, high). */
static inline void inside(const avi_convolution *c, int64_t from, int64_t *low, int64_t *high)
{
    const int64_t left = c->image.width - from;
    *low = from < 0 ? -from : 0;
    *high = left < c->kernel_width ? left : c->kernel_width;
    if (*low > c->kernel_width) *low = c->kernel_width;
    if (*high < *low) *high = *low;
}

/* Whether the pixels of a line follow each other with all their channels. */
static bool is_dense(const avi_view *v)
{
    return v->column_stride == v->channels && (v->channel_stride == 1 || v->channels == 1);
}

/* One line of the patches beside each other, `step` values apart, of a line of the image; NULL: outside. */
static void gather_line(const avi_convolution *c, bool dense, const real *restrict line, real *restrict to,
                        int64_t step)
{
    const avi_view *v = &c->image;
    const int64_t n = v->channels, width = c->kernel_width * n;
    for (int64_t x = 0; x < c->width; x++, to += step) {
        const int64_t from = x * c->stride_width - c->pad_width;
        int64_t low, high;
        inside(c, from, &low, &high);
        if (!line || high - low < c->kernel_width)
            for (int64_t k = 0; k < width; k++) to[k] = 0;
        if (!line) continue;
        if (dense)
            for (int64_t k = low * n; k < high * n; k++) to[k] = line[from * n + k];
        else
            for (int64_t p = low; p < high; p++)
                for (int64_t k = 0; k < n; k++)
                    to[p * n + k] = line[(from + p) * v->column_stride + k * v->channel_stride];
    }
}

static void add_line(const avi_convolution *c, bool dense, const real *restrict from_patch, int64_t step,
                     real *restrict line)
{
    const avi_view *v = &c->image;
    const int64_t n = v->channels;
    for (int64_t x = 0; x < c->width; x++, from_patch += step) {
        const int64_t from = x * c->stride_width - c->pad_width;
        int64_t low, high;
        inside(c, from, &low, &high);
        if (dense)
            for (int64_t k = low * n; k < high * n; k++) line[from * n + k] += from_patch[k];
        else
            for (int64_t p = low; p < high; p++)
                for (int64_t k = 0; k < n; k++)
                    line[(from + p) * v->column_stride + k * v->channel_stride] += from_patch[p * n + k];
    }
}

void AVI_R(avi_patches_gather)(const avi_convolution *c, int64_t rows, const real *image, real *patches)
{
    const avi_view *v = &c->image;
    const int64_t values = avi_view_values(v), patch = avi_convolution_patch(c), line = c->kernel_width * v->channels;
    const bool dense = is_dense(v);
    for (int64_t r = 0; r < rows; r++, image += values)
        for (int64_t y = 0; y < c->height; y++, patches += c->width * patch)
            for (int64_t p = 0; p < v->planes; p++)
                for (int64_t k = 0; k < c->kernel_height; k++) {
                    const int64_t at = y * c->stride_height - c->pad_height + k;
                    const bool there = at >= 0 && at < v->height;
                    gather_line(c, dense, there ? image + p * v->plane_stride + at * v->row_stride : NULL,
                                patches + (p * c->kernel_height + k) * line, patch);
                }
}

void AVI_R(avi_patches_add)(const avi_convolution *c, int64_t rows, const real *patches, real *image)
{
    const avi_view *v = &c->image;
    const int64_t values = avi_view_values(v), patch = avi_convolution_patch(c), line = c->kernel_width * v->channels;
    const bool dense = is_dense(v);
    for (int64_t r = 0; r < rows; r++, image += values)
        for (int64_t y = 0; y < c->height; y++, patches += c->width * patch)
            for (int64_t p = 0; p < v->planes; p++)
                for (int64_t k = 0; k < c->kernel_height; k++) {
                    const int64_t at = y * c->stride_height - c->pad_height + k;
                    if (at >= 0 && at < v->height)
                        add_line(c, dense, patches + (p * c->kernel_height + k) * line, patch,
                                 image + p * v->plane_stride + at * v->row_stride);
                }
}

/* ---- patches as an operation of its own ---- */

void AVI_R(avi_forward_patches)(avi_tape *t, avi_node *n)
{
    (void)t;
    AVI_R(avi_patches_gather)(n->data, n->in[0]->rows, n->in[0]->value, n->value);
}

void AVI_R(avi_backward_patches)(avi_tape *t, avi_node *n)
{
    AVI_R(avi_patches_add)(n->data, n->in[0]->rows, n->grad, avi_tape_grad(t, n->in[0]));
}
