#include "rows/row_use.h"
#include "rows/theta_draw.h"
#include "gap/psis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_PASSES = 16 /* independent sets of draws, whose spread is the error of a coupled row's ELBO */ };
#define LOG_2PI 1.83787706640934548356

static bool is_coupled(const avi_session *s) { return s->model->ops->coupling != AVI_INDEPENDENT; }

avi_status avi_row_use_check(const avi_session *s, bool scores)
{
    const char *name = s->model->ops->name;
    if (is_coupled(s) && s->infer->ops->local)
        return avi_config_fail(s->config, "model", "name",
                               "%s couples its rows, so that new rows have no factors of their own; use a fit with an "
                               "amortized inference.function",
                               name);
    if (s->model->ops->coupling == AVI_DENSE && scores)
        return avi_config_fail(s->config, "model", "name",
                               "%s couples every row with all others, so that a row has no ELBO of its own; use "
                               "run.task = encode, or run.task = exact on the series",
                               name);
    return AVI_OK;
}

/* ---- create ---- */

static avi_support support_of(const void *model, int64_t column)
{
    const avi_model *m = model;
    return m->ops->support ? m->ops->support(m, column) : AVI_SUPPORT_REAL;
}

/* The whole of q(theta) under points in place of draws, where evaluations have such. */
static void make_exact_problem(avi_row_use *u)
{
    const avi_session *s = u->s;
    const avi_quadrature *rule = s->evaluation.rule;
    const bool moments = rule && avi_quadrature_is_of_model(s->model, avi_theta_form_of(&s->problem));
    avi_problem *p = &u->exact_problem;
    *p = s->problem;
    p->gradient = AVI_GRADIENT_PATHWISE;
    p->kl_sampled = p->notebook = p->shared = false;
    p->moments_rule = moments ? rule : NULL;
    p->rule = moments ? NULL : rule;
    p->draws = moments ? 1 : rule ? rule->count : 1;
    p->block_rows = p->draws > 1 ? 32768 / p->draws + 1 : 512;
}

/* Draws of z in a pass over the rows: all of them, but one where theta is drawn anew for each. */
static int pass_draws(const avi_row_use *u)
{
    if (u->drawn) return 1;
    if (!is_coupled(u->s)) return u->settings.draws;
    return u->settings.draws > CHAIN_PASSES ? u->settings.draws / CHAIN_PASSES : 1;
}

static int pass_count(const avi_row_use *u)
{
    const int passes = (u->settings.draws + pass_draws(u) - 1) / pass_draws(u);
    return passes > 1 || !is_coupled(u->s) ? passes : 2;
}

static avi_status allocate(avi_row_use *u)
{
    const avi_session *s = u->s;
    const size_t real = avi_real_size(s->precision), rows = (size_t)u->block.most, width = (size_t)s->infer->outputs,
                 table = (rows + 2) * width, tiles = rows / (size_t)u->block.tile + 1;
    u->st.params = calloc((size_t)s->layout.size + 16, real);
    u->nu = malloc(rows * width * sizeof(double));
    u->weight = malloc(rows * (size_t)u->settings.draws * sizeof(double));
    u->sum = malloc(3 * rows * sizeof(double));
    u->refined = calloc(rows, sizeof *u->refined);
    u->run_first = malloc(2 * tiles * sizeof(int64_t));
    if (u->local) {
        u->table = calloc(table, real);
        u->grad = calloc(table, real);
    }
    if (!u->st.params || !u->nu || !u->weight || !u->sum || !u->refined || !u->run_first ||
        (u->local && (!u->table || !u->grad)))
        return avi_fail_memory(rows * (width + (size_t)u->settings.draws) * sizeof(double), "a block of rows");
    u->square = u->sum + rows;
    u->part = u->square + rows;
    u->run_rows = u->run_first + tiles;
    return AVI_OK;
}

