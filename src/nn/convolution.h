/* Inside the convolutions: patches of images. */
#ifndef AVI_NN_CONVOLUTION_H
#define AVI_NN_CONVOLUTION_H

#include "avi/nn.h"

/* Patches of `rows` images (rows, image): (rows, height * width, patch), 0 outside of the image. */
void avi_patches_gather_f32(const avi_convolution *c, int64_t rows, const float *image, float *patches);
void avi_patches_gather_f64(const avi_convolution *c, int64_t rows, const double *image, double *patches);
/* The adjoint: adds patches to the images that they are of. */
void avi_patches_add_f32(const avi_convolution *c, int64_t rows, const float *patches, float *image);
void avi_patches_add_f64(const avi_convolution *c, int64_t rows, const double *patches, double *image);

/* The operations, k_convolution.c: aux holds the values before the activation. */
#define AVI_CONVOLUTION_OP(name)                                                                                       \
    void avi_forward_##name##_f32(avi_tape *t, avi_node *n);                                                           \
    void avi_forward_##name##_f64(avi_tape *t, avi_node *n);                                                           \
    void avi_backward_##name##_f32(avi_tape *t, avi_node *n);                                                          \
    void avi_backward_##name##_f64(avi_tape *t, avi_node *n);
AVI_CONVOLUTION_OP(convolution)
AVI_CONVOLUTION_OP(transposed)
AVI_CONVOLUTION_OP(patches)
#undef AVI_CONVOLUTION_OP

#endif
