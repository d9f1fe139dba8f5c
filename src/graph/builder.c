/* The one builder: objective x coupling x family. A coupling gives the prior's terms (prior.c, dense.c), a family the
 * draws with log q or its closed forms, an objective one value a row. */
#include "graph/context.h"

/* How E_q[log p(z) - log q(z)] is taken. */
typedef enum kl_form {
    KL_CLOSED,  /* -KL(q || N(0, I)) in closed form */
    KL_ENTROPY, /* E log p(z) by draws or in closed form, the entropy in closed form */
    KL_SAMPLED  /* both by the draws */
} kl_form;

static kl_form form_of(const avi_graph_context *c, const avi_pass *pass)
{
    const avi_problem *p = c->p;
    const bool weights = p->objective->ops->needs_weights || pass->log_weights;
    if (p->gradient != AVI_GRADIENT_PATHWISE || p->kl_sampled || weights || !p->family->ops->entropy) return KL_SAMPLED;
    const bool standard = p->model->ops->coupling == AVI_INDEPENDENT && !p->model->ops->log_prior;
    return standard && p->family->ops->kl_std ? KL_CLOSED : KL_ENTROPY;
}

/* The model's densities in expectation, where it has them and z itself is not asked for. */
static bool is_fused(const avi_graph_context *c, const avi_pass *pass, kl_form form)
{
    const avi_model *m = c->p->model;
    return m->ops->mean_log_likelihood && (!m->ops->log_prior || m->ops->mean_log_prior) && m->latent == 1 &&
           m->ops->coupling == AVI_INDEPENDENT && c->p->family->ops->independent && form != KL_SAMPLED &&
           !pass->reconstruct;
}

/* One group of draws: all of them, or those that share a draw of theta. */
typedef struct group {
    avi_batch batch;
    avi_node *eps, *nu, *nu_of_q;
    avi_node *eps_before; /* of the rows before; NULL unless the family ties rows */
    const double *weight; /* of the draws */
    kl_form form;
    avi_node *closed_kl; /* (B, 1): made once for all groups; NULL unless KL_CLOSED */
    avi_terms terms;
    avi_node *mean_x, *draw_x, *edge, *z, *draw_loglik, *log_q;
} group;

static void evaluate_fused(avi_graph_context *c, group *g)
{
    const avi_model *m = c->p->model;
    avi_tape *t = c->tape;
    g->terms.loglik = m->ops->mean_log_likelihood(m, t, &g->batch, g->nu, g->eps, c->theta, g->weight);
    if (g->form == KL_CLOSED) return;
    g->terms.minus_kl = avi_add(t, m->ops->mean_log_prior(m, t, &g->batch, g->nu, g->eps, c->theta, g->weight),
                                c->p->family->ops->entropy(c->p->family, t, g->nu));
}

/* E log p(z) - E log q(z), and the weights of the draws: from the prior of every draw or its expectation. */
static void evaluate_kl(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, group *g, avi_node *z,
                        avi_node *before, avi_node *loglik, avi_node *log_q)
{
    avi_tape *t = c->tape;
    const int draws = (int)g->batch.draws;
    const bool dense = c->p->model->ops->coupling == AVI_DENSE;
    avi_node *prior = dense ? avi_graph_dense_prior(c, b, g->nu) : avi_graph_prior(c, pass, b, &g->batch, z, before);
    if (g->form == KL_ENTROPY) {
        avi_node *mean = dense ? prior : avi_draw_mean(t, prior, draws, g->weight);
        g->terms.minus_kl = avi_add(t, mean, c->p->family->ops->entropy(c->p->family, t, g->nu));
        return;
    }
    if (dense) {
        g->terms.minus_kl = avi_sub(t, prior, avi_draw_mean(t, log_q, draws, g->weight));
        return;
    }
    avi_node *difference = avi_sub(t, prior, log_q);
    g->terms.minus_kl = avi_draw_mean(t, difference, draws, g->weight);
    if (c->p->objective->ops->needs_weights || pass->log_weights) g->terms.log_weight = avi_add(t, loglik, difference);
    if (c->dreg) avi_graph_dreg_weigh(c->dreg, g->terms.log_weight);
}

static void evaluate_draws(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, group *g)
{
    const avi_model *m = c->p->model;
    avi_tape *t = c->tape;
    const int draws = (int)g->batch.draws;
    avi_node *log_q = NULL;
    avi_node *z = avi_graph_z(c, g->nu, g->nu_of_q, g->eps, g->eps_before, g->form == KL_SAMPLED ? &log_q : NULL);
    avi_node *before = g->eps_before ? avi_graph_z(c, g->nu, g->nu, g->eps, NULL, NULL) : z;
    avi_node *loglik = m->ops->log_likelihood(m, t, &g->batch, z, c->theta);
    g->terms.loglik = avi_draw_mean(t, loglik, draws, g->weight);
    if (pass->reconstruct && m->ops->reconstruct) {
        g->draw_x = m->ops->reconstruct(m, t, &g->batch, z, c->theta);
        g->mean_x = avi_draw_mean(t, g->draw_x, draws, g->weight);
    }
    if (g->form != KL_CLOSED) evaluate_kl(c, pass, b, g, z, before, loglik, log_q);
    g->z = z;
    g->draw_loglik = loglik;
    g->log_q = log_q;
    g->edge = avi_graph_edge(c, pass, b, before);
}

