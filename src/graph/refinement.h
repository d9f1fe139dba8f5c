/* The steps of an inference function that has some behind it: refinement.c takes them, refinement_back.c differentiates
 * through them, and both ask refinement_gradient.c for gradients. */
#ifndef AVI_GRAPH_REFINEMENT_H
#define AVI_GRAPH_REFINEMENT_H

#include "graph/context.h"

struct avi_refinement {
    avi_problem p;           /* that of the fit, with the expectation of the steps */
    avi_graph_context inner; /* its leaves are the means of theta, and phi */
    avi_quadrature *rule;    /* owned; NULL: draws */
    double *points;          /* owned: (draws, L) that all rows share in evaluations; NULL with a rule */
    avi_status status;       /* of the last block: memory of the inner tape */
};

/* The rows of a block in their steps: what stays the same in all of them. */
typedef struct avi_refined_rows {
    avi_graph_context *c;
    const void *params;
    const avi_gradient_sink *sink; /* of the tiles of products, or NULL: sums over the block */
    avi_block_rows rows;
    avi_batch batch;
    avi_node *eps; /* (B*S, L) */
} avi_refined_rows;

/* One gradient of the rows' ELBOs. */
typedef struct avi_refined_gradient {
    const void *nu;      /* (B, width): where */
    const double *seeds; /* (B): what each row's ELBO is multiplied by; NULL: 1 */
    void *by_nu;         /* (B, width): added to */
    void *by_leaves;     /* added to: see avi_refinement_leaves; NULL: of nu alone */
} avi_refined_gradient;

/* refinement_gradient.c. Not collective; memory that is short is in the status of the refinement. */
void avi_refinement_gradient(const avi_refined_rows *rows, const avi_refined_gradient *g);

/* refinement_gradient.c: the leaves of the block's tape that the steps depend on: the means of theta, then what the
 * family has of phi. Their values lie one after the other in by_leaves. Leaf i, or NULL after the last one. */
avi_node *avi_refinement_leaf(const avi_graph_context *c, int i);

/* refinement_back.c: nu (B, width) with the value of the last step. at[j] and step[j], (B, width) each, j = 0 .. k - 1:
 * the values of nu before step j, and the step. Its gradient goes through all steps, to nu and to the leaves. The
 * arrays are borrowed until the tape is reset. */
avi_node *avi_refinement_differentiable(const avi_refined_rows *rows, avi_node *nu, const avi_node *last,
                                        avi_node *const *at, avi_node *const *step);

#endif
