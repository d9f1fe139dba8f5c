/* The doubly reparameterized gradient of log (1/S) sum_s w_s (Tucker, Lawson, Gu & Maddison 2018, eq. 8): by the
 * parameters of q it is sum_s v_s^2 (d log w_s / d z_s) (d z_s / d phi), v the normalised weights, with the parameters
 * of log q held; by theta it stays sum_s v_s d log p / d theta. Both come from one walk back: what reaches z has v_s
 * once, and this node multiplies it by v_s again. */
#include "graph/dreg.h"
#include "graph/context.h"
#include "tape/precise.h"

#include <string.h>

void avi_forward_dreg_f32(avi_tape *t, avi_node *n);
void avi_forward_dreg_f64(avi_tape *t, avi_node *n);
void avi_backward_dreg_f32(avi_tape *t, avi_node *n);
void avi_backward_dreg_f64(avi_tape *t, avi_node *n);

static void precise(avi_tape *t, avi_node *n, double *out)
{
    memcpy(out, avi_tape_precise_values(t, n->in[0]), (size_t)(n->rows * n->cols) * sizeof *out);
}

static const avi_custom_op op = {.name = "dreg",
                                 .forward = {avi_forward_dreg_f32, avi_forward_dreg_f64},
                                 .backward = {avi_backward_dreg_f32, avi_backward_dreg_f64},
                                 .precise = precise};

avi_node *avi_graph_dreg(avi_tape *t, avi_node *z, int draws, avi_dreg **dreg)
{
    *dreg = avi_tape_alloc(t, (int64_t)(sizeof **dreg / sizeof(float)));
    **dreg = (avi_dreg){.draws = draws};
    return avi_custom(t, &op, z->rows, z->cols, 1, &z, *dreg);
}

void avi_graph_dreg_weigh(avi_dreg *dreg, avi_node *log_weight) { dreg->log_weight = log_weight; }
