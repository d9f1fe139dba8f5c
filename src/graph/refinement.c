/* nu of a row after steps on its own ELBO (inference.function = semi; Kim et al. 2018):
 *
 *     nu_0 = f(x_n; phi),   nu_{j+1} = nu_j + rate * d ELBO_n(nu_j) / d nu,   j = 0 .. k - 1.
 *
 * ELBO_n is that of the row by itself, with weight 1 for its KL, at the mean of q(theta), so that nu_k is a function of
 * the row and the parameters alone, whatever draws of theta a pass has. The steps of a fit draw z anew for every row;
 * evaluations, encodings and gaps give every row the same draws, so that the factor of a row does not depend on its
 * place among others.
 *
 * The gradient of a fit is of first order: nu_k = nu_0 + delta with delta held fixed. d ELBO / d nu at nu_k goes to phi
 * as it is, and theta gets its gradient at nu_k. What is left out is I - product of (I + rate * Hessian) for phi and
 * the way of theta through delta: both would take second derivatives through the model. Where a step contracts alike in
 * all rows, as in linear Gaussian models, phi has the same optimum. The check of gradients holds delta fixed as well.
 *
 * No value of nu moves by more than 1 in one step, an sd of the prior or a factor e of a scale: gradients far from the
 * optimum can be of any size.
 *
 * The steps run on a tape of their own, which is reset at each of them: memory does not grow with k. It has the sink of
 * the pass, since products of weights take the tiles of a reproducible sum from there. */
#include "graph/terms.h"

#include <stdlib.h>
#include <string.h>

struct avi_refinement {
    avi_problem p;           /* that of the fit, with the expectation of the steps */
    avi_graph_context inner; /* its leaves are constants */
    avi_quadrature *rule;    /* owned; NULL: draws */
    double *points;          /* owned: (draws, L) that all rows share in evaluations; NULL with a rule */
    avi_status status;       /* of the last block: memory of the inner tape */
};

/* ---- expectations ---- */

static avi_status make_rule(avi_graph_context *c, struct avi_refinement *r)
{
    const avi_model *m = c->p->model;
    if (m->ops->quadratic == 2 || m->latent <= 3) return avi_quadrature_create(m, false, 16, c->p->precision, &r->rule);
    return avi_quadrature_spherical(m->latent, 1, c->p->seed, &r->rule);
}

/* Draws of rows from normals (rows, half * L): in pairs where their number is even. */
static void mirror(avi_precision p, int64_t rows, int64_t half, int64_t pairs, void *normals, void *out)
{
    for (int64_t r = 0; r < rows; r++) {
        void *from = avi_vector_at(p, normals, r * half), *to = avi_vector_at(p, out, r * half * pairs);
        memcpy(to, from, (size_t)half * avi_real_size(p));
        if (pairs == 2) avi_vector_scaled(p, from, half, -1, avi_vector_at(p, to, half));
    }
}

static avi_status make_points(avi_graph_context *c, struct avi_refinement *r)
{
    const int64_t dims = c->p->model->latent, pairs = r->p.draws % 2 ? 1 : 2, values = r->p.draws * dims;
    if (r->rule) return AVI_OK;
    r->points = malloc(2 * (size_t)values * sizeof *r->points);
    if (!r->points) return avi_fail_memory(2 * (size_t)values * sizeof *r->points, "draws of the refinement");
    double *normals = r->points + values;
    avi_normal_f64(avi_stream_make(c->p->seed, AVI_DRAW_REFINE, 0), 0, 1, 0, values / pairs, normals);
    mirror(AVI_PRECISION_DOUBLE, 1, values / pairs, pairs, normals, r->points);
    return AVI_OK;
}

avi_status avi_refinement_create(avi_graph_context *c)
{
    const avi_params *theta = &c->p->model->theta, *phi = &c->p->infer->phi;
    const avi_refine *how = &c->p->infer->refine;
    if (how->steps == 0) return AVI_OK;
    struct avi_refinement *r = c->refinement = calloc(1, sizeof *r);
    if (!r) return avi_fail_memory(sizeof *r, "the refinement of factors");
    if (how->draws == 0) AVI_TRY(make_rule(c, r));
    r->inner.tape = avi_tape_create(c->p->precision);
    r->inner.theta = calloc((size_t)(theta->count + 1), sizeof(*r->inner.theta));
    r->inner.phi = calloc((size_t)(phi->count + 1), sizeof(*r->inner.phi));
    if (!r->inner.tape || !r->inner.theta || !r->inner.phi)
        return avi_fail_memory((size_t)(theta->count + phi->count), "the refinement of factors");
    r->p.draws = r->rule ? r->rule->count : how->draws;
    return make_points(c, r);
}

void avi_refinement_destroy(struct avi_refinement **refinement)
{
    struct avi_refinement *r = *refinement;
    if (!r) return;
    avi_quadrature_destroy(&r->rule);
    avi_tape_destroy(&r->inner.tape);
    free(r->inner.theta);
    free(r->inner.phi);
    free(r->points);
    free(r);
    *refinement = NULL;
}

size_t avi_refinement_bytes(const avi_graph_context *c)
{
    return c->refinement ? avi_tape_peak(c->refinement->inner.tape) : 0;
}