static avi_status make_estimators(avi_row_use *u)
{
    const avi_session *s = u->s;
    avi_fixed_theta *f = &u->fixed;
    AVI_TRY(avi_moments_take(s, &u->st, &u->moments));
    AVI_TRY(avi_fixed_theta_create(s, &u->st, u->settings.draws, f));
    if (s->problem.global_gaussian) {
        const size_t bytes = ((size_t)s->layout.theta + (size_t)s->infer->phi.size + 16) * avi_real_size(s->precision);
        u->drawn = malloc(bytes);
        if (!u->drawn) return avi_fail_memory(bytes, "a draw of the global parameters");
        memcpy(u->drawn, u->local ? f->params_own : f->params_function, bytes);
    }
    avi_problem *weigh = u->local ? &f->weigh_own : &f->weigh_function;
    weigh->draws = pass_draws(u);
    weigh->block_rows = 32768 / weigh->draws + 1;
    if (weigh->block_rows > 512) weigh->block_rows = 512;
    make_exact_problem(u);
    const avi_data *d = &u->block.data;
    AVI_TRY(avi_estimator_create(weigh, s->comm, d, &u->weigh));
    if (u->local) return avi_estimator_create(&f->refine, s->comm, d, &u->refine);
    return AVI_OK;
}

/* The estimator of factors, and of exact ELBOs where there are points for them. */
static avi_status make_exact(avi_row_use *u)
{
    const bool exact = u->s->evaluation.rule && !is_coupled(u->s);
    AVI_TRY(avi_estimator_create(&u->exact_problem, u->s->comm, &u->block.data, &u->factors));
    if (exact) u->exact = u->factors;
    return AVI_OK;
}

avi_status avi_row_use_create(avi_session *s, const avi_fitted *fit, const avi_row_settings *settings, int64_t tile,
                              int64_t most, avi_row_use *u)
{
    const avi_domain *d = &s->problem.domain;
    const int64_t reach = d->before > d->after ? d->before : d->after;
    *u = (avi_row_use){.s = s, .settings = *settings, .local = s->infer->ops->local};
    AVI_TRY(avi_row_block_create(s->train_source, s->comm, s->train, s->model->ops->lookahead,
                                 (int)reach + (s->model->ops->coupling == AVI_CHAIN), tile, most, support_of, s->model,
                                 &u->block));
    AVI_TRY(avi_agree(s->comm, allocate(u)));
    AVI_TRY(avi_fitted_params(fit, s, u->st.params));
    avi_status status = make_estimators(u);
    if (status == AVI_OK) status = make_exact(u);
    return avi_agree(s->comm, status);
}

void avi_row_use_free(avi_row_use *u)
{
    avi_estimator_destroy(&u->factors);
    avi_estimator_destroy(&u->weigh);
    avi_estimator_destroy(&u->refine);
    avi_fixed_theta_free(&u->fixed);
    avi_moments_free(&u->moments);
    avi_row_block_free(&u->block);
    free(u->st.params);
    free(u->drawn);
    free(u->table);
    free(u->grad);
    free(u->nu);
    free(u->weight);
    free(u->sum);
    free(u->refined);
    free(u->run_first);
    *u = (avi_row_use){0};
}

/* ---- a block and its factors ---- */

/* Own rows, a tile at a time: bits then do not depend on how the rows are shared out. */
static avi_row_ranges own_tiles(const avi_row_use *u)
{
    const avi_data *d = &u->block.data;
    avi_row_ranges job = {.first = u->run_first, .rows = u->run_rows};
    for (int64_t done = 0; done < d->count; done += u->block.tile, job.count++) {
        job.first[job.count] = d->first + done;
        job.rows[job.count] = d->count - done < u->block.tile ? d->count - done : u->block.tile;
    }
    return job;
}

static void *table_row(const avi_row_use *u, void *table, int64_t row)
{
    return avi_vector_at(u->s->precision, table, (row + 1) * u->s->infer->outputs);
}

