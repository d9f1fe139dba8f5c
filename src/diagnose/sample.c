#include "diagnose/sample.h"
#include "base/signals.h"
#include "diagnose/group_features.h"
#include "session/values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_TILES = 16, SEEN_VALUES = 1 << 24 };

/* ---- which rows ---- */

/* Tiles of the sample and rows of each: spread over the data, or of a chain one stretch in the middle, since its
 * neighbours' factors belong together. A function of the data and the keys alone. */
typedef struct choice {
    int64_t tiles, rows, first, chosen;
} choice;

static choice choose(const avi_partition *p, int64_t most, bool chain)
{
    const int64_t whole = most / p->tile, least = chain ? 1 : LEAST_TILES;
    choice c = {.tiles = p->tiles, .chosen = whole > least ? whole : least};
    if (c.chosen > p->tiles) c.chosen = p->tiles;
    c.rows = p->tile * c.chosen <= most ? p->tile : most / c.chosen;
    if (c.rows < 1) c.rows = 1;
    c.first = (p->tiles - c.chosen) / 2;
    return c;
}

static int64_t chosen_tile(const choice *c, int64_t k, bool chain)
{
    return chain ? c->first + k : k * c->tiles / c->chosen;
}

static int64_t chosen_rows(const avi_partition *p, const choice *c, int64_t tile)
{
    const int64_t rows = avi_partition_tile_rows(p, tile);
    return rows < c->rows ? rows : c->rows;
}

/* Fills given, job and index. */
static avi_status list_rows(avi_sample *s, const choice *c)
{
    const avi_partition *p = &s->data->partition;
    const int64_t first = s->data->first, end = first + s->data->count;
    s->job.first = malloc((size_t)c->chosen * sizeof *s->job.first);
    s->job.rows = malloc((size_t)c->chosen * sizeof *s->job.rows);
    s->index = malloc((size_t)c->chosen * sizeof *s->index);
    for (int64_t k = 0; k < c->chosen; k++) s->rows += chosen_rows(p, c, chosen_tile(c, k, s->chain));
    s->given = malloc((size_t)s->rows * sizeof *s->given);
    if (!s->job.first || !s->job.rows || !s->index || !s->given)
        return avi_fail_memory((size_t)s->rows * sizeof *s->given, "the sample of rows");
    for (int64_t k = 0, at = 0; k < c->chosen; k++) {
        const int64_t tile = chosen_tile(c, k, s->chain), position = avi_partition_tile_first(p, tile),
                      rows = chosen_rows(p, c, tile);
        for (int64_t r = 0; r < rows; r++) s->given[at + r] = avi_partition_original(p, position + r);
        if (position >= first && position < end) {
            s->job.first[s->job.count] = position;
            s->job.rows[s->job.count] = rows;
            s->index[s->job.count++] = at;
        }
        at += rows;
    }
    return AVI_OK;
}

/* Rows before and after a row that the domains of a diagnosis show. */
static int reach_of(const avi_session *s)
{
    const avi_domain *d = &s->problem.domain;
    const int64_t own = d->before > d->after ? d->before : d->after;
    const bool sequence = s->model->ops->coupling == AVI_CHAIN || s->model->ops->lookahead;
    return sequence && own < AVI_SAMPLE_REACH ? AVI_SAMPLE_REACH : (int)own;
}

static int64_t features_of(const avi_session *s)
{
    if (s->shape.ragged) return avi_group_features(s->shape.width);
    return s->shape.width * (avi_values_masked(s) ? 2 : 1);
}

/* Rows that a sample has at most: their domains within SEEN_VALUES. */
static int64_t most_rows(const avi_session *s, int64_t asked)
{
    const int64_t width = s->shape.ragged ? features_of(s) : s->shape.width, row = (2 * reach_of(s) + 1) * width,
                  rows = SEEN_VALUES / row;
    return asked < rows ? asked : rows > 1 ? rows : 1;
}

