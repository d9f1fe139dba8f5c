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

/* The first rows of a tile, a multiple of this, whose gradient of the weights oneDNN can take: with fewer at a time
 * their sums would take longer than they. */
enum { AVI_ONEDNN_WEIGHTS = 16 };

typedef struct avi_onednn avi_onednn;

/* transposed: weights lie as avi_convolve_transposed has them, (patch, channels), else (channels, patch). The same for
 * the same sizes; owned by this file until the process ends. NULL: patches and GEMM are to do it. */
avi_onednn *avi_onednn_of(const avi_convolution *c, bool transposed);

/* All values are in single precision. small (rows, small) += convolution of the image; image (rows, image) += its
 * adjoint of small. */
void avi_onednn_to_small(avi_onednn *o, int64_t rows, const void *weight, const void *image, void *small);
void avi_onednn_to_image(avi_onednn *o, int64_t rows, const void *weight, const void *small, void *image);
/* The gradient of the weights where `small` is that of the small images, of a multiple of AVI_ONEDNN_WEIGHTS rows:
 * added to `weight`, or with fresh = true written there. */
void avi_onednn_to_weights(avi_onednn *o, int64_t rows, const void *image, const void *small, bool fresh, void *weight);

/* For tests and benchmarks: with use = false avi_onednn_of gives NULL from now on. */
void avi_onednn_use(bool use);

/* Its version, or "none: the BLAS has the convolutions". Owned by the library. */
const char *avi_onednn_library(void);

#endif
