/* The one builder: objective x coupling x family. A coupling gives the prior's terms (prior.c, dense.c), a family the
 * draws with log q or its closed forms, an objective one value a row. */
#include "graph/terms.h"

static avi_node *accumulate(avi_tape *t, avi_node *sum, avi_node *one, double weight)
{
    if (!one) return sum;
    if (weight != 1) one = avi_scale(t, one, weight, 0);
    return sum ? avi_add(t, sum, one) : one;
}

/* What the group adds to the values of the rows: what a step follows, and what is reported. */
static void add_group(avi_graph_context *c, const avi_pass *pass, avi_draw_group *g, double weight, avi_graph *out)
{
    const avi_objective *o = c->p->objective;
    avi_tape *t = c->tape;
    g->terms.draws = (int)g->batch.draws;
    g->terms.weight = g->weight;
    g->terms.kl_weight = pass->kl_weight;
    if (g->form == AVI_KL_CLOSED) g->terms.minus_kl = g->closed_kl;
    avi_node *value = o->ops->value(o, t, &g->terms), *reported = value;
    if (pass->kl_weight != 1 && !o->ops->reported) reported = avi_add(t, g->terms.loglik, g->terms.minus_kl);
    const bool same = value == reported;
    out->value = accumulate(t, out->value, value, weight);
    out->elbo = same ? out->value : accumulate(t, out->elbo, reported, weight);
    out->loglik = accumulate(t, out->loglik, g->terms.loglik, weight);
    out->mean_x = accumulate(t, out->mean_x, g->mean_x, weight);
    out->draw_x = weight == 1 ? g->draw_x : NULL;
    out->z = weight == 1 ? g->z : NULL;
    out->draw_loglik = weight == 1 ? g->draw_loglik : NULL;
    out->draw_log_q = weight == 1 ? g->log_q : NULL;
    out->log_weight = g->terms.log_weight;
    out->edge = accumulate(t, out->edge, g->edge, weight);
}

/* nu (B, width) by the leaves of theta and phi that are on the tape. */
static avi_node *make_nu(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *batch)
{
    return avi_graph_refined(c, pass, b, batch, avi_graph_nu(c, pass, b, batch->x, batch->entry));
}

/* Rows of a block, and what the inference function makes of them. */
static avi_batch begin_graph(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_graph *out)
{
    const avi_batch batch = avi_graph_batch(c, b);
    *out = (avi_graph){.rows = b->total, .entry = batch.entry, .x = batch.x, .mask = batch.mask};
    out->nu = make_nu(c, pass, b, &batch);
    return batch;
}

/* The model's own expectation over q(theta) and q(z): means and log sds of theta are the two "draws" of its leaves. */
static void build_expected(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_graph *out)
{
    const avi_model *m = c->p->model;
    const avi_quadrature *rule = c->p->moments_rule;
    avi_node *mean[AVI_MOMENT_BLOCKS];
    const avi_batch batch = begin_graph(c, pass, b, out);
    avi_draw_group g = {.batch = batch, .nu = out->nu, .form = AVI_KL_CLOSED};
    g.closed_kl = avi_scale(c->tape, c->p->family->ops->kl_std(c->p->family, c->tape, out->nu), -1, 0);
    for (int k = 0; k < m->theta.count; k++) mean[k] = c->theta[k];
    avi_graph_leaves(c, pass, 1);
    g.terms.loglik = m->ops->expected_log_likelihood(m, c->tape, &g.batch, out->nu, mean, c->theta, rule->count,
                                                     rule->z[0], rule->weight);
    add_group(c, pass, &g, 1, out);
}

/* What the factors of a group of draws have by themselves, without draws: the parameters that log q sees, and the KL in
 * closed form. */
static void begin_group(avi_graph_context *c, avi_node *nu, avi_draw_group *g)
{
    const avi_family *f = c->p->family;
    g->nu = nu;
    g->nu_of_q = g->form == AVI_KL_SAMPLED ? avi_graph_nu_of_q(c, nu) : nu;
    if (g->form == AVI_KL_CLOSED) g->closed_kl = avi_scale(c->tape, f->ops->kl_std(f, c->tape, nu), -1, 0);
}

void avi_graph_build(avi_graph_context *c, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                     avi_graph *out)
{
    const avi_problem *p = c->p;
    /* Draws of matrices cannot ride in the rows of z: one group of rows for each draw of theta. */
    const int groups = avi_theta_rides(p) ? 1 : c->layout->theta_draws, draws = p->draws / groups;
    avi_block_rows b = {.runs = runs, .first = first, .rows = rows};
    for (int i = 0; i < runs; i++) b.total += rows[i];
    avi_tape_reset(c->tape);
    avi_graph_leaves(c, pass, 0);
    if (p->moments_rule) {
        build_expected(c, pass, &b, out);
        return;
    }
    avi_draw_group g = {.batch = begin_graph(c, pass, &b, out),
                        .form = avi_kl_form_of(p, p->objective->ops->needs_weights || pass->log_weights),
                        .weight = p->rule ? p->rule->weight : NULL};
    g.batch.draws = draws;
    begin_group(c, out->nu, &g);
    for (int s = 0; s < groups; s++) {
        avi_draw_group one = g;
        if (s) avi_graph_leaves(c, pass, s);
        if (s && p->infer->theta == AVI_THETA_DRAW) begin_group(c, make_nu(c, pass, &b, &g.batch), &one);
        c->first_draw = s * draws;
        one.eps = avi_graph_eps(c, pass, &b, c->first_draw, draws);
        one.eps_before = avi_graph_eps_before(c, pass, &b, c->first_draw, draws);
        avi_graph_terms(c, pass, &b, &one);
        add_group(c, pass, &one, 1.0 / groups, out);
    }
}

avi_node *avi_graph_factors(avi_graph_context *c, const avi_pass *pass, int64_t first, int64_t rows)
{
    const avi_block_rows b = {1, &first, &rows, rows};
    avi_tape_reset(c->tape);
    avi_graph_leaves(c, pass, 0);
    const avi_batch batch = avi_graph_batch(c, &b);
    return make_nu(c, pass, &b, &batch);
}
