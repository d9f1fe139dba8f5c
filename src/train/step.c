#include "train/step.h"
#include "train/lbfgs_step.h"
#include "factors/own_steps.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of global parameters and local factors together, as clipping sees it. Squares of local gradients come summed over the
 * ranks and not yet divided by the rows of the batch. */
static double gradient_norm(const avi_session *s, const avi_state *st, const avi_step_result *r)
{
    const double rows = avi_partition_step_rows(&s->partition),
                 global = avi_vector_sumsq(s->precision, avi_vector_at(s->precision, st->gradient, s->fixed),
                                           s->layout.size - s->fixed);
    return sqrt(global + r->sums[AVI_SUM_LOCAL_SQ] / (rows * rows));
}

/* Rows from a position on; steps of their own by default as avi_own_steps says. */
static void update_range(const avi_session *s, avi_state *st, const avi_optim_update *u, int64_t position, int64_t rows)
{
    const avi_precision p = s->precision;
    if (st->own_means && rows > AVI_OWN_ROWS) {
        for (int64_t done = 0; done < rows; done += AVI_OWN_ROWS)
            update_range(s, st, u, position + done, rows - done < AVI_OWN_ROWS ? rows - done : AVI_OWN_ROWS);
        return;
    }
    const int64_t width = s->infer->outputs, at = (position - s->train->first + 1) * width;
    void *slot[AVI_OPTIM_SLOTS] = {0};
    for (int k = 0; k < s->optim.ops->slots; k++) slot[k] = avi_vector_at(p, st->table_slot[k], at);
    void *nu = avi_vector_at(p, st->table, at);
    if (st->own_means) avi_own_steps_keep(p, rows, s->model->latent, nu, st->own_means);
    s->optim.ops->update[p](&s->optim, u, rows * width, nu, avi_vector_at(p, st->table_grad, at), slot);
    if (st->own_means) avi_own_steps_shorten(p, rows, s->model->latent, nu, st->own_means);
}

/* The learning rate of the rows' own factors: that of the schedule, at a height of its own. */
static double local_rate(const avi_session *s, const avi_state *st, double rate)
{
    const double height = s->schedule.learning_rate;
    if (s->local_own) rate *= avi_own_steps_rate(st->step / s->epoch_steps);
    return s->local_rate == height ? rate : height > 0 ? rate / height * s->local_rate : 0;
}

/* Local rows of this step. Their gradient is that of -ELBO of the row itself: 1 / B would only make every row's step
 * depend on the batch. */
static void update_rows(const avi_session *s, avi_state *st, const avi_row_ranges *job, avi_optim_update u)
{
    u.count = (st->step / s->epoch_steps + 1) * s->local_steps; /* visits of a row: one an epoch */
    u.learning_rate = local_rate(s, st, u.learning_rate);
    for (int i = 0; i < job->count; i++) update_range(s, st, &u, job->first[i], job->rows[i]);
}

/* Whether the gradient of own rows has a value that is not finite. */
static bool is_bad(const avi_session *s, const avi_state *st, int64_t position, int64_t rows)
{
    const int64_t width = s->infer->outputs, at = (position - s->train->first + 1) * width;
    return avi_vector_nonfinite(s->precision, avi_vector_at(s->precision, st->table_grad, at), rows * width, NULL) > 0;
}

/* Factors and slots of the job's rows to st->kept, or back. */
static void keep_rows(const avi_session *s, avi_state *st, const avi_row_ranges *job, bool back)
{
    const avi_precision p = s->precision;
    const int64_t width = s->infer->outputs;
    int64_t at = 0;
    for (int k = -1; k < s->optim.ops->slots; k++)
        for (int i = 0; i < job->count; i++) {
            const int64_t n = job->rows[i] * width, row = (job->first[i] - s->train->first + 1) * width;
            void *rows = avi_vector_at(p, k < 0 ? st->table : st->table_slot[k], row),
                 *kept = avi_vector_at(p, st->kept, at);
            memcpy(back ? rows : kept, back ? kept : rows, (size_t)n * avi_real_size(p));
            at += n;
        }
}

