/* What a check by finite differences holds fixed (avi_estimator_hold). */
#include "graph/context.h"

#include <string.h>

void avi_graph_hold(avi_graph_context *c, avi_node *constant)
{
    if (!c->held) return;
    const int64_t n = constant->rows * constant->cols;
    const size_t bytes = (size_t)n * avi_real_size(c->p->precision);
    void *held = avi_vector_at(c->p->precision, c->held, c->held_at);
    if (!c->held_taken) memcpy(held, constant->value, bytes);
    memcpy(constant->value, held, bytes);
    c->held_at += n;
}