static avi_status allocate(avi_sample *s)
{
    const avi_session *run = s->f->s;
    const int64_t m = s->rows, w = s->width, seen = (2 * s->reach + 1) * s->features;
    const size_t table = (size_t)((s->data->count + 2) * w), square = (size_t)(m * w * w);
    s->table = calloc(table, avi_real_size(run->precision));
    s->grad = calloc(table, avi_real_size(run->precision));
    s->seen = calloc((size_t)(m * seen), sizeof *s->seen);
    s->nu = calloc((size_t)(m * w), sizeof *s->nu);
    s->function = calloc((size_t)(m * w), sizeof *s->function);
    s->metric = calloc((size_t)(m * w), sizeof *s->metric);
    if (s->groups) s->mark = calloc((size_t)m, sizeof *s->mark);
    if (s->chain) {
        s->own = calloc(square, sizeof *s->own);
        s->next = calloc(square, sizeof *s->next);
    }
    if (s->table && s->grad && s->seen && s->nu && s->function && s->metric && (!s->groups || s->mark) &&
        (!s->chain || (s->own && s->next)))
        return AVI_OK;
    return avi_fail_memory((size_t)(m * (seen + 3 * w)) * sizeof(double) + (s->chain ? 16 * square : 0),
                           "the sample of rows");
}

int64_t avi_sample_bytes(const avi_session *s, int64_t rows, int64_t *taken, int64_t *inputs)
{
    const bool chain = s->model->ops->coupling == AVI_CHAIN;
    const int64_t asked = most_rows(s, rows), w = s->family->width;
    *taken = asked < s->partition.rows ? asked : s->partition.rows;
    *inputs = (2 * reach_of(s) + 1) * features_of(s);
    return *taken * (*inputs + 3 * w + (chain ? 4 * w * w : 0)) * (int64_t)sizeof(double) +
           2 * (s->train->count + 2) * w * (int64_t)avi_real_size(s->precision);
}

/* ---- what ranks have, to all ---- */

static void take_table(const avi_sample *s, double *nu)
{
    for (int i = 0; i < s->job.count; i++)
        avi_vector_to_double(s->f->s->precision, avi_sample_row(s, s->table, s->job.first[i]),
                             s->job.rows[i] * s->width, nu + s->index[i] * s->width);
}

static void put_table(const avi_sample *s, const double *nu)
{
    for (int i = 0; i < s->job.count; i++)
        avi_vector_from_double(s->f->s->precision, nu + s->index[i] * s->width, s->job.rows[i] * s->width,
                               avi_sample_row(s, s->table, s->job.first[i]));
}

/* A row of the data, and which of its values are there. */
static void fetch_row(const avi_sample *s, int64_t position, double *out)
{
    const int64_t d = s->data->shape.width;
    avi_data_fetch_f64(s->data, position, 1, out);
    if (s->features > d) avi_data_fetch_mask_f64(s->data, position, 1, out + d);
}

/* Groups of the sample by what they can be compared by. */
static avi_status describe_groups(const avi_sample *s)
{
    int64_t most = 0;
    for (int i = 0; i < s->job.count; i++)
        for (int64_t r = 0; r < s->job.rows[i]; r++) {
            const int64_t entries = avi_data_entries(s->data, s->job.first[i] + r, 1);
            most = entries > most ? entries : most;
        }
    const size_t bytes = ((size_t)(most * s->data->shape.width) + 1) * sizeof(double);
    double *entry = malloc(bytes);
    avi_status status = entry ? AVI_OK : avi_fail_memory(bytes, "the entries of a group");
    for (int i = 0; i < s->job.count && status == AVI_OK; i++)
        for (int64_t r = 0; r < s->job.rows[i] && status == AVI_OK; r++) {
            const int64_t at = s->job.first[i] + r, m = s->index[i] + r;
            avi_data_fetch_f64(s->data, at, 1, entry);
            status = avi_group_describe(avi_data_entries(s->data, at, 1), s->data->shape.width, entry,
                                        s->seen + m * s->features, s->mark + m);
        }
    free(entry);
    return status;
}

/* Rows around the sample: each rank gives those that it owns, and the last one the row behind the last datapoint. A
 * chain or a model with lookahead is not shuffled, so that positions are given rows there. */
static avi_status gather_seen(avi_sample *s)
{
    const int64_t last = s->data->shape.rows - 1, own_first = s->data->first, own_end = own_first + s->data->count,
                  behind = own_end == s->all ? last + 1 : own_end, seen = 2 * s->reach + 1;
    if (s->groups) {
        AVI_TRY(avi_agree(s->f->s->comm, describe_groups(s)));
        AVI_TRY(avi_sample_share(s, s->mark, s->rows));
    } else if (s->reach == 0) {
        for (int i = 0; i < s->job.count; i++)
            for (int64_t r = 0; r < s->job.rows[i]; r++)
                fetch_row(s, s->job.first[i] + r, s->seen + (s->index[i] + r) * s->features);
    } else if (s->data->count) {
        for (int64_t m = 0; m < s->rows; m++)
            for (int64_t k = 0; k < seen; k++) {
                int64_t at = s->given[m] + k - s->reach;
                at = at < 0 ? 0 : at > last ? last : at;
                if (at >= own_first && at < behind) fetch_row(s, at, s->seen + (m * seen + k) * s->features);
            }
    }
    AVI_TRY(avi_agree(s->f->s->comm, avi_data_status(s->data)));
    return avi_sample_share(s, s->seen, s->rows * seen * s->features);
}

