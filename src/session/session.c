#include "session/session.h"
#include "session/build.h"
#include "fitted/fitted.h"
#include "session/local_steps.h"
#include "fitted/theta_from.h"
#include "session/time_limit.h"
#include "session/values.h"
#include "source/holdout.h"
#include "avi/store.h"
#include "session/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Rows of double are held as single where nothing looks at them in double: closed forms do, and what standardises
 * them. */
static bool fetches_single(const avi_session *s)
{
    return s->precision == AVI_PRECISION_SINGLE && !s->train_source->standardise && !s->train_source->log1p &&
           strcmp(avi_config_get_string(s->config, "run", "task"), "exact") != 0 &&
           !strstr(avi_config_get_string(s->config, "run", "after"), "exact");
}

/* Whether rows have neighbours, or are to be left in their order: known before any are opened. */
static avi_status rows_in_order(const avi_session *s, bool *in_order)
{
    avi_domain domain;
    const avi_model_ops *model = avi_model_selected(s->config);
    AVI_TRY(avi_domain_read(s->config, &domain));
    *in_order = model->coupling == AVI_CHAIN || model->lookahead || avi_domain_rows(&domain) > 1 ||
                !strcmp(avi_config_get_string(s->config, "data", "shuffle"), "no");
    return AVI_OK;
}

static avi_status open_sources(avi_session *s)
{
    bool in_order = false;
    if (avi_config_get_real(s->config, "data", "holdout") > 0) {
        AVI_TRY(avi_agree(s->comm, rows_in_order(s, &in_order)));
        AVI_TRY(avi_holdout_open(s->config, s->comm, in_order, &s->train_source, &s->test_source));
    } else {
        AVI_TRY(avi_source_open(s->config, s->comm, AVI_TRAIN, &s->train_source));
        AVI_TRY(avi_source_open(s->config, s->comm, AVI_TEST, &s->test_source));
    }
    AVI_TRY(avi_theta_from_open(s));
    s->train_source->narrow = s->test_source->narrow = fetches_single(s);
    s->shape = s->train_source->shape;
    if (s->shape.rows < 1) return avi_fail(AVI_ERR_DATA, "%s: there are no rows", s->train_source->label);
    if (s->test_source && s->test_source->shape.rows > 0) return avi_source_match(s->train_source, s->test_source);
    avi_source_close(&s->test_source);
    return AVI_OK;
}

/* Rows of a tile when the user leaves it open: a function of model and batch, never of the number of ranks. Of a
 * minibatch, 64 lanes where it divides; of full batches, what keeps the draws of a tile in cache, but 64 tiles where
 * there are rows enough. */
static int64_t automatic_tile(int64_t rows, int64_t batch, int draws)
{
    const int64_t parts = 64;
    if (batch == 0) {
        int64_t tile = draws > 1 ? 8192 / draws : 256;
        if (tile > rows / parts) tile = rows / parts;
        return tile < 1 ? 1 : tile;
    }
    int64_t tile = batch / parts;
    while (tile > 1 && batch % tile) tile--;
    return tile < 1 ? 1 : tile;
}

/* A default batch shrinks to what the data and the method can have, and a default tile is not asked to divide what
 * nobody asked for; values that somebody wrote are refused instead. Before anybody reads optim.batch. */
static void bend_batch(const avi_session *s)
{
    const avi_config *c = s->config;
    const avi_optim_ops *method =
        avi_registry_find(avi_config_registry(c), AVI_KIND_OPTIM, avi_config_get_string(c, "optim", "method"));
    const int64_t rows = s->shape.rows - s->model->ops->lookahead, batch = avi_config_get_int(c, "optim", "batch"),
                  tile = avi_config_get_int(c, "optim", "tile");
    if (batch > rows || s->model->ops->coupling == AVI_DENSE || !method->update[s->precision])
        avi_config_bend_int(c, "optim", "batch", 0);
    else if (tile > 0 && tile <= batch)
        avi_config_bend_int(c, "optim", "batch", batch - batch % tile);
}

/* Dense coupling takes all rows at once, and factors that are a mean and an sd a dimension. */
static avi_status check_dense(const avi_session *s)
{
    const avi_config *c = s->config;
    if (s->model->ops->coupling != AVI_DENSE) return AVI_OK;
    if (avi_config_get_int(c, "optim", "batch") != 0 && !s->options->no_steps)
        return avi_config_fail(c, "optim", "batch",
                               "model %s couples every row with all others, so a step takes all rows; use 0",
                               s->model->ops->name);
    /* A mean and a log sd, whatever the family is called: one dimension has no covariance. */
    const avi_family *f = s->family;
    if (!f->ops->independent && !(f->latent == 1 && avi_family_is(f, "gaussian_full")))
        return avi_config_fail(c, "inference", "family",
                               "model %s takes its prior's expectation in closed form, which is there for independent "
                               "dimensions; use gaussian",
                               s->model->ops->name);
    return AVI_OK;
}