static avi_node *accumulate(avi_tape *t, avi_node *sum, avi_node *one, double weight)
{
    if (!one) return sum;
    if (weight != 1) one = avi_scale(t, one, weight, 0);
    return sum ? avi_add(t, sum, one) : one;
}

/* What the group adds to the values of the rows: what a step follows, and what is reported. */
static void add_group(avi_graph_context *c, const avi_pass *pass, group *g, double weight, avi_graph *out)
{
    const avi_objective *o = c->p->objective;
    avi_tape *t = c->tape;
    g->terms.draws = (int)g->batch.draws;
    g->terms.weight = g->weight;
    g->terms.kl_weight = pass->kl_weight;
    if (g->form == KL_CLOSED) g->terms.minus_kl = g->closed_kl;
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
    out->edge = g->edge;
}

/* The model's own expectation over q(theta) and q(z): means and log sds of theta are the two "draws" of its leaves. */
static void build_expected(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_graph *out)
{
    const avi_model *m = c->p->model;
    const avi_quadrature *rule = c->p->moments_rule;
    avi_node *mean[AVI_MOMENT_BLOCKS];
    *out = (avi_graph){.rows = b->total, .entry = avi_graph_entries(c, b)};
    out->x = avi_graph_fetch(c, b, 0);
    out->mask = avi_graph_mask(c, b, 0);
    out->nu = avi_graph_nu(c, pass, b, out->x, out->entry);
    group g = {.batch = {.rows = b->total, .draws = 1, .x = out->x, .entry = out->entry, .mask = out->mask},
               .nu = out->nu,
               .form = KL_CLOSED};
    g.closed_kl = avi_scale(c->tape, c->p->family->ops->kl_std(c->p->family, c->tape, out->nu), -1, 0);
    for (int k = 0; k < m->theta.count; k++) mean[k] = c->theta[k];
    avi_graph_leaves(c, pass, 1);
    g.terms.loglik = m->ops->expected_log_likelihood(m, c->tape, &g.batch, out->nu, mean, c->theta, rule->count,
                                                     rule->z[0], rule->weight);
    add_group(c, pass, &g, 1, out);
}

void avi_graph_build(avi_graph_context *c, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                     avi_graph *out)
{
    const avi_problem *p = c->p;
    /* Draws of matrices cannot ride in the rows of z: one group of rows for each draw of theta. */
    const int groups = p->model->ops->scalar_theta ? 1 : c->layout->theta_draws, draws = p->draws / groups;
    avi_block_rows b = {.runs = runs, .first = first, .rows = rows};
    for (int i = 0; i < runs; i++) b.total += rows[i];
    avi_tape_reset(c->tape);
    avi_graph_leaves(c, pass, 0);
    if (p->moments_rule) {
        build_expected(c, pass, &b, out);
        return;
    }
    *out = (avi_graph){.rows = b.total, .entry = avi_graph_entries(c, &b)};
    out->x = avi_graph_fetch(c, &b, 0);
    out->mask = avi_graph_mask(c, &b, 0);
    out->nu = avi_graph_nu(c, pass, &b, out->x, out->entry);
    avi_batch batch = {.rows = b.total, .draws = draws, .x = out->x, .entry = out->entry, .mask = out->mask};
    if (p->model->ops->lookahead) batch.x_next = avi_graph_fetch(c, &b, 1);
    const kl_form form = form_of(c, pass);
    avi_node *nu_of_q = form == KL_SAMPLED ? avi_graph_nu_of_q(c, out->nu) : out->nu;
    avi_node *closed = NULL;
    if (form == KL_CLOSED) closed = avi_scale(c->tape, p->family->ops->kl_std(p->family, c->tape, out->nu), -1, 0);
    for (int s = 0; s < groups; s++) {
        group g = {.batch = batch,
                   .nu = out->nu,
                   .nu_of_q = nu_of_q,
                   .form = form,
                   .closed_kl = closed,
                   .weight = p->rule ? p->rule->weight : NULL};
        if (s) avi_graph_leaves(c, pass, s);
        g.eps = avi_graph_eps(c, pass, &b, s * draws, draws);
        g.eps_before = avi_graph_eps_before(c, pass, &b, s * draws, draws);
        if (is_fused(c, pass, form))
            evaluate_fused(c, &g);
        else
            evaluate_draws(c, pass, &b, &g);
        add_group(c, pass, &g, 1.0 / groups, out);
    }
}
