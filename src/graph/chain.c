/* Chains: z_n depends on z_{n-1}. Owner computes: a block evaluates the factors p(z_n | z_{n-1}) of its rows and one
 * more, p(z_{last+1} | z_last), whose value belongs to the next block but whose gradient touches this one. The
 * neighbours' z are computed here, since draws are a function of the row, and are held fixed: every row's gradient then
 * gets all factors that touch it, from its owner, and no gradient is ever sent. */
#include "elbo/internal.h"

/* z of one neighbouring row, without gradient: (S, L). */
static avi_node *neighbour(avi_estimator *e, const avi_pass *pass, int64_t row)
{
    const int64_t one = 1;
    avi_node *x = avi_graph_fetch(e, 1, &row, &one, 0);
    avi_node *nu = avi_detach(e->tape, avi_graph_nu(e, pass, 1, &row, &one, x));
    return e->p.family->draw(e->tape, nu, avi_graph_eps(e, pass, 1, &row, &one, 0, e->p.draws));
}

/* log p(z_n | z_{n-1}) of the block's rows, log p(z_1) for the first of the data: (B*S, 1). */
static avi_node *transitions(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, avi_node *z)
{
    const avi_model *m = e->p.model;
    const int64_t s = e->p.draws;
    avi_tape *t = e->tape;
    avi_node *earlier = rows > 1 ? avi_slice_rows(t, z, 0, (rows - 1) * s) : NULL;
    if (first > 0) {
        avi_node *left = neighbour(e, pass, first - 1);
        return m->ops->log_transition(m, t, earlier ? avi_concat_rows(t, left, earlier) : left, z, e->theta);
    }
    avi_node *initial = m->ops->log_initial(m, t, avi_slice_rows(t, z, 0, s), e->theta);
    if (!earlier) return initial;
    return avi_concat_rows(t, initial,
                           m->ops->log_transition(m, t, earlier, avi_slice_rows(t, z, s, (rows - 1) * s), e->theta));
}

void avi_graph_chain(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, avi_graph *g)
{
    const avi_model *m = e->p.model;
    const int draws = e->p.draws;
    const double *weight = e->p.rule ? e->p.rule->weight : NULL;
    avi_tape *t = e->tape;
    g->rows = rows;
    g->x = avi_graph_fetch(e, 1, &first, &rows, 0);
    g->nu = avi_graph_nu(e, pass, 1, &first, &rows, g->x);
    avi_node *z = e->p.family->draw(t, g->nu, avi_graph_eps(e, pass, 1, &first, &rows, 0, draws));
    avi_batch b = {.rows = rows, .draws = draws, .x = g->x};
    if (m->ops->lookahead) b.x_next = avi_graph_fetch(e, 1, &first, &rows, 1);
    g->loglik = avi_draw_mean(t, m->ops->log_likelihood(m, t, &b, z, e->theta), draws, weight);
    if (pass->reconstruct && m->ops->reconstruct)
        g->mean_x = avi_draw_mean(t, m->ops->reconstruct(m, t, &b, z, e->theta), draws, weight);
    avi_node *prior = avi_draw_mean(t, transitions(e, pass, first, rows, z), draws, weight);
    avi_node *minus_q =
        e->p.stl || e->p.kl_sampled
            ? avi_scale(t, avi_draw_mean(t, e->p.family->logq(t, avi_graph_nu_of_q(e, g->nu), z), draws, weight), -1, 0)
            : e->p.family->entropy(t, g->nu);
    g->elbo = avi_add(t, avi_add(t, g->loglik, prior), minus_q);
    if ((pass->gradient || pass->table_grad) && first + rows < e->data->partition.rows) {
        avi_node *right = neighbour(e, pass, first + rows), *last = avi_slice_rows(t, z, (rows - 1) * draws, draws);
        g->edge = avi_draw_mean(t, m->ops->log_transition(m, t, last, right, e->theta_fixed), draws, weight);
    }
}
