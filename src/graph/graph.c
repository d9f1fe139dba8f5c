/* The graph of a block of rows: data -> inference function -> family -> model -> ELBO of each row. */
#include "elbo/internal.h"

#include <string.h>

/* Rows of the data at the job's positions + shift: (B, D). */
avi_node *avi_graph_fetch(avi_estimator *e, int runs, const int64_t *first, const int64_t *rows, int64_t shift)
{
    const int64_t width = e->data->shape.width;
    int64_t total = 0, done = 0;
    for (int i = 0; i < runs; i++) total += rows[i];
    const double from = avi_seconds();
    avi_node *x = avi_constant_new(e->tape, total, width);
    for (int i = 0; i < runs; i++) {
        if (e->p.precision == AVI_PRECISION_SINGLE)
            avi_data_fetch_f32(e->data, first[i] + shift, rows[i], (float *)x->value + done * width);
        else
            avi_data_fetch_f64(e->data, first[i] + shift, rows[i], (double *)x->value + done * width);
        done += rows[i];
    }
    e->phase[AVI_PHASE_INPUT] += avi_seconds() - from;
    return x;
}

/* The values of the domain of each row, earlier rows first: (B, inputs). */
static avi_node *domain_features(avi_estimator *e, int runs, const int64_t *first, const int64_t *rows, avi_node *x)
{
    const avi_domain *d = &e->p.domain;
    if (d->only_next) return avi_graph_fetch(e, runs, first, rows, 1);
    avi_node *all = NULL;
    for (int64_t shift = -d->before; shift <= d->after; shift++) {
        avi_node *one = shift ? avi_graph_fetch(e, runs, first, rows, shift) : x;
        all = all ? avi_concat(e->tape, all, one) : one;
    }
    return all;
}

avi_node *avi_graph_nu(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                       avi_node *x)
{
    const avi_infer *f = e->p.infer;
    avi_node *features = f->ops->features ? domain_features(e, runs, first, rows, x) : NULL, *table = NULL;
    if (f->ops->local) {
        int64_t *row = avi_tape_alloc(e->tape, 2 * runs);
        for (int i = 0; i < runs; i++) row[i] = first[i] - e->data->first + 1; /* the halo row is row 0 of the table */
        table = avi_gather(e->tape, f->outputs, pass->table, pass->table_grad, runs, row, rows);
    }
    int64_t total = 0;
    for (int i = 0; i < runs; i++) total += rows[i];
    return f->ops->forward(f, e->tape, total, features, table, e->phi);
}

/* Quadrature in place of draws: the same points for each row, other coordinates for rows of odd number. */
static void fill_rule(avi_estimator *e, int64_t first, int64_t rows, void *out)
{
    const avi_quadrature *rule = e->p.rule;
    const int64_t n = (int64_t)rule->count * e->p.model->latent;
    for (int64_t r = 0; r < rows; r++)
        avi_vector_from_double(e->p.precision, rule->z[(first + r) & 1], n, avi_vector_at(e->p.precision, out, r * n));
}

avi_node *avi_graph_eps(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                        int first_draw, int draws)
{
    const int64_t dims = e->p.model->latent, width = draws * dims;
    int64_t total = 0, done = 0;
    for (int i = 0; i < runs; i++) total += rows[i];
    const double from = avi_seconds();
    avi_node *eps = avi_constant_new(e->tape, total * draws, dims);
    for (int i = 0; i < runs; i++) {
        void *out = avi_vector_at(e->p.precision, eps->value, done * width);
        if (e->p.rule)
            fill_rule(e, first[i], rows[i], out);
        else if (e->p.precision == AVI_PRECISION_SINGLE)
            avi_normal_f32(pass->stream, (uint64_t)first[i], rows[i], first_draw * dims, width, out);
        else
            avi_normal_f64(pass->stream, (uint64_t)first[i], rows[i], first_draw * dims, width, out);
        done += rows[i];
    }
    e->phase[AVI_PHASE_DRAWS] += avi_seconds() - from;
    return eps;
}

