/* An operation of its own on the tape, of the kernels in a k_NAME.c: AVI_DENSITY_OP(name) declares them and defines
 * name_op. */
#ifndef AVI_DENSITY_KERNELS_H
#define AVI_DENSITY_KERNELS_H

#include "tape/internal.h"

#define AVI_DENSITY_OP(op)                                                                                             \
    void avi_forward_##op##_f32(avi_tape *t, avi_node *n);                                                             \
    void avi_forward_##op##_f64(avi_tape *t, avi_node *n);                                                             \
    void avi_backward_##op##_f32(avi_tape *t, avi_node *n);                                                            \
    void avi_backward_##op##_f64(avi_tape *t, avi_node *n);                                                            \
    static const avi_custom_op op##_op = {.name = #op,                                                                 \
                                          .forward = {avi_forward_##op##_f32, avi_forward_##op##_f64},                 \
                                          .backward = {avi_backward_##op##_f32, avi_backward_##op##_f64}}

#endif
