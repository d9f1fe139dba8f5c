#include "graph/terms.h"

/* A closed form has no noise, so it is used wherever the estimator, the objective and the family allow. Weights need
 * log p(z) and log q(z) of each draw by themselves. */
avi_kl_form avi_kl_form_of(const avi_problem *p, bool weights)
{
    if (p->gradient != AVI_GRADIENT_PATHWISE || p->kl_sampled || weights || !p->family->ops->entropy)
        return AVI_KL_SAMPLED;
    const bool standard = p->model->ops->coupling == AVI_INDEPENDENT && !p->model->ops->log_prior;
    return standard && avi_family_has_kl(p->family) ? AVI_KL_CLOSED : AVI_KL_ENTROPY;
}

/* The model's densities in expectation, where it has them and z itself is not asked for. */
static bool is_fused(const avi_graph_context *c, const avi_pass *pass, avi_kl_form form)
{
    const avi_model *m = c->p->model;
    return m->ops->mean_log_likelihood && (!m->ops->log_prior || m->ops->mean_log_prior) && m->latent == 1 &&
           m->ops->coupling == AVI_INDEPENDENT && c->p->family->ops->independent && form != AVI_KL_SAMPLED &&
           !pass->reconstruct;
}

/* One operation takes the expectation over the points, so that values of single draws are never written down: for
 * models of one dimension this is most of a step. */
static void evaluate_fused(avi_graph_context *c, avi_draw_group *g)
{
    const avi_model *m = c->p->model;
    avi_tape *t = c->tape;
    g->terms.loglik = m->ops->mean_log_likelihood(m, t, &g->batch, g->nu, g->eps, c->theta, g->weight);
    if (g->form == AVI_KL_CLOSED) return;
    g->terms.minus_kl = avi_add(t, m->ops->mean_log_prior(m, t, &g->batch, g->nu, g->eps, c->theta, g->weight),
                                c->p->family->ops->entropy(c->p->family, t, g->nu));
}

/* E log p(z) - E log q(z), and the weights of the draws: from the prior of every draw or its expectation. */
static void evaluate_kl(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_draw_group *g,
                        avi_node *z, avi_node *before, avi_node *loglik, avi_node *log_q)
{
    avi_tape *t = c->tape;
    const int draws = (int)g->batch.draws;
    const bool dense = c->p->model->ops->coupling == AVI_DENSE;
    avi_node *prior = dense ? avi_graph_dense_prior(c, b, g->nu) : avi_graph_prior(c, pass, b, &g->batch, z, before);
    if (g->form == AVI_KL_ENTROPY) {
        avi_node *mean = dense ? prior : avi_draw_mean(t, prior, draws, g->weight);
        g->terms.minus_kl = avi_add(t, mean, c->p->family->ops->entropy(c->p->family, t, g->nu));
        return;
    }
    if (dense) { /* the prior couples all rows, so its expectation is one for all draws */
        g->terms.minus_kl = avi_sub(t, prior, avi_draw_mean(t, log_q, draws, g->weight));
        return;
    }
    avi_node *difference = avi_sub(t, prior, log_q);
    g->terms.minus_kl = avi_draw_mean(t, difference, draws, g->weight);
    if (c->p->objective->ops->needs_weights || pass->log_weights) g->terms.log_weight = avi_add(t, loglik, difference);
    /* The doubly reparameterized gradient weighs the draws by weights that are known only now. */
    if (c->dreg) avi_graph_dreg_weigh(c->dreg, g->terms.log_weight);
}

static void evaluate_draws(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_draw_group *g)
{
    const avi_model *m = c->p->model;
    avi_tape *t = c->tape;
    const int draws = (int)g->batch.draws;
    avi_node *log_q = NULL;
    avi_node *z = avi_graph_z(c, g->nu, g->nu_of_q, g->eps, g->eps_before, g->form == AVI_KL_SAMPLED ? &log_q : NULL);
    avi_node *before = g->eps_before ? avi_graph_z(c, g->nu, g->nu, g->eps, NULL, NULL) : z;
    avi_node *loglik = m->ops->log_likelihood(m, t, &g->batch, z, c->theta);
    g->terms.loglik = avi_draw_mean(t, loglik, draws, g->weight);
    if (pass->reconstruct && m->ops->reconstruct) {
        g->draw_x = m->ops->reconstruct(m, t, &g->batch, z, c->theta);
        g->mean_x = avi_draw_mean(t, g->draw_x, draws, g->weight);
    }
    if (g->form != AVI_KL_CLOSED) evaluate_kl(c, pass, b, g, z, before, loglik, log_q);
    /* Kept for evaluations, which read single draws. */
    g->z = z;
    g->draw_loglik = loglik;
    g->log_q = log_q;
    g->edge = avi_graph_edge(c, pass, b, before);
}

void avi_graph_terms(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_draw_group *g)
{
    if (is_fused(c, pass, g->form))
        evaluate_fused(c, g);
    else
        evaluate_draws(c, pass, b, g);
}

avi_node *avi_graph_elbo(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *batch,
                         avi_node *nu, avi_node *eps)
{
    const avi_problem *p = c->p;
    avi_draw_group g = {.batch = *batch,
                        .nu = nu,
                        .nu_of_q = nu,
                        .eps = eps,
                        .form = avi_kl_form_of(p, false),
                        .weight = p->rule ? p->rule->weight : NULL};
    avi_graph_terms(c, pass, b, &g);
    if (g.form == AVI_KL_CLOSED)
        g.terms.minus_kl = avi_scale(c->tape, p->family->ops->kl_std(p->family, c->tape, nu), -1, 0);
    return avi_add(c->tape, g.terms.loglik, g.terms.minus_kl);
}