static avi_node *leaf(const avi_estimator *e, const avi_pass *pass, int64_t rows, int64_t cols, const void *value,
                      int64_t place)
{
    if (!pass->gradient) return avi_constant(e->tape, rows, cols, value);
    void *grad = avi_vector_at(e->p.precision, pass->gradient, place);
    return pass->apart ? avi_parameter_apart(e->tape, rows, cols, value, grad, place)
                       : avi_parameter(e->tape, rows, cols, value, grad);
}

/* Leaves for the parameters; theta of draw s (all draws of a scalar theta at once). */
static void make_leaves(avi_estimator *e, const avi_pass *pass, int s)
{
    const avi_precision p = e->p.precision;
    const avi_params *theta = &e->p.model->theta, *phi = &e->p.infer->phi;
    const bool scalar = e->p.model->ops->scalar_theta;
    const int draws = e->layout.theta_draws;
    for (int k = 0; k < theta->count; k++) {
        const avi_block *b = &theta->block[k];
        const int64_t i = scalar ? b->offset * draws : s * e->layout.theta + b->offset;
        const int64_t rows = scalar ? draws : b->rows, cols = scalar ? 1 : b->cols;
        const void *value = avi_vector_at(p, e->theta_draws, i);
        e->theta[k] = leaf(e, pass, rows, cols, value, i);
        e->theta_fixed[k] = avi_constant(e->tape, rows, cols, value);
    }
    const char *phi_value =
        (const char *)pass->params + (size_t)avi_parameter_layout_phi(&e->p, &e->layout) * avi_real_size(p);
    for (int k = 0; k < phi->count && s == 0; k++) {
        const avi_block *b = &phi->block[k];
        e->phi[k] = leaf(e, pass, b->rows, b->cols, phi_value + (size_t)b->offset * avi_real_size(p),
                         draws * e->layout.theta + b->offset);
    }
}

avi_node *avi_graph_nu_of_q(avi_estimator *e, avi_node *nu)
{
    if (!e->p.stl) return nu;
    if (!e->held) return avi_detach(e->tape, nu);
    const int64_t n = nu->rows * nu->cols;
    const size_t bytes = (size_t)n * avi_real_size(e->p.precision);
    void *held = avi_vector_at(e->p.precision, e->held, e->held_at);
    avi_node *fixed = avi_constant_new(e->tape, nu->rows, nu->cols);
    if (!e->held_taken) memcpy(held, nu->value, bytes);
    memcpy(fixed->value, held, bytes);
    e->held_at += n;
    return fixed;
}

avi_node *avi_graph_factors(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows)
{
    avi_tape_reset(e->tape);
    make_leaves(e, pass, 0);
    return avi_graph_nu(e, pass, 1, &first, &rows, avi_graph_fetch(e, 1, &first, &rows, 0));
}

/* Means over draws of what one group of draws contributes. */
typedef struct draw_terms {
    avi_node *loglik, *prior_minus_q; /* (B, 1); the second NULL where the KL is in closed form */
    avi_node *log_weight, *mean_x;
} draw_terms;

static draw_terms evaluate_draws(avi_estimator *e, const avi_pass *pass, avi_batch *b, avi_node *nu, avi_node *nu_of_q,
                                 avi_node *eps, bool closed_form, bool entropy)
{
    const avi_model *m = e->p.model;
    avi_tape *t = e->tape;
    const double *weight = e->p.rule ? e->p.rule->weight : NULL;
    avi_node *z = e->p.family->draw(t, nu, eps);
    avi_node *ll = m->ops->log_likelihood(m, t, b, z, e->theta);
    draw_terms d = {.loglik = avi_draw_mean(t, ll, b->draws, weight)};
    if (pass->reconstruct && m->ops->reconstruct)
        d.mean_x = avi_draw_mean(t, m->ops->reconstruct(m, t, b, z, e->theta), b->draws, weight);
    if (closed_form) return d;
    avi_node *prior = m->ops->log_prior ? m->ops->log_prior(m, t, b, z, e->theta) : avi_std_normal_lpdf(t, z);
    if (entropy) {
        d.prior_minus_q = avi_add(t, avi_draw_mean(t, prior, b->draws, weight), e->p.family->entropy(t, nu));
        return d;
    }
    avi_node *q = e->p.family->logq(t, nu_of_q, z);
    avi_node *difference = avi_sub(t, prior, q);
    d.prior_minus_q = avi_draw_mean(t, difference, b->draws, weight);
    d.log_weight = avi_add(t, ll, difference);
    return d;
}

