/* z (B*S, L) as it is; its gradient times the normalised weights of the draws. */
#include "avi/vmath.h"
#include "graph/dreg.h"
#include "tape/lanes.h"

#include <string.h>

void AVI_R(avi_forward_dreg)(avi_tape *t, avi_node *n)
{
    (void)t;
    memcpy(n->value, n->in[0]->value, (size_t)(n->rows * n->cols) * sizeof(real));
}

void AVI_R(avi_backward_dreg)(avi_tape *t, avi_node *n)
{
    const struct avi_dreg *dreg = n->data;
    const int draws = dreg->draws;
    const real *log_w = dreg->log_weight->value;
    const real *restrict g = n->grad;
    real *restrict to = n->in[0]->needs_grad ? avi_tape_grad(t, n->in[0]) : NULL;
    for (int64_t b = 0; to && b < n->rows; b += draws) {
        const real top = largest(log_w + b, draws);
        real sum = 0;
        for (int64_t r = b; r < b + draws; r++) sum += vm_exp(log_w[r] - top);
        for (int64_t r = b; r < b + draws; r++) {
            const real weight = vm_exp(log_w[r] - top) / sum;
            for (int64_t c = r * n->cols; c < (r + 1) * n->cols; c++) to[c] += weight * g[c];
        }
    }
}
