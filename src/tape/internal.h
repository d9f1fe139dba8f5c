/* What operations know of the tape. An operation is one line of ops.def and four functions: forward and backward in
 * both precisions (k_*.c, compiled twice). Builders (build_*.c) check shapes, fill a node and run forward. */
#ifndef AVI_TAPE_INTERNAL_H
#define AVI_TAPE_INTERNAL_H

#include "avi/tape.h"

typedef struct avi_op {
    const char *name;
    void (*forward[2])(avi_tape *t, avi_node *n);
    void (*backward[2])(avi_tape *t, avi_node *n);
    void (*precise)(avi_tape *t, avi_node *n, double *out); /* of custom operations; the tape's own are in precise.c */
} avi_op;

#define AVI_OP(name)                                                                                                   \
    extern const avi_op avi_op_##name;                                                                                 \
    void avi_forward_##name##_f32(avi_tape *t, avi_node *n);                                                           \
    void avi_forward_##name##_f64(avi_tape *t, avi_node *n);                                                           \
    void avi_backward_##name##_f32(avi_tape *t, avi_node *n);                                                          \
    void avi_backward_##name##_f64(avi_tape *t, avi_node *n);
#include "tape/ops.def"
#undef AVI_OP

/* Appends a node with room for its value; needs_grad when an input does. */
avi_node *avi_tape_node(avi_tape *t, const avi_op *op, int64_t rows, int64_t cols, int inputs, avi_node *const *in);
/* The node made last, NULL when there is none. */
avi_node *avi_tape_newest(const avi_tape *t);
/* Memory has run out: values are not there. */
bool avi_tape_is_short(const avi_tape *t);
/* The sink, or NULL. */
const struct avi_gradient_sink *avi_tape_sink(const avi_tape *t);
/* Whether, since the last call, an operation other than avi_affine gave a gradient to a leaf of the sink. */
bool avi_tape_take_untiled(avi_tape *t);
/* Runs forward and returns the node. */
avi_node *avi_tape_run(avi_tape *t, avi_node *n);
/* For operations that can write a first contribution without reading: *fresh tells that grad is not initialised and
 * must be overwritten whole. NULL when the node needs no gradient. */
void *avi_tape_grad_fresh(avi_tape *t, avi_node *n, bool *fresh);
/* The same for avi_affine, which knows the tiles of its rows. */
void *avi_tape_affine_grad(avi_tape *t, avi_node *n, bool *fresh);
/* a as (rows, cols): cyclic over rows, or each row repeated for its draws; one column spreads over all. a itself when
 * it fits. */
avi_node *avi_tape_spread(avi_tape *t, avi_node *a, int64_t rows, int64_t cols, bool repeated);
/* Ends the program with a message: a shape that does not fit is a mistake of the code, not of the input. */
void avi_tape_require(bool holds, const char *op, const char *what, const avi_node *a, const avi_node *b);

#endif