/* Standard normals of the rows: (B*S, L), on the tape of the block. */
static avi_node *make_eps(avi_graph_context *c, const struct avi_refinement *r, const avi_pass *pass,
                          const avi_block_rows *b)
{
    const avi_precision p = c->p->precision;
    const int64_t dims = c->p->model->latent, values = r->p.draws * dims, pairs = r->p.draws % 2 ? 1 : 2;
    avi_node *eps = avi_constant_new(c->tape, b->total * r->p.draws, dims);
    if (r->rule || pass->refine_step == 0) {
        for (int64_t i = 0; i < b->total; i++)
            avi_vector_from_double(p, r->rule ? r->rule->z[0] : r->points, values,
                                   avi_vector_at(p, eps->value, i * values));
        return eps;
    }
    const avi_stream stream = avi_stream_make(c->p->seed, AVI_DRAW_REFINE, (uint64_t)pass->refine_step);
    for (int64_t i = 0, done = 0; i < b->runs; done += b->rows[i++]) {
        void *normals = avi_tape_alloc(c->tape, b->rows[i] * values / pairs);
        if (p == AVI_PRECISION_SINGLE)
            avi_normal_f32(stream, (uint64_t)b->first[i], b->rows[i], 0, values / pairs, normals);
        else
            avi_normal_f64(stream, (uint64_t)b->first[i], b->rows[i], 0, values / pairs, normals);
        mirror(p, b->rows[i], values / pairs, pairs, normals, avi_vector_at(p, eps->value, done * values));
    }
    return eps;
}

/* ---- steps ---- */

/* The problem may have changed since the last block: evaluations have other draws, steps another family. */
static void set_problem(const avi_graph_context *c, struct avi_refinement *r)
{
    const int draws = r->p.draws;
    avi_graph_context *inner = &r->inner;
    r->p = *c->p;
    r->p.draws = draws;
    r->p.rule = r->rule;
    r->p.moments_rule = NULL;
    r->p.gradient = AVI_GRADIENT_PATHWISE;
    r->p.kl_sampled = false;
    *inner = (avi_graph_context){.p = &r->p,
                                 .layout = c->layout,
                                 .comm = c->comm,
                                 .data = c->data,
                                 .tape = inner->tape,
                                 .phase = c->phase,
                                 .theta = inner->theta,
                                 .phi = inner->phi};
}

/* Means of theta, and phi, as constants. */
static void set_leaves(avi_graph_context *inner, const avi_pass *pass)
{
    const avi_params *theta = &inner->p->model->theta, *phi = &inner->p->infer->phi;
    const char *params = pass->params;
    const size_t real = avi_real_size(inner->p->precision);
    const int64_t first = avi_parameter_layout_phi(inner->p, inner->layout);
    for (int k = 0; k < theta->count; k++)
        inner->theta[k] = avi_constant(inner->tape, theta->block[k].rows, theta->block[k].cols,
                                       params + (size_t)theta->block[k].offset * real);
    for (int k = 0; k < phi->count; k++)
        inner->phi[k] = avi_constant(inner->tape, phi->block[k].rows, phi->block[k].cols,
                                     params + (size_t)(first + phi->block[k].offset) * real);
}

/* rate * d ELBO / d nu at the values of nu, from -1 to 1, on the tape of the block: (B, width). */
static avi_node *step_of(avi_graph_context *c, struct avi_refinement *r, const avi_pass *pass, const avi_block_rows *b,
                         const avi_batch *batch, const avi_node *nu, avi_node *eps)
{
    avi_node *gradient = avi_constant_new(c->tape, nu->rows, nu->cols);
    memset(gradient->value, 0, (size_t)(nu->rows * nu->cols) * avi_real_size(c->p->precision));
    avi_tape_reset(r->inner.tape);
    avi_tape_set_sink(r->inner.tape, pass->sink);
    set_leaves(&r->inner, pass);
    avi_node *leaf = avi_parameter(r->inner.tape, nu->rows, nu->cols, nu->value, gradient->value);
    const avi_pass plain = {.params = pass->params, .kl_weight = 1};
    avi_tape_backward(r->inner.tape, avi_graph_elbo(&r->inner, &plain, b, batch, leaf, eps), 1);
    avi_tape_set_sink(r->inner.tape, NULL);
    if (r->status == AVI_OK) r->status = avi_tape_status(r->inner.tape);
    for (int64_t i = 0; i < nu->rows * nu->cols; i++) { /* NaN stays: the row is counted as one that is not finite */
        const double step = c->p->infer->refine.rate * avi_vector_get(c->p->precision, gradient->value, i);
        avi_vector_set(c->p->precision, gradient->value, i, step > 1 ? 1 : step < -1 ? -1 : step);
    }
    return gradient;
}

avi_node *avi_graph_refined(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *of,
                            avi_node *nu)
{
    struct avi_refinement *r = c->refinement;
    if (!r) return nu;
    avi_batch batch = *of;
    set_problem(c, r);
    r->status = AVI_OK;
    batch.draws = r->p.draws;
    avi_node *eps = make_eps(c, r, pass, b), *at = avi_detach(c->tape, nu);
    for (int j = 0; j < c->p->infer->refine.steps; j++)
        at = avi_add(c->tape, at, step_of(c, r, pass, b, &batch, at, eps));
    avi_node *delta = avi_sub(c->tape, at, avi_detach(c->tape, nu));
    avi_graph_hold(c, delta);
    return avi_add(c->tape, nu, delta);
}

avi_status avi_graph_status(const avi_graph_context *c)
{
    AVI_TRY(avi_tape_status(c->tape));
    return c->refinement ? c->refinement->status : AVI_OK;
}