/* A task without steps does with any batch. One that does not suit the data or the ranks becomes all rows, in tiles
 * that give every rank some; one that does is kept, since reproducible sums are those of its tiles. */
static void suit_data(const avi_session *s, int64_t rows, int64_t *batch, int64_t *tile)
{
    const int64_t ranks = avi_comm_size(s->comm);
    int64_t t = *tile ? *tile : automatic_tile(rows, *batch, s->problem.draws);
    if (t > rows) t = rows;
    const int64_t lanes = *batch ? *batch / t : (rows + t - 1) / t;
    if (*batch <= rows && *batch % t == 0 && lanes >= ranks) return;
    *batch = 0;
    *tile = t <= rows / ranks ? t : rows / ranks;
}

static avi_status make_partition(avi_session *s)
{
    const avi_config *c = s->config;
    const int ranks = avi_comm_size(s->comm);
    const int64_t rows = s->shape.rows - s->model->ops->lookahead;
    const char *shuffle = avi_config_get_string(c, "data", "shuffle");
    const bool coupled = s->model->ops->coupling != AVI_INDEPENDENT || s->model->ops->lookahead ||
                         avi_domain_rows(&s->problem.domain) > 1;
    const bool shuffled =
        !strcmp(shuffle, "yes") || (!strcmp(shuffle, "auto") && !coupled && s->train_source->ops->exchangeable);
    if (rows < 1)
        return avi_fail(AVI_ERR_DATA, "%s: model %s needs at least 2 rows", s->train_source->label,
                        s->model->ops->name);
    if (shuffled && coupled)
        return avi_config_fail(c, "data", "shuffle",
                               "model %s with this inference.domain looks at neighbouring rows, which a shuffle would "
                               "separate; use auto or no",
                               s->model->ops->name);
    int64_t batch = avi_config_get_int(c, "optim", "batch"), tile = avi_config_get_int(c, "optim", "tile");
    if (s->options->no_steps) suit_data(s, rows, &batch, &tile);
    if (batch > rows)
        return avi_config_fail(c, "optim", "batch",
                               "more than the %lld rows of the data; use at most that, or 0 for all rows",
                               (long long)rows);
    if (tile == 0) tile = automatic_tile(rows, batch, s->problem.draws);
    if (tile > rows) tile = rows;
    if (batch % tile)
        return avi_config_fail(c, "optim", "tile",
                               "%lld does not divide optim.batch = %lld; use a divisor, or 0 to have one chosen",
                               (long long)tile, (long long)batch);
    const int64_t tiles = (rows + tile - 1) / tile, lanes = batch ? batch / tile : tiles;
    AVI_TRY(avi_partition_make(rows, tile, lanes, ranks, s->seed, shuffled, &s->partition));
    s->batch = batch ? batch : rows;
    if (ranks > s->partition.lanes)
        return avi_config_fail(
            c, "optim", batch ? "batch" : "tile",
            "%d ranks for %lld lanes (batch %lld / tile %lld); use at most %lld ranks, or optim.tile = "
            "%lld, or a larger optim.batch",
            ranks, (long long)s->partition.lanes, (long long)s->batch, (long long)tile, (long long)s->partition.lanes,
            (long long)(s->batch / ranks > 0 ? s->batch / ranks : 1));
    return AVI_OK;
}

/* Whether the inference function sees standardised values. Images and values from 0 to 1 are bounded already, and
 * constant pixels at their edges would be blown up by scaling. How a file stores its numbers does not matter. */
static bool standardises(const avi_session *s)
{
    const char *key = avi_config_get_string(s->config, "inference", "standardise");
    if (!s->infer->ops->features || !strcmp(key, "no")) return false;
    if (!strcmp(key, "yes")) return true;
    double smallest = 0, largest = 2;
    if (s->train->stats) avi_column_stats_range(s->train->stats, &smallest, &largest);
    const bool bounded = smallest >= 0 && largest <= 1 && !s->train->mean;
    return s->shape.height == 1 && !bounded;
}

/* Single precision has 24 bits. Of a column whose mean is 512 standard deviations from 0 fewer than 15 are left for
 * what tells rows apart. 400 rows then have an ELBO that is off by about 1e-3 nats, which the end of a fit and gaps
 * between fits show. */
