/* What a coupling adds to a block: log p(z). Independent rows have their own prior.
 *
 * Chains: z_n depends on z_{n-1}. Owner computes: a block evaluates the factors p(z_n | z_{n-1}) of its rows and one
 * more, p(z_{last+1} | z_last), whose value belongs to the next block but whose gradient touches this one. The
 * neighbours' z are computed here, since draws are a function of the row, and are held fixed: every row's gradient then
 * gets all factors that touch it, from its owner, and no gradient is ever sent. Where the family ties z_n to z_{n-1}, a
 * factor takes z_{n-1} from its marginal and z_n given it: z_n has one value as the later row of a pair, and another
 * one as the earlier row of the next pair, each a function of the draws of its pair. */
#include "graph/context.h"

/* z of one neighbouring row, without gradient: (S, L). draws: S, of the group that is being built. later: as the later
 * row of its pair. */
static avi_node *neighbour(avi_graph_context *c, const avi_pass *pass, int64_t row, int draws, bool later)
{
    const int64_t one = 1;
    const avi_block_rows b = {1, &row, &one, 1};
    avi_node *nu = avi_detach(c->tape, avi_graph_nu(c, pass, &b, avi_graph_fetch(c, &b, 0), NULL));
    avi_node *eps = avi_graph_eps(c, pass, &b, c->first_draw, draws),
             *before = later ? avi_graph_eps_before(c, pass, &b, c->first_draw, draws) : NULL;
    return avi_detach(c->tape, avi_graph_z(c, nu, nu, eps, before, NULL));
}

/* log p(z_n | z_{n-1}) of the block's rows, log p(z_1) for the first of the data: (B*S, 1). */
static avi_node *transitions(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_node *z,
                             avi_node *before)
{
    const avi_model *m = c->p->model;
    const int64_t first = b->first[0], rows = b->total, s = z->rows / rows;
    avi_tape *t = c->tape;
    avi_node *earlier = rows > 1 ? avi_slice_rows(t, before, 0, (rows - 1) * s) : NULL;
    if (first > 0) {
        avi_node *left = neighbour(c, pass, first - 1, (int)s, false);
        return m->ops->log_transition(m, t, earlier ? avi_concat_rows(t, left, earlier) : left, z, c->theta);
    }
    avi_node *initial = m->ops->log_initial(m, t, avi_slice_rows(t, z, 0, s), c->theta);
    if (!earlier) return initial;
    return avi_concat_rows(t, initial,
                           m->ops->log_transition(m, t, earlier, avi_slice_rows(t, z, s, (rows - 1) * s), c->theta));
}

avi_node *avi_graph_prior(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *batch,
                          avi_node *z, avi_node *before)
{
    const avi_model *m = c->p->model;
    if (m->ops->coupling == AVI_CHAIN) return transitions(c, pass, b, z, before);
    return m->ops->log_prior ? m->ops->log_prior(m, c->tape, batch, z, c->theta) : avi_std_normal_lpdf(c->tape, z);
}

avi_node *avi_graph_edge(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_node *before)
{
    const avi_model *m = c->p->model;
    const int draws = (int)(before->rows / b->total);
    const int64_t next = b->first[0] + b->total;
    const bool derived = pass->sink || pass->table_grad;
    if (m->ops->coupling != AVI_CHAIN || !derived || next >= c->data->partition.rows) return NULL;
    avi_node *right = neighbour(c, pass, next, draws, true),
             *last = avi_slice_rows(c->tape, before, (b->total - 1) * draws, draws);
    avi_node *factor = avi_draw_mean(c->tape, m->ops->log_transition(m, c->tape, last, right, c->theta_fixed), draws,
                                     c->p->rule ? c->p->rule->weight : NULL);
    return pass->kl_weight == 1 ? factor : avi_scale(c->tape, factor, pass->kl_weight, 0); /* as in the next block */
}