/* Where the refinement begins: as a fit's factors do. */
static void start_factors(avi_row_use *u)
{
    const avi_infer *f = u->s->infer;
    const avi_data *d = &u->block.data;
    memset(u->nu, 0, (size_t)(d->count * f->outputs) * sizeof *u->nu);
    for (int64_t r = 0; f->ops->start && r < d->count; r++)
        f->ops->start(f, u->s->seed, d->first + r, u->nu + r * f->outputs);
    if (d->count) avi_vector_from_double(u->s->precision, u->nu, d->count * f->outputs, table_row(u, u->table, 0));
}

static avi_status refine_factors(avi_row_use *u)
{
    const avi_data *d = &u->block.data;
    const int64_t width = u->s->infer->outputs,
                  piece = u->s->problem.reproducible ? u->block.tile : u->fixed.refine.block_rows;
    start_factors(u);
    for (int64_t done = 0; done < d->count; done += piece) {
        const int64_t n = d->count - done < piece ? d->count - done : piece;
        AVI_TRY(avi_estimator_refine(u->refine, u->fixed.params_own, u->table, u->grad, d->first + done, n,
                                     u->settings.passes, u->settings.tolerance, u->refined + done));
    }
    if (d->count) avi_vector_to_double(u->s->precision, table_row(u, u->table, 0), d->count * width, u->nu);
    return AVI_OK;
}

avi_status avi_row_use_read(avi_row_use *u, int64_t first, int64_t count)
{
    AVI_TRY(avi_row_block_read(&u->block, first, count));
    const avi_data *d = &u->block.data;
    if (u->local) return avi_agree(u->s->comm, refine_factors(u));
    return avi_agree(u->s->comm, avi_estimator_factors(u->factors, u->st.params, NULL, d->first, d->count, u->nu));
}

void avi_row_use_codes(const avi_row_use *u, const avi_row_codes *out)
{
    const avi_family *f = u->s->family;
    const int64_t rows = u->block.data.count, l = f->latent;
    avi_moments_rows(&u->moments, rows, u->nu, out->mean, out->log_sd);
    for (int64_t r = 0; r < rows; r++) {
        if (out->covariance && f->ops->covariance)
            f->ops->covariance(f, u->nu + r * f->width, out->covariance + r * l * l);
        if (out->converged) out->converged[r] = u->refined[r].converged;
    }
}

/* ---- scores ---- */

/* Collective. theta of pass t: its mean, or a draw from q(theta). The same on all ranks. */
static avi_status theta_of_pass(const avi_row_use *u, int t, const void **theta)
{
    *theta = u->drawn ? u->drawn : u->local ? u->fixed.params_own : u->fixed.params_function;
    return u->drawn ? avi_agree(u->s->comm, avi_theta_draw(u->s, u->st.params, t, u->drawn)) : AVI_OK;
}

/* KL(q(z) || N(0, I)) of row r from the moments and the entropy of q. */
static double closed_kl(const avi_row_use *u, int64_t r, double *mean, double *log_sd)
{
    const avi_family *f = u->s->family;
    const double *nu = u->nu + r * f->width;
    double sum = 0.5 * (double)f->latent * LOG_2PI - f->ops->entropy_of(f, nu);
    avi_moments_rows(&u->moments, 1, nu, mean, log_sd);
    for (int64_t i = 0; i < f->latent; i++) sum += 0.5 * (mean[i] * mean[i] + exp(2 * log_sd[i]));
    return sum;
}

static bool kl_is_closed(const avi_session *s)
{
    return !is_coupled(s) && !s->model->ops->log_prior && s->family->ops->entropy_of;
}

/* Passes over the rows with draws of z: sums over the passes of each row's ELBO, its square and its log likelihood, and
 * the weights of independent rows. */