/* ---- optimal factors ---- */

/* Where the fit of the factors starts: the function's, or those of the factorized run; of a chain all rows. */
static avi_status start(avi_sample *s, avi_estimator *function, void *given)
{
    const avi_session *run = s->f->s;
    const int64_t first = s->data->first, rows = s->data->count;
    const avi_row_ranges everything = {.count = rows > 0, .first = (int64_t *)&first, .rows = (int64_t *)&rows},
                         *job = s->chain ? &everything : &s->job;
    if (run->infer->ops->local && given) {
        memcpy(s->table, given, (size_t)((rows + 2) * s->width) * avi_real_size(run->precision));
        return AVI_OK;
    }
    for (int i = 0; i < job->count; i++) {
        double *nu = malloc((size_t)(job->rows[i] * s->width) * sizeof *nu);
        if (!nu) return avi_fail_memory((size_t)(job->rows[i] * s->width) * sizeof *nu, "factors");
        const avi_status status =
            avi_estimator_factors(function, s->f->params_function, given, job->first[i], job->rows[i], nu);
        if (status == AVI_OK)
            avi_vector_from_double(run->precision, nu, job->rows[i] * s->width,
                                   avi_sample_row(s, s->table, job->first[i]));
        free(nu);
        AVI_TRY(status);
    }
    return AVI_OK;
}

/* What refinement told of own rows: nats left (infinite: not known) and rows that converged. */
static avi_status count_rows(avi_sample *s, double left, int64_t converged)
{
    double sum = left; /* a few decimals of it are used, for words */
    AVI_TRY(avi_comm_max_double(s->f->s->comm, &sum, 1));
    AVI_TRY(avi_comm_sum_int64(s->f->s->comm, &converged, 1));
    s->left = sum;
    s->converged = converged;
    return AVI_OK;
}

static avi_status refine_own(avi_sample *s, const avi_sample_settings *how, double *left, int64_t *converged)
{
    for (int i = 0; i < s->job.count; i++) {
        const int64_t rows = s->job.rows[i];
        avi_refined *out = malloc((size_t)rows * sizeof *out);
        if (!out) return avi_fail_memory((size_t)rows * sizeof *out, "the refinement of factors");
        const avi_status status = avi_estimator_refine(s->refine, s->f->params_own, s->table, s->grad, s->job.first[i],
                                                       rows, how->passes, how->tolerance, out);
        for (int64_t r = 0; r < rows && status == AVI_OK; r++) {
            if (isfinite(out[r].left)) *left = fmax(*left, out[r].left);
            *converged += out[r].converged;
        }
        free(out);
        AVI_TRY(status);
        AVI_TRY(avi_signals_status());
    }
    return AVI_OK;
}

/* By Price's theorem the curvature of a row's ELBO in a mean of a Gaussian with independent dimensions is 1 / sd^2 at
 * the optimum; in a log sd it is 2 where log p is quadratic. */
static void set_metric(avi_sample *s)
{
    const avi_family *family = s->f->family;
    for (int64_t m = 0; m < s->rows; m++) {
        double *out = s->metric + m * s->width;
        const double *nu = s->nu + m * s->width;
        for (int64_t i = 0; i < s->width; i++) out[i] = family->ops->independent ? 2 : 1;
        if (s->chain) {
            for (int64_t i = 0; i < s->width; i++) out[i] = fabs(s->own[(m * s->width + i) * s->width + i]);
        } else if (family->ops->independent) {
            for (int64_t i = 0; i < s->latent; i++) out[i] = exp(-2 * nu[s->latent + i]);
        }
    }
}

