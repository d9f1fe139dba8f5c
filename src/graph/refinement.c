/* nu of a row after steps on its own ELBO (inference.function = semi; Kim et al. 2018):
 *
 *     nu_0 = f(x_n; phi),   nu_{j+1} = nu_j + rate * d ELBO_n(nu_j) / d nu,   j = 0 .. k - 1.
 *
 * ELBO_n is that of the row by itself, with weight 1 for its KL, at the mean of q(theta), so that nu_k is a function of
 * the row and the parameters alone, whatever draws of theta a pass has. The steps of a fit draw z anew for every row;
 * evaluations, encodings and gaps give every row the same draws, so that the factor of a row does not depend on its
 * place among others.
 *
 * The gradient of a fit goes through the steps (refinement_back.c), or with refine_gradient = first_order to nu_0 as it
 * is: nu_k = nu_0 + delta with delta held fixed. d ELBO / d nu at nu_k goes to phi then, and theta gets its gradient at
 * nu_k. What is left out is the product of (I + rate * Hessian) for phi and the way of theta through delta. Where a
 * step contracts alike in all rows, as in linear Gaussian models, phi has the same optimum. The check of gradients
 * holds delta fixed as well.
 *
 * No value of nu moves by more than 1 in one step, an sd of the prior or a factor e of a scale: gradients far from the
 * optimum can be of any size.
 *
 * The steps run on a tape of their own, which is reset at each of them: memory does not grow with k. It has the sink of
 * the pass, since products of weights take the tiles of a reproducible sum from there. */
#include "graph/refinement.h"
#include "graph/terms.h"

#include <stdlib.h>
#include <string.h>

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
    r->inner.theta = calloc((size_t)theta->count + 1, sizeof(avi_node *));
    r->inner.phi = calloc((size_t)phi->count + 1, sizeof(avi_node *));
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

/* rate * d ELBO / d nu at the values of nu, from -1 to 1, on the tape of the block: (B, width). */
static avi_node *step_of(const avi_refined_rows *rows, const avi_node *nu)
{
    const avi_graph_context *c = rows->c;
    avi_node *gradient = avi_constant_new(c->tape, nu->rows, nu->cols);
    memset(gradient->value, 0, (size_t)(nu->rows * nu->cols) * avi_real_size(c->p->precision));
    avi_refinement_gradient(rows, &(avi_refined_gradient){.nu = nu->value, .by_nu = gradient->value});
    for (int64_t i = 0; i < nu->rows * nu->cols; i++) { /* NaN stays: the row is counted as one that is not finite */
        const double step = c->p->infer->refine.rate * avi_vector_get(c->p->precision, gradient->value, i);
        avi_vector_set(c->p->precision, gradient->value, i, step > 1 ? 1 : step < -1 ? -1 : step);
    }
    return gradient;
}

/* Room for one node of each step, on the tape of the block. */
static avi_node **nodes_of_steps(const avi_graph_context *c)
{
    const size_t bytes = (size_t)c->p->infer->refine.steps * sizeof(avi_node *);
    return avi_tape_alloc(c->tape, (int64_t)(bytes / sizeof(float)));
}

avi_node *avi_graph_refined(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *of,
                            avi_node *nu)
{
    struct avi_refinement *r = c->refinement;
    if (!r) return nu;
    set_problem(c, r);
    r->status = AVI_OK;
    avi_refined_rows rows = {.c = c, .params = pass->params, .sink = pass->sink, .rows = *b, .batch = *of};
    rows.batch.draws = r->p.draws;
    rows.eps = make_eps(c, r, pass, b);
    avi_node *last = avi_detach(c->tape, nu), **at = nodes_of_steps(c), **step = nodes_of_steps(c);
    for (int j = 0; j < c->p->infer->refine.steps; j++) {
        at[j] = last;
        step[j] = step_of(&rows, last);
        last = avi_add(c->tape, last, step[j]);
    }
    if (c->p->infer->refine.full && pass->sink) return avi_refinement_differentiable(&rows, nu, last, at, step);
    avi_node *delta = avi_sub(c->tape, last, avi_detach(c->tape, nu));
    if (!c->p->infer->refine.full) avi_graph_hold(c, delta);
    return avi_add(c->tape, nu, delta);
}

avi_status avi_graph_status(const avi_graph_context *c)
{
    AVI_TRY(avi_tape_status(c->tape));
    return c->refinement ? c->refinement->status : AVI_OK;
}