static avi_status draw_passes(avi_row_use *u, const avi_row_ranges *job, const avi_row_scores *out)
{
    const int64_t rows = u->block.data.count, k = u->settings.draws, s = pass_draws(u);
    const int passes = pass_count(u);
    const bool coupled = is_coupled(u->s);
    double sums[AVI_SUMS];
    for (int64_t r = 0; r < rows; r++) u->sum[r] = u->square[r] = out->log_likelihood[r] = 0;
    for (int t = 0; t < passes; t++) {
        const void *theta;
        AVI_TRY(theta_of_pass(u, t, &theta));
        double *log_weight = coupled ? NULL : passes == 1 ? u->weight : u->part;
        const avi_row_values values = {.log_weight = log_weight,
                                       .elbo = coupled ? u->part : NULL,
                                       .loglik = out->elbo_error,
                                       .set = (uint64_t)t + 1};
        AVI_TRY(avi_estimator_evaluate(u->weigh, theta, u->table, job, false, sums, &values));
        for (int64_t r = 0; r < rows; r++) {
            out->log_likelihood[r] += out->elbo_error[r] / passes;
            for (int64_t i = 0; !coupled && i < s && t * s + i < k; i++) {
                const double w = log_weight[r * s + i];
                u->weight[r * k + t * s + i] = w;
                u->sum[r] += w;
            }
            if (!coupled) continue;
            u->sum[r] += u->part[r];
            u->square[r] += u->part[r] * u->part[r];
        }
    }
    return AVI_OK;
}

/* Mean of the ELBO over draws, or over passes, and the standard error of that mean. */
static void mean_and_error(const avi_row_use *u, int64_t r, double *mean, double *error)
{
    const bool coupled = is_coupled(u->s);
    const int64_t n = coupled ? pass_count(u) : u->settings.draws;
    const double *w = u->weight + r * u->settings.draws;
    double squares = 0;
    *mean = u->sum[r] / (double)n;
    if (coupled) squares = fmax(0, u->square[r] - (double)n * *mean * *mean);
    for (int64_t i = 0; !coupled && i < n; i++) squares += (w[i] - *mean) * (w[i] - *mean);
    *error = n > 1 ? sqrt(squares / ((double)n * (double)(n - 1))) : NAN;
}

static void score_row(avi_row_use *u, int64_t r, const avi_row_scores *out, double *room)
{
    const int64_t l = u->s->model->latent;
    double elbo, error;
    mean_and_error(u, r, &elbo, &error);
    if (!u->scores_exact) {
        out->elbo[r] = elbo;
        out->elbo_error[r] = error;
        /* With the KL in closed form the ELBO by the weights tells the likelihood better than its own draws do. */
        if (kl_is_closed(u->s)) out->log_likelihood[r] = elbo + closed_kl(u, r, room, room + l);
        out->kl[r] = out->log_likelihood[r] - elbo;
    }
    if (is_coupled(u->s)) return;
    avi_weights w;
    avi_weights_summarise(u->settings.draws, u->weight + r * u->settings.draws, &w);
    out->log_p[r] = w.log_p;
    out->log_p_error[r] = w.log_p_error;
    out->khat[r] = w.khat;
    out->ess[r] = w.ess;
}

avi_status avi_row_use_scores(avi_row_use *u, const avi_row_scores *out)
{
    const int64_t rows = u->block.data.count;
    const avi_row_ranges job = own_tiles(u);
    double sums[AVI_SUMS], *room = malloc((size_t)(2 * u->s->model->latent + 1) * sizeof *room);
    AVI_TRY(avi_agree_memory(u->s->comm, room, sizeof *room, "scores"));
    avi_status status = draw_passes(u, &job, out);
    u->scores_exact = u->exact && avi_evaluation_has_rule(u->s);
    if (status == AVI_OK && u->scores_exact) {
        const avi_row_values values = {.elbo = out->elbo, .loglik = out->log_likelihood};
        status = avi_estimator_evaluate(u->exact, u->st.params, u->table, &job, false, sums, &values);
        for (int64_t r = 0; r < rows && status == AVI_OK; r++) {
            out->kl[r] = out->log_likelihood[r] - out->elbo[r];
            out->elbo_error[r] = 0;
        }
    }
    for (int64_t r = 0; r < rows && status == AVI_OK; r++) score_row(u, r, out, room);
    free(room);
    return status;
}

