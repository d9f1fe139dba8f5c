/* Convolutions by oneDNN, for what patches and GEMM (k_convolution.c) do slower: single precision, images whose
 * channels are last, several channels on both sides. It takes 0.58 to 0.76 of their time with AVX-512 and 0.67 to 1.02
 * with AVX2 (tests/bench/README.md).
 *
 * The bits of a row must not depend on the rows beside it, and oneDNN chooses its code by the number of rows. So it
 * always gets the same number of them, whatever the last ones are where there are fewer. With 4 it is as fast as
 * with 32.
 *
 * Built without oneDNN, or where it has no code of its own for this processor: avi_onednn_of gives NULL. */
#ifndef AVI_NN_ONEDNN_H
#define AVI_NN_ONEDNN_H

#include "avi/nn.h"

enum {
    AVI_ONEDNN_ROWS = 4,    /* of images at a time */
    AVI_ONEDNN_WEIGHTS = 16 /* for gradients of weights, whose sums would take longer than they with fewer */
};

typedef struct avi_onednn avi_onednn;

/* transposed: weights lie as avi_convolve_transposed has them, (patch, channels), else (channels, patch). The same for
 * the same sizes; owned by this file until the process ends. NULL: im2col is to do it. */
avi_onednn *avi_onednn_of(const avi_convolution *c, bool transposed);

/* The weights of the calls that follow. Borrowed until then. */
void avi_onednn_take_weights(avi_onednn *o, const float *weight);
/* Of the first rows, AVI_ONEDNN_ROWS at most: small (rows, small) += convolution of the image, image (rows, image) +=
 * its adjoint of small. */
void avi_onednn_to_small(avi_onednn *o, int64_t rows, const float *image, float *small);
void avi_onednn_to_image(avi_onednn *o, int64_t rows, const float *small, float *image);
/* The gradient of the weights where `small` is that of the small images, of AVI_ONEDNN_WEIGHTS rows: kept, and what was
 * kept since the last call of avi_onednn_give_weights added to `weight`, or with fresh = true written there. */
void avi_onednn_to_weights(avi_onednn *o, const float *image, const float *small);
void avi_onednn_give_weights(avi_onednn *o, bool fresh, float *weight);

/* For tests and benchmarks: with use = false avi_onednn_of gives NULL from now on. */
void avi_onednn_use(bool use);

/* "oneDNN 2.6.3", or "im2col and the BLAS". Owned by the library. */
const char *avi_onednn_library(void);

#endif
