#include "graph/context.h"

#include <stdlib.h>

avi_status avi_graph_context_create(const avi_problem *p, const avi_parameter_layout *layout, avi_comm *comm,
                                    const avi_data *data, avi_tape *tape, double *phase, avi_graph_context *c)
{
    const size_t nodes = (size_t)(p->model->theta.count + p->infer->phi.count + 1);
    *c = (avi_graph_context){.p = p, .layout = layout, .comm = comm, .data = data, .tape = tape, .phase = phase};
    c->theta = calloc(nodes, sizeof(*c->theta));
    c->theta_fixed = calloc(nodes, sizeof(*c->theta));
    c->theta_seen = calloc(nodes, sizeof(*c->theta_seen));
    c->phi = calloc(nodes, sizeof(*c->phi));
    if (!tape || !c->theta || !c->theta_fixed || !c->theta_seen || !c->phi)
        return avi_fail_memory(nodes, "the leaves of a block");
    return avi_refinement_create(c);
}

void avi_graph_context_free(avi_graph_context *c)
{
    avi_dense_destroy(&c->dense);
    avi_refinement_destroy(&c->refinement);
    free(c->theta);
    free(c->theta_fixed);
    free(c->theta_seen);
    free(c->phi);
    free(c->held);
    *c = (avi_graph_context){0};
}