static avi_status check_digits(const avi_session *s)
{
    const avi_column_moments *m = s->moments;
    if (s->precision == AVI_PRECISION_DOUBLE || !m) return AVI_OK;
    for (int64_t c = 0; c < m->width; c++)
        if (m->sd[c] > 0 && fabs(m->mean[c]) > 512 * m->sd[c])
            return avi_config_fail(
                s->config, "run", "precision",
                "column %lld (from 0) has mean %.6g and standard deviation %.3g: single precision "
                "keeps too few digits of what tells its rows apart; use run.precision = double, or data.standardise = "
                "yes",
                (long long)c, m->mean[c], m->sd[c]);
    return AVI_OK;
}

static avi_status load_data(avi_session *s)
{
    const avi_domain *d = &s->problem.domain;
    const int64_t reach = d->before > d->after ? d->before : d->after;
    const int chain = s->model->ops->coupling == AVI_CHAIN; /* the neighbours' factors need their domain too */
    const int halo = (int)(reach + chain), lookahead = s->model->ops->lookahead;
    AVI_TRY(avi_data_load(s->train_source, s->comm, &s->partition, lookahead, halo, &s->train));
    s->shape.scale = s->train->shape.scale;
    AVI_TRY(avi_values_check(s, s->train, s->train_source));
    if (standardises(s) || s->shape.type != AVI_U8)
        AVI_TRY(avi_agree(s->comm, avi_column_moments_create(s->train, &s->moments)));
    AVI_TRY(check_digits(s));
    if (standardises(s)) s->problem.features = s->moments;
    avi_problem training = s->problem;
    const char *reduction = avi_config_get_string(s->config, "run", "reduction");
    training.shared = strcmp(reduction, "messages") != 0;
    AVI_TRY(avi_estimator_create(&training, s->comm, s->train, &s->train_elbo));
    if (!strcmp(reduction, "shared") && avi_comm_size(s->comm) > 1 && !avi_estimator_is_shared(s->train_elbo))
        return avi_config_fail(
            s->config, "run", "reduction",
            "the ranks are on several nodes, or /dev/shm has no room for their gradients; use auto or "
            "messages");
    if (!s->test_source) return AVI_OK;
    const int64_t rows = s->test_source->shape.rows - lookahead,
                  tile = s->partition.tile < rows ? s->partition.tile : rows;
    avi_partition test;
    if (rows < 1) return AVI_OK;
    AVI_TRY(avi_partition_make(rows, tile, (rows + tile - 1) / tile, avi_comm_size(s->comm), s->seed, false, &test));
    s->test_source->like = s->train;
    AVI_TRY(avi_data_load(s->test_source, s->comm, &test, lookahead, halo, &s->test));
    AVI_TRY(avi_values_check(s, s->test, s->test_source));
    AVI_TRY(avi_values_check_overlap(s));
    return avi_estimator_create(&s->problem, s->comm, s->test, &s->test_elbo);
}

/* F-VI by minibatches that moves all rows at every step needs the KL of a row apart from its likelihood. A full batch
 * is all rows anyhow. */
static avi_status read_local_rows(avi_session *s)
{
    const bool all = !strcmp(avi_config_get_string(s->config, "optim", "local_rows"), "all");
    s->local_all = all && s->infer->ops->local && s->optim.ops->update[s->precision] && s->batch < s->partition.rows;
    if (!s->local_all || avi_estimator_kl_is_closed(&s->problem)) return AVI_OK;
    return avi_config_fail(
        s->config, "optim", "local_rows",
        "all rows move by the KL of q(z), which is in closed form where the prior of z is N(0, I), the "
        "family is gaussian, gaussian_full or gaussian_lowrank with inference.rank up to 2, objective.kl = analytic "
        "and "
        "objective.estimator = pathwise; use those, or batch");
}

static avi_status plan_steps(avi_session *s)
{
    const int64_t steps = avi_config_get_int(s->config, "optim", "steps"),
                  epochs = avi_config_get_int(s->config, "optim", "epochs");
    s->epoch_steps = avi_partition_epoch_steps(&s->partition);
    if (steps > AVI_STEP_MAX || (steps == 0 && epochs > AVI_STEP_MAX / s->epoch_steps))
        return avi_config_fail(s->config, "optim", steps > 0 ? "steps" : "epochs",
                               "more steps than a checkpoint can number; use at most %" PRId64 " steps in all",
                               AVI_STEP_MAX);
    s->total_steps = steps > 0 ? steps : epochs * s->epoch_steps;
    avi_schedule_read(s->config, s->total_steps, &s->schedule);
    AVI_TRY(avi_objective_plan(s->objective, s->config, s->total_steps));
    return AVI_OK;
}