/* The steps of a visit before its last one (optim.local_steps): of the rows' own factors alone, with draws of their
 * own, and without a reduction, so that the global parameters then follow factors that suit them. A tile whose gradient
 * is not finite stays where it is. */
static void first_local_steps(const avi_session *s, avi_state *st, const avi_row_ranges *job, double rate)
{
    avi_optim_update u = {.learning_rate = local_rate(s, st, rate), .scale = 1};
    if (s->local_steps == 1) return;
    keep_rows(s, st, job, false);
    avi_estimator_local_begin(s->train_elbo, st->params, st->step);
    for (int k = 1; k < s->local_steps; k++) {
        avi_estimator_local_gradient(s->train_elbo, st->params, st->table, st->table_grad, st->step, k, job);
        u.count = st->step / s->epoch_steps * s->local_steps + k;
        for (int i = 0; i < job->count; i++)
            if (!is_bad(s, st, job->first[i], job->rows[i])) update_range(s, st, &u, job->first[i], job->rows[i]);
    }
}

/* optim.local_rows = all: every row has the gradient of -(ELBO's estimate from this batch): of E * likelihood of the
 * batch's rows - KL of all rows, with E steps an epoch. The batch's rows come with -likelihood + KL: times E, and that
 * much of their KL taken off again. */
static avi_status spread_gradient(const avi_session *s, avi_state *st, const avi_row_ranges *job)
{
    const double weight = (double)s->epoch_steps, kl = avi_objective_kl_weight(s->objective, st->step);
    const int64_t width = s->infer->outputs;
    int64_t first = s->train->first, rows = s->train->count;
    const avi_row_ranges all = {.count = rows > 0, .first = &first, .rows = &rows};
    for (int i = 0; i < job->count; i++) {
        void *gradient = avi_vector_at(s->precision, st->table_grad, (job->first[i] - first + 1) * width);
        avi_vector_scaled(s->precision, gradient, job->rows[i] * width, weight, gradient);
    }
    AVI_TRY(avi_estimator_add_kl(s->train_elbo, st->table, st->table_grad, job, -weight * kl));
    return avi_estimator_add_kl(s->train_elbo, st->table, st->table_grad, &all, kl);
}

/* All of the parameters, or this rank's part of those that all ranks have in common. */
static void update_global(const avi_session *s, avi_state *st, const avi_optim_update *u)
{
    const avi_precision p = s->precision;
    int64_t first[AVI_PARTS], end[AVI_PARTS];
    const int parts = avi_estimator_parts(s->train_elbo, first, end);
    for (int i = 0; i < parts; i++) {
        if (first[i] < s->fixed) first[i] = s->fixed;
        if (first[i] >= end[i]) continue;
        void *slot[AVI_OPTIM_SLOTS] = {0};
        for (int k = 0; k < s->optim.ops->slots; k++) slot[k] = avi_vector_at(p, st->slot[k], first[i]);
        s->optim.ops->update[p](&s->optim, u, end[i] - first[i], avi_vector_at(p, st->params, first[i]),
                                avi_vector_at(p, st->gradient, first[i]), slot);
    }
}

static double clip_scale(const avi_session *s, const avi_step_result *r)
{
    const double clip = avi_config_get_real(s->config, "optim", "clip_norm");
    return clip > 0 && r->grad_norm > clip ? clip / r->grad_norm : 1;
}

static void update(const avi_session *s, avi_state *st, const avi_row_ranges *job, const avi_step_result *r)
{
    avi_optim_update u = {.learning_rate = r->learning_rate, .scale = clip_scale(s, r), .count = st->step + 1};
    update_global(s, st, &u);
    if (!st->table) return;
    if (s->local_all) {
        u.learning_rate = local_rate(s, st, u.learning_rate);
        update_range(s, st, &u, s->train->first, s->train->count);
    } else
        update_rows(s, st, job, u);
}

