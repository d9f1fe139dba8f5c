/* The table of built-in operations: names and kernels. The tape itself knows none of them. */
#include "tape/internal.h"

#define AVI_OP(op)                                                                                                     \
    const avi_op avi_op_##op = {#op,                                                                                   \
                                {avi_forward_##op##_f32, avi_forward_##op##_f64},                                      \
                                {avi_backward_##op##_f32, avi_backward_##op##_f64},                                    \
                                NULL};
#include "tape/ops.def"
#undef AVI_OP
