/* The terms of a block's rows over one group of draws: E log p(x | z, theta), and what stands for the KL of z. */
#ifndef AVI_GRAPH_TERMS_H
#define AVI_GRAPH_TERMS_H

#include "graph/context.h"

/* How E_q[log p(z) - log q(z)] is taken. */
typedef enum avi_kl_form {
    AVI_KL_CLOSED,  /* -KL(q || N(0, I)) in closed form */
    AVI_KL_ENTROPY, /* E log p(z) by draws or in closed form, the entropy in closed form */
    AVI_KL_SAMPLED  /* both by the draws */
} avi_kl_form;

/* weights: those of the draws are wanted as well. */
avi_kl_form avi_kl_form_of(const avi_problem *p, bool weights);

/* One group of draws: all of them, or those that share a draw of theta. */
typedef struct avi_draw_group {
    avi_batch batch;
    avi_node *eps, *nu, *nu_of_q;
    avi_node *eps_before; /* of the rows before; NULL unless the family ties rows */
    const double *weight; /* of the draws */
    avi_kl_form form;
    avi_node *closed_kl; /* (B, 1): made once for all groups; NULL unless AVI_KL_CLOSED */
    avi_terms terms;
    avi_node *mean_x, *draw_x, *edge, *z, *draw_loglik, *log_q;
} avi_draw_group;

/* Fills g->terms and what comes with them. */
void avi_graph_terms(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_draw_group *g);
/* The ELBO of each row, (B, 1), at nu and these normals, of all of the context's draws at once. */
avi_node *avi_graph_elbo(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *batch,
                         avi_node *nu, avi_node *eps);

#endif
