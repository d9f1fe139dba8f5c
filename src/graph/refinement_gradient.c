/* The gradient of the rows' ELBOs at given nu, on the tape of the refinement. */
#include "graph/refinement.h"
#include "graph/terms.h"

avi_node *avi_refinement_leaf(const avi_graph_context *c, int i)
{
    const int theta = c->p->model->theta.count;
    if (i < theta) return c->theta_seen[i];
    return i < theta + c->p->family->count ? c->phi[c->p->family->first + i - theta] : NULL;
}

/* Leaves of the inner tape with the values of those of the block's, whose gradients lie one after the other. */
static void set_leaves(const avi_graph_context *c, avi_graph_context *inner, void *gradient)
{
    const avi_params *theta = &c->p->model->theta, *phi = &c->p->infer->phi;
    const int family = c->p->family->first;
    const avi_node *from;
    int64_t at = 0;
    for (int k = 0; (from = avi_refinement_leaf(c, k)); k++) {
        const avi_block *b = k < theta->count ? &theta->block[k] : &phi->block[family + k - theta->count];
        avi_node **leaf = k < theta->count ? &inner->theta[k] : &inner->phi[family + k - theta->count];
        *leaf = avi_parameter(inner->tape, b->rows, b->cols, from->value,
                              gradient ? avi_vector_at(c->p->precision, gradient, at) : NULL);
        at += b->rows * b->cols;
    }
}

void avi_refinement_gradient(const avi_refined_rows *rows, const avi_refined_gradient *g)
{
    struct avi_refinement *r = rows->c->refinement;
    avi_tape *t = r->inner.tape;
    const avi_pass plain = {.params = rows->params, .kl_weight = 1};
    avi_tape_reset(t);
    avi_tape_set_sink(t, rows->sink);
    set_leaves(rows->c, &r->inner, g->by_leaves);
    avi_node *nu = avi_parameter(t, rows->rows.total, r->p.family->width, g->nu, g->by_nu);
    avi_node *elbo = avi_graph_elbo(&r->inner, &plain, &rows->rows, &rows->batch, nu, rows->eps);
    if (g->seeds)
        avi_tape_backward_rows(t, elbo, g->seeds);
    else
        avi_tape_backward(t, elbo, 1);
    avi_tape_set_sink(t, NULL);
    if (r->status == AVI_OK) r->status = avi_tape_status(t);
}