/* ---- reconstructions and draws ---- */

avi_status avi_row_use_reconstruct(avi_row_use *u, double *out)
{
    const int64_t values = u->block.data.count * u->s->shape.width;
    const avi_row_ranges job = own_tiles(u);
    const int passes = pass_count(u);
    double sums[AVI_SUMS], *one = passes > 1 ? malloc((size_t)(values + 1) * sizeof *one) : out;
    avi_status status =
        avi_agree(u->s->comm, one ? AVI_OK : avi_fail_memory((size_t)values * sizeof *one, "reconstructions"));
    for (int t = 0; t < passes && status == AVI_OK; t++) {
        const avi_row_values rows = {.reconstruction = one, .set = (uint64_t)t + 1};
        const void *theta;
        status = theta_of_pass(u, t, &theta);
        if (status == AVI_OK) status = avi_estimator_evaluate(u->weigh, theta, u->table, &job, false, sums, &rows);
        for (int64_t i = 0; passes > 1 && i < values; i++) out[i] = (t ? out[i] : 0) + one[i] / passes;
    }
    if (passes > 1) free(one);
    return status;
}

avi_status avi_row_use_draw(avi_row_use *u, double *z, double *x)
{
    const avi_session *s = u->s;
    const int64_t rows = u->block.data.count, l = s->model->latent, d = s->shape.width, k = u->settings.draws,
                  one = pass_draws(u);
    const avi_row_ranges job = own_tiles(u);
    const int passes = pass_count(u);
    const size_t values = (size_t)(rows * one) + 1;
    double sums[AVI_SUMS], *zs = malloc(values * (size_t)l * sizeof *zs), *xs = malloc(values * (size_t)d * sizeof *xs);
    int64_t *row = malloc((size_t)(rows + 1) * sizeof *row);
    const bool good = zs && xs && row;
    avi_theta_values theta = {0};
    avi_status status = good ? AVI_OK : avi_fail_memory(values * (size_t)(l + d) * sizeof *zs, "draws of rows");
    if (status == AVI_OK) status = avi_theta_values_create(s, &theta);
    status = avi_agree(s->comm, status);
    for (int64_t r = 0; r < rows && status == AVI_OK; r++) row[r] = u->block.data.first + r;
    for (int t = 0; t < passes && status == AVI_OK; t++) {
        const void *params;
        status = theta_of_pass(u, t, &params);
        const avi_row_values values_of = {.z = zs, .draw_x = xs, .set = (uint64_t)t + 1};
        avi_theta_values_take(s, params, &theta);
        if (status == AVI_OK)
            status = avi_estimator_evaluate(u->weigh, params, u->table, &job, false, sums, &values_of);
        for (int64_t i = 0; i < one && t * one + i < k && status == AVI_OK; i++) {
            const int64_t draw = t * one + i;
            const avi_data_draws to = {row, rows, zs + i * l, xs + i * d, one * l, one * d};
            avi_theta_draw_data(s, &theta, &to, draw);
            for (int64_t r = 0; r < rows; r++) {
                double *from = xs + (r * one + i) * d;
                avi_data_as_given(&u->block.data, 1, from);
                memcpy(z + (r * k + draw) * l, zs + (r * one + i) * l, (size_t)l * sizeof *z);
                memcpy(x + (r * k + draw) * d, from, (size_t)d * sizeof *x);
            }
        }
    }
    avi_theta_values_free(&theta);
    free(zs);
    free(xs);
    free(row);
    return status;
}