/* ---- hosts ---- */

enum { HOST = 64 };

static void list_hosts(int ranks, const char (*name)[HOST], char *list)
{
    size_t used = 0;
    for (int r = 0; r < ranks; r++) {
        int before = 0;
        while (before < r && strcmp(name[before], name[r])) before++;
        if (before == r) used += (size_t)sprintf(list + used, "%s%s", used ? ", " : "", name[r]);
    }
}

avi_status avi_session_gather_hosts(avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    char own[HOST] = "", (*name)[HOST] = malloc((size_t)ranks * sizeof *name);
    snprintf(own, sizeof own, "%s", avi_comm_host());
    s->hosts = calloc((size_t)ranks, HOST + 2);
    avi_status status =
        avi_agree(s->comm, name && s->hosts ? AVI_OK : avi_fail_memory((size_t)ranks * HOST, "the names of the hosts"));
    if (status == AVI_OK) status = avi_comm_allgather(s->comm, own, sizeof own, name);
    if (status == AVI_OK) list_hosts(ranks, (const char(*)[HOST])name, s->hosts);
    free(name);
    return status;
}

static avi_status build(avi_session *s)
{
    AVI_TRY(open_sources(s)); /* collective: agrees inside */
    AVI_TRY(avi_agree(s->comm, avi_session_make_problem(s)));
    AVI_TRY(avi_agree(s->comm, avi_values_check_keys(s)));
    AVI_TRY(avi_agree(s->comm, avi_theta_from_check(s)));
    bend_batch(s);
    AVI_TRY(avi_agree(s->comm, check_dense(s)));
    AVI_TRY(avi_agree(s->comm, make_partition(s)));
    AVI_TRY(avi_agree(s->comm, avi_optim_create(s->config, &s->optim)));
    AVI_TRY(avi_agree(s->comm, read_local_rows(s)));
    AVI_TRY(avi_agree(s->comm, avi_local_steps_read(s)));
    AVI_TRY(avi_agree(s->comm, plan_steps(s)));
    AVI_TRY(avi_agree(s->comm, avi_time_limit_read(s)));
    AVI_TRY(avi_agree(s->comm, avi_evaluation_plan_make(s)));
    AVI_TRY(avi_session_gather_hosts(s));
    AVI_TRY(avi_memory_check(s));
    AVI_TRY(avi_agree(s->comm, avi_session_sample(s)));
    const clock_t from = clock();
    AVI_TRY(load_data(s));
    s->load_seconds = (double)(clock() - from) / CLOCKS_PER_SEC;
    return AVI_OK;
}

avi_status avi_session_begin(avi_comm *comm, const avi_config *config, const avi_options *options,
                             avi_session **session)
{
    avi_session *s = calloc(1, sizeof *s);
    *session = s;
    AVI_TRY(avi_agree(comm, s ? AVI_OK : avi_fail_memory(sizeof *s, "the session")));
    s->opened = avi_seconds();
    s->comm = comm;
    s->config = config;
    s->options = options;
    s->seed = (uint64_t)avi_config_get_int(config, "run", "seed");
    s->precision = !strcmp(avi_config_get_string(config, "run", "precision"), "double") ? AVI_PRECISION_DOUBLE
                                                                                        : AVI_PRECISION_SINGLE;
    return AVI_OK;
}

avi_status avi_session_open(avi_comm *comm, const avi_config *config, const avi_options *options, avi_session **session)
{
    avi_status status = avi_session_begin(comm, config, options, session);
    if (status == AVI_OK) status = avi_agree(comm, build(*session));
    if (status != AVI_OK) avi_session_close(session);
    return status;
}

void avi_session_close(avi_session **session)
{
    avi_session *s = *session;
    if (!s) return;
    avi_estimator_destroy(&s->test_elbo);
    avi_estimator_destroy(&s->train_elbo);
    avi_data_destroy(&s->test);
    avi_data_destroy(&s->train);
    avi_infer_destroy(&s->infer);
    avi_evaluation_plan_free(&s->evaluation);
    avi_objective_destroy(&s->objective);
    avi_family_destroy(&s->family);
    avi_family_destroy(&s->global_family);
    avi_column_moments_destroy(&s->moments);
    avi_quadrature_destroy(&s->rule);
    avi_model_destroy(&s->model);
    avi_source_close(&s->test_source);
    avi_source_close(&s->train_source);
    avi_theta_from_close(s);
    free(s->hosts);
    free(s);
    *session = NULL;
}
