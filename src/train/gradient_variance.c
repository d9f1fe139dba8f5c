/* The variance of a step's gradient: the trace of its covariance over minibatches and draws.
 *
 * Two gradients g, h at the same parameters, each of a step of the epoch chosen at random and of draws of its own, are
 * independent and alike, so |g - h|^2 / 2 is an unbiased estimate of the trace of the covariance, and g . h of the
 * squared norm of the mean gradient. `pairs` of them give both, with a standard error by the spread of the pairs. */
#include "train/gradient_variance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of the draws: beyond those of any step and of the steps of own factors (elbo/estimator.c). */
static const int64_t APART = (int64_t)1 << 50;

typedef struct measurement {
    const avi_session *s;
    avi_state *st;
    avi_row_ranges job;
    void *gradient[2]; /* (layout.size) */
    void *kept;        /* (layout.size): the gradient of the fit's own last step, whose digest is still to be taken */
    double *scales;    /* of reproducible sums, as they were */
    bool finite;
} measurement;

/* Sums over pairs of a part of the parameters. */
typedef struct spread {
    double sum, squares, product;
} spread;

avi_status avi_gradient_variance_check(const avi_session *s)
{
    const avi_config *c = s->config;
    const int64_t pairs = avi_config_get_int(c, "log", "gradient_variance");
    if (pairs == 0) return AVI_OK;
    if (pairs == 1) return avi_config_fail(c, "log", "gradient_variance", "one pair has no error; use 2 or more, or 0");
    if (!s->optim.ops->update[s->precision])
        return avi_config_fail(c, "log", "gradient_variance",
                               "%s takes all rows and the same draws at every step, so that its gradient does not "
                               "vary; use optim.method = adam, or 0",
                               s->optim.ops->name);
    if (s->fixed >= s->layout.size)
        return avi_config_fail(c, "log", "gradient_variance",
                               "rows share no parameters that are fitted here; use an inference function such as mlp, "
                               "or 0");
    return AVI_OK;
}

/* The gradient of a step of this epoch that is chosen at random, with draws `number` of their own. */
static avi_status take_gradient(measurement *m, int64_t number, void *out)
{
    const avi_session *s = m->s;
    avi_state *st = m->st;
    uint32_t words[4];
    double sums[AVI_SUMS] = {0};
    avi_bad bad;
    avi_words(avi_stream_make(s->seed, AVI_DRAW_TEST, (uint64_t)APART), (uint64_t)number, 0, words);
    const uint64_t random = (uint64_t)words[0] << 32 | words[1];
    const int64_t epoch = st->step / s->epoch_steps,
                  step = epoch * s->epoch_steps + (int64_t)(random % (uint64_t)s->epoch_steps);
    AVI_TRY(avi_row_ranges_step(s, step, &m->job));
    void *to = st->shared ? st->gradient : out; /* which is then the same memory on all ranks */
    AVI_TRY(
        avi_estimator_step(s->train_elbo, st->params, st->table, NULL, APART + number, &m->job, sums, to, NULL, &bad));
    if (sums[AVI_SUM_BAD] > 0) AVI_TRY(avi_agree(s->comm, avi_data_status(s->train)));
    m->finite = m->finite && !(sums[AVI_SUM_BAD] > 0) && bad.value < 0;
    if (st->shared) {
        memcpy(out, to, (size_t)s->layout.size * avi_real_size(s->precision));
        avi_shared_barrier(st->shared); /* nobody writes the next one before all have this one */
    }
    return AVI_OK;
}

/* |g - h|^2 / 2 and g . h over [first, end): in double and in order, the same on all ranks. */
static void add_pair(const measurement *m, int64_t first, int64_t end, spread *to)
{
    double distance = 0, product = 0;
    for (int64_t i = first; i < end; i++) {
        const double g = avi_vector_get(m->s->precision, m->gradient[0], i),
                     h = avi_vector_get(m->s->precision, m->gradient[1], i);
        distance += 0.5 * (g - h) * (g - h);
        product += g * h;
    }
    to->sum += distance;
    to->squares += distance * distance;
    to->product += product;
}

static void conclude(const spread *v, double pairs, double *mean, double *error)
{
    *mean = v->sum / pairs;
    *error = sqrt(fmax(0, (v->squares - v->sum * v->sum / pairs) / (pairs - 1) / pairs));
}