static avi_status fit(avi_sample *s, void *table, const avi_sample_settings *how)
{
    const avi_session *run = s->f->s;
    avi_estimator *function = NULL;
    avi_row_ranges tiles = {0};
    double left = 0;
    int64_t converged = 0;
    avi_status status = avi_estimator_create(&s->f->weigh_function, run->comm, s->data, &function);
    if (status == AVI_OK) status = start(s, function, table);
    if (status == AVI_OK) status = avi_row_ranges_rows(&s->data->partition, avi_comm_rank(run->comm), 0, &tiles);
    avi_estimator_destroy(&function);
    status = avi_agree(run->comm, status);
    if (status == AVI_OK && !run->infer->ops->local) take_table(s, s->function);
    if (status == AVI_OK && s->chain) status = avi_sample_solve_chain(s, &tiles);
    if (status == AVI_OK && !s->chain) status = avi_agree(run->comm, refine_own(s, how, &left, &converged));
    if (status == AVI_OK && !s->chain) status = count_rows(s, left, converged);
    if (status == AVI_OK) take_table(s, s->nu);
    if (status == AVI_OK && s->chain) status = avi_sample_curvature(s);
    avi_row_ranges_free(&tiles);
    return status;
}

avi_status avi_sample_make(const avi_fixed_theta *f, const avi_data *data, void *table,
                           const avi_sample_settings *settings, avi_sample *s)
{
    const avi_session *run = f->s;
    const bool chain = run->model->ops->coupling == AVI_CHAIN;
    *s = (avi_sample){.f = f,
                      .data = data,
                      .all = data->partition.rows,
                      .width = f->family->width,
                      .latent = run->model->latent,
                      .features = features_of(run),
                      .groups = data->shape.ragged,
                      .reach = reach_of(run),
                      .chain = chain};
    const choice c = choose(&data->partition, most_rows(run, settings->rows), chain);
    avi_status status = list_rows(s, &c);
    if (status == AVI_OK) status = allocate(s);
    if (status == AVI_OK) status = avi_estimator_create(&f->refine, run->comm, data, &s->refine);
    if (status == AVI_OK)
        status = avi_estimator_create(f->exact ? &f->refine : &f->weigh_own, run->comm, data, &s->weigh);
    AVI_TRY(avi_agree(run->comm, status));
    AVI_TRY(gather_seen(s));
    AVI_TRY(fit(s, table, settings));
    AVI_TRY(avi_sample_share(s, s->nu, s->rows * s->width));
    AVI_TRY(avi_sample_share(s, s->function, s->rows * s->width));
    set_metric(s);
    if (run->infer->ops->local) {
        free(s->function);
        s->function = NULL;
    }
    return AVI_OK;
}

/* Mean of the draws of a row to *elbo, half the difference of their even and odd halves `rows` places behind it. */
static void add_draws(int64_t draws, const double *value, double *elbo, int64_t rows)
{
    double mean[2] = {0, 0};
    const int64_t count[2] = {(draws + 1) / 2, draws / 2};
    for (int64_t k = 0; k < draws; k++) {
        mean[k % 2] += value[k] / (double)count[k % 2];
        *elbo += value[k] / (double)draws;
    }
    if (draws > 1) elbo[rows] = 0.5 * (mean[0] - mean[1]);
}

avi_status avi_sample_elbo(avi_sample *s, const double *nu, double *elbo)
{
    const avi_session *run = s->f->s;
    const int64_t draws = s->f->exact ? 1 : s->f->weigh_own.draws;
    int64_t rows = 0;
    double sums[AVI_SUMS];
    for (int i = 0; i < s->job.count; i++) rows += s->job.rows[i];
    double *value = malloc((size_t)(rows * draws + 1) * sizeof *value);
    AVI_TRY(avi_agree_memory(run->comm, value, (size_t)(rows * draws) * sizeof *value, "ELBOs of the sample"));
    const avi_row_values values = {.elbo = s->f->exact ? value : NULL, .log_weight = s->f->exact ? NULL : value};
    put_table(s, nu);
    avi_status status = avi_estimator_evaluate(s->weigh, s->f->params_own, s->table, &s->job, false, sums, &values);
    memset(elbo, 0, (size_t)(2 * s->rows) * sizeof *elbo);
    const double *at = value;
    for (int i = 0; i < s->job.count && status == AVI_OK; i++)
        for (int64_t r = 0; r < s->job.rows[i]; r++, at += draws) add_draws(draws, at, elbo + s->index[i] + r, s->rows);
    free(value);
    return status == AVI_OK ? avi_sample_share(s, elbo, 2 * s->rows) : status;
}

void avi_sample_free(avi_sample *s)
{
    avi_estimator_destroy(&s->refine);
    avi_estimator_destroy(&s->weigh);
    avi_row_ranges_free(&s->job);
    free(s->index);
    free(s->table);
    free(s->grad);
    free(s->given);
    free(s->seen);
    free(s->nu);
    free(s->function);
    free(s->metric);
    free(s->mark);
    free(s->own);
    free(s->next);
    *s = (avi_sample){0};
}
