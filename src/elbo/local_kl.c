/* F-VI: the gradient of KL(q(z_n) || N(0, I)) by itself, for steps that move the factors of rows outside the batch too.
 */
#include "elbo/internal.h"

enum { BLOCK = 2048 }; /* rows at once: a few values a row, no draws */

bool avi_estimator_kl_is_closed(const avi_problem *p)
{
    return p->model->ops->coupling == AVI_INDEPENDENT && !p->model->ops->log_prior && avi_family_has_kl(p->family) &&
           p->gradient == AVI_GRADIENT_PATHWISE && !p->kl_sampled;
}

static avi_status add_block(avi_estimator *e, void *table, void *table_grad, int64_t position, int64_t rows,
                            double weight)
{
    const int64_t row = position - e->data->first + 1; /* the halo row is row 0 of the table */
    avi_tape_reset(e->tape);
    avi_node *nu = avi_gather(e->tape, e->p.infer->outputs, table, table_grad, 1, &row, &rows);
    avi_tape_backward(e->tape, e->p.family->ops->kl_std(e->p.family, e->tape, nu), weight);
    return avi_tape_status(e->tape);
}

avi_status avi_estimator_add_kl(avi_estimator *e, void *table, void *table_grad, const avi_row_ranges *job,
                                double weight)
{
    avi_estimator_take_family(e, true);
    for (int i = 0; i < job->count; i++)
        for (int64_t done = 0; done < job->rows[i]; done += BLOCK) {
            const int64_t left = job->rows[i] - done;
            AVI_TRY(add_block(e, table, table_grad, job->first[i] + done, left < BLOCK ? left : BLOCK, weight));
        }
    return AVI_OK;
}