static avi_status measure(measurement *m, int64_t pairs, double row[AVI_VARIANCE_COLUMNS])
{
    const avi_session *s = m->s;
    const int64_t phi = avi_parameter_layout_phi(&s->problem, &s->layout), begin = s->fixed < phi ? s->fixed : phi;
    spread theta = {0}, function = {0}, all = {0};
    for (int64_t k = 0; k < pairs; k++) {
        for (int i = 0; i < 2; i++) AVI_TRY(take_gradient(m, 2 * (m->st->step * pairs + k) + i, m->gradient[i]));
        add_pair(m, begin, phi, &theta);
        add_pair(m, s->fixed > phi ? s->fixed : phi, s->layout.size, &function);
        add_pair(m, s->fixed, s->layout.size, &all);
    }
    row[AVI_VARIANCE_STEP] = (double)m->st->step;
    conclude(&all, (double)pairs, &row[AVI_VARIANCE_ALL], &row[AVI_VARIANCE_ALL_ERROR]);
    conclude(&theta, (double)pairs, &row[AVI_VARIANCE_THETA], &row[AVI_VARIANCE_THETA_ERROR]);
    conclude(&function, (double)pairs, &row[AVI_VARIANCE_PHI], &row[AVI_VARIANCE_PHI_ERROR]);
    row[AVI_VARIANCE_MEAN_SQUARE] = all.product / (double)pairs;
    for (int c = 1; c < AVI_VARIANCE_COLUMNS && !m->finite; c++) row[c] = NAN;
    return AVI_OK;
}

static avi_status allocate(measurement *m)
{
    const size_t bytes = ((size_t)m->s->layout.size + 16) * avi_real_size(m->s->precision);
    m->scales = calloc((size_t)avi_estimator_scales(m->s->train_elbo, NULL) + 1, sizeof *m->scales);
    for (int i = 0; i < 2; i++) m->gradient[i] = calloc(1, bytes);
    m->kept = malloc(bytes);
    return m->scales && m->gradient[0] && m->gradient[1] && m->kept ? AVI_OK
                                                                    : avi_fail_memory(3 * bytes, "three gradients");
}

static size_t gradient_bytes(const avi_session *s) { return (size_t)s->layout.size * avi_real_size(s->precision); }

/* Shared memory is one of all ranks: rank 0 writes, and nobody reads before or writes after. */
static void put_gradient_back(const measurement *m)
{
    if (!m->st->shared) return;
    avi_shared_barrier(m->st->shared);
    if (avi_comm_rank(m->s->comm) == 0) memcpy(m->st->gradient, m->kept, gradient_bytes(m->s));
    avi_shared_barrier(m->st->shared);
}

avi_status avi_gradient_variance_measure(const avi_session *s, avi_state *st)
{
    const int64_t pairs = avi_config_get_int(s->config, "log", "gradient_variance");
    if (pairs == 0 || st->best.taken) return AVI_OK; /* best parameters are those of an evaluation before */
    measurement m = {.s = s, .st = st, .finite = true};
    double row[AVI_VARIANCE_COLUMNS], phase[AVI_PHASES], *phases = avi_estimator_phases(s->train_elbo);
    memcpy(phase, phases, sizeof phase);
    avi_status status = avi_agree(s->comm, allocate(&m));
    if (status == AVI_OK) {
        avi_estimator_scales(s->train_elbo, m.scales);
        memcpy(m.kept, st->gradient, gradient_bytes(s));
        if (st->shared) avi_shared_barrier(st->shared);
        status = measure(&m, pairs, row);
        put_gradient_back(&m);
        avi_estimator_set_scales(s->train_elbo, m.scales); /* those of the fit's own last step */
    }
    memcpy(phases, phase, sizeof phase); /* log.profile is of steps */
    avi_trace *t = &st->gradient_variance;
    if (t->rows > 0 && t->value[(t->rows - 1) * t->columns + AVI_VARIANCE_STEP] == (double)st->step) t->rows--;
    if (status == AVI_OK) status = avi_agree(s->comm, avi_trace_add(t, row, 0, NULL));
    avi_row_ranges_free(&m.job);
    for (int i = 0; i < 2; i++) free(m.gradient[i]);
    free(m.kept);
    free(m.scales);
    return status;
}