avi_status avi_step(const avi_session *s, avi_state *st, avi_row_ranges *job, avi_step_result *r)
{
    if (!s->optim.ops->update[s->precision]) return avi_lbfgs_step(s, st, job, r);
    AVI_TRY(avi_row_ranges_step(s, st->step, job));
    if (s->local_all) memset(st->table_grad, 0, (size_t)avi_state_table_values(s) * avi_real_size(s->precision));
    r->learning_rate = st->rate_factor * avi_schedule_at(&s->schedule, st->step);
    if (st->table) first_local_steps(s, st, job, r->learning_rate);
    avi_bad bad;
    AVI_TRY(avi_estimator_step(s->train_elbo, st->params, st->table, st->table_grad, st->step, job, r->sums,
                               st->gradient, r->measure ? r->own : NULL, &bad));
    if (r->sums[AVI_SUM_BAD] > 0)
        AVI_TRY(avi_agree(s->comm, avi_data_status(s->train))); /* a streamed row that could not be had? */
    r->bad_position = bad.position;
    r->bad_value = bad.value;
    r->finite = !(r->sums[AVI_SUM_BAD] > 0) && bad.value < 0;
    if (!r->finite && st->kept) keep_rows(s, st, job, true); /* a step that is skipped changes nothing */
    const double from = avi_seconds();
    r->grad_norm = r->finite && (r->measure || avi_config_get_real(s->config, "optim", "clip_norm") > 0)
                       ? gradient_norm(s, st, r)
                       : NAN;
    r->kl_global = r->measure ? avi_estimator_step_kl_global(s->train_elbo, st->params) : NAN;
    if (r->finite && s->local_all) AVI_TRY(avi_agree(s->comm, spread_gradient(s, st, job)));
    if (r->measure && st->shared)
        avi_shared_barrier(st->shared); /* the KL was that of the parameters before they move */
    if (r->finite) update(s, st, job, r);
    if (r->finite && st->shared) avi_shared_barrier(st->shared);
    avi_estimator_phases(s->train_elbo)[AVI_PHASE_OPTIMIZER] += avi_seconds() - from;
    st->step++;
    return AVI_OK;
}

avi_status avi_step_describe_bad(const avi_session *s, const avi_state *st, const avi_step_result *r, char *text,
                                 size_t size)
{
    int64_t first[2] = {r->bad_position >= 0 ? s->partition.rows - r->bad_position : 0, 0};
    AVI_TRY(avi_comm_max_int64(s->comm, first, 1));
    int n = snprintf(text, size, "step %" PRId64 ": ", st->step);
    if (first[0] > 0) {
        const int64_t position = s->partition.rows - first[0];
        n += snprintf(text + n, size - (size_t)n,
                      "the ELBO of row %" PRId64 " (rank %d) is not finite, %.0f values in all",
                      avi_partition_original(&s->partition, position), avi_partition_owner(&s->partition, position),
                      r->sums[AVI_SUM_BAD]);
    } else if (r->bad_value >= 0) {
        const int64_t phi = avi_parameter_layout_phi(&s->problem, &s->layout);
        const avi_block *b =
            r->bad_value >= phi
                ? avi_params_block_at(&s->infer->phi, r->bad_value - phi)
                : avi_params_block_at(&s->model->theta, r->bad_value % (s->layout.theta > 0 ? s->layout.theta : 1));
        n +=
            snprintf(text + n, size - (size_t)n, "the gradient of parameter block %s is not finite", b ? b->name : "?");
    } else {
        n += snprintf(text + n, size - (size_t)n, "%s",
                      s->infer->ops->local
                          ? "the ELBO or the gradient of a local factor is not finite, or beyond 1e12 nats"
                          : "the ELBO or its gradient is beyond what can be summed (1e12 nats)");
    }
    snprintf(text + n, size - (size_t)n, "; learning rate %g", r->learning_rate);
    return AVI_OK;
}