/* The model's densities in expectation, where it has them and z itself is not asked for. */
static bool is_fused(const avi_estimator *e, const avi_pass *pass)
{
    const avi_model *m = e->p.model;
    return m->ops->mean_log_likelihood && (!m->ops->log_prior || m->ops->mean_log_prior) && m->latent == 1 &&
           e->p.family->independent && !e->p.stl && !e->p.kl_sampled && !pass->reconstruct;
}

static draw_terms evaluate_fused(avi_estimator *e, avi_batch *b, avi_node *nu, avi_node *eps, bool closed_form)
{
    const avi_model *m = e->p.model;
    avi_tape *t = e->tape;
    const double *weight = e->p.rule ? e->p.rule->weight : NULL;
    draw_terms d = {.loglik = m->ops->mean_log_likelihood(m, t, b, nu, eps, e->theta, weight)};
    if (closed_form) return d; /* as it is of every independent Gaussian without log_prior */
    d.prior_minus_q =
        avi_add(t, m->ops->mean_log_prior(m, t, b, nu, eps, e->theta, weight), e->p.family->entropy(t, nu));
    return d;
}

static avi_node *accumulate(avi_tape *t, avi_node *sum, avi_node *one, double weight)
{
    if (!one) return sum;
    if (weight != 1) one = avi_scale(t, one, weight, 0);
    return sum ? avi_add(t, sum, one) : one;
}

static void build_independent(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first,
                              const int64_t *rows, avi_graph *g)
{
    const avi_model *m = e->p.model;
    avi_tape *t = e->tape;
    const bool sampled = e->p.stl || e->p.kl_sampled;
    const bool closed_form = !sampled && !m->ops->log_prior && e->p.family->kl_std;
    /* Draws of matrices cannot ride in the rows of z: one group of rows for each draw of theta. */
    const int groups = m->ops->scalar_theta ? 1 : e->layout.theta_draws, draws = e->p.draws / groups;
    make_leaves(e, pass, 0);
    g->x = avi_graph_fetch(e, runs, first, rows, 0);
    g->rows = g->x->rows;
    g->nu = avi_graph_nu(e, pass, runs, first, rows, g->x);
    avi_batch b = {.rows = g->rows, .draws = draws, .x = g->x};
    if (m->ops->lookahead) b.x_next = avi_graph_fetch(e, runs, first, rows, 1);
    avi_node *rest = NULL, *nu_of_q = avi_graph_nu_of_q(e, g->nu);
    for (int s = 0; s < groups; s++) {
        if (s) make_leaves(e, pass, s);
        avi_node *eps = avi_graph_eps(e, pass, runs, first, rows, s * draws, draws);
        const draw_terms d = is_fused(e, pass)
                                 ? evaluate_fused(e, &b, g->nu, eps, closed_form)
                                 : evaluate_draws(e, pass, &b, g->nu, nu_of_q, eps, closed_form, !sampled);
        g->loglik = accumulate(t, g->loglik, d.loglik, 1.0 / groups);
        rest = accumulate(t, rest, d.prior_minus_q, 1.0 / groups);
        g->mean_x = accumulate(t, g->mean_x, d.mean_x, 1.0 / groups);
        g->log_weight = d.log_weight;
    }
    g->elbo = closed_form ? avi_sub(t, g->loglik, e->p.family->kl_std(t, g->nu)) : avi_add(t, g->loglik, rest);
}

void avi_graph_build(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                     avi_graph *g)
{
    *g = (avi_graph){0};
    avi_tape_reset(e->tape);
    if (e->p.model->ops->coupling == AVI_INDEPENDENT) {
        build_independent(e, pass, runs, first, rows, g);
        return;
    }
    make_leaves(e, pass, 0);
    if (e->p.model->ops->coupling == AVI_CHAIN)
        avi_graph_chain(e, pass, first[0], rows[0], g);
    else
        avi_graph_dense(e, pass, first[0], rows[0], g);
}
