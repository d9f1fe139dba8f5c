#include "diagnose/diagnose.h"
#include "diagnose/regress.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROWS = 24 };

typedef struct work {
    avi_sample sample;
    avi_diagnosis *d;
    double *best;              /* (2 M), as avi_sample_elbo has it: of the optimal factors */
    double *function;          /* (2 M): of the inference function's; NULL: there is none */
    double *fitted, *left_out; /* (M, width): predictions of a regression */
    double *value[2];          /* (2 M): of these */
    double *target;            /* (M, width): what is regressed */
    double *x;                 /* (M, inputs): on rank 0 */
} work;

/* ---- floors of independent rows ---- */

/* Predictions stay within what optimal factors are: a log sd that is extrapolated by a few costs thousands of nats. */
static void clamp(const avi_sample *s, double *nu)
{
    for (int64_t j = 0; j < s->width; j++) {
        double low = INFINITY, high = -INFINITY;
        for (int64_t m = 0; m < s->rows; m++) {
            low = fmin(low, s->nu[m * s->width + j]);
            high = fmax(high, s->nu[m * s->width + j]);
        }
        for (int64_t m = 0; m < s->rows; m++) nu[m * s->width + j] = fmin(fmax(nu[m * s->width + j], low), high);
    }
}

/* Collective. Regression of the optimal factors, or of what the function leaves of them, on rank 0 for all. */
static avi_status predict(work *w, int64_t inputs, const double *x, bool from_function)
{
    const avi_sample *s = &w->sample;
    avi_comm *comm = s->f->s->comm;
    const int64_t n = s->rows * s->width;
    avi_status status = AVI_OK;
    if (avi_comm_rank(comm) == 0) {
        for (int64_t i = 0; i < n; i++) w->target[i] = s->nu[i] - (from_function ? s->function[i] : 0);
        const avi_regression r = {s->rows, inputs, s->width, x, w->target, s->metric};
        status = avi_regress(&r, w->fitted, w->left_out);
        for (int64_t i = 0; i < n && from_function && status == AVI_OK; i++) {
            w->fitted[i] += s->function[i];
            w->left_out[i] += s->function[i];
        }
        if (status == AVI_OK) clamp(s, w->fitted);
        if (status == AVI_OK) clamp(s, w->left_out);
    }
    AVI_TRY(avi_agree(comm, status));
    AVI_TRY(avi_comm_bcast(comm, w->fitted, (size_t)n * sizeof *w->fitted, 0));
    return avi_comm_bcast(comm, w->left_out, (size_t)n * sizeof *w->left_out, 0);
}

typedef struct loss {
    double mean, error; /* nats per row; as a mean over all rows of the data */
} loss;

/* What factors lose against the optimal ones: the error is that of the sample and of the draws. */
static loss loss_of(const work *w, const double *elbo)
{
    const int64_t m = w->sample.rows;
    double mean = 0, variance = 0, noise = 0;
    for (int64_t i = 0; i < m; i++) mean += (w->best[i] - elbo[i]) / (double)m;
    for (int64_t i = 0; i < m; i++) {
        const double d = w->best[i] - elbo[i] - mean, half = w->best[m + i] - elbo[m + i];
        variance += d * d / (double)(m - 1);
        noise += half * half / (double)m;
    }
    const double sampled = 1 - (double)m / (double)w->sample.all;
    return (loss){mean, sqrt((variance * sampled + noise) / (double)m)};
}

/* Whether it is the least so far. */
static bool offer(avi_domain_floor *f, double floor, double error)
{
    if (f->known && floor >= f->floor) return false;
    f->known = true;
    f->nearest = false;
    f->floor = fmax(floor, 0);
    f->error = error;
    return true;
}

/* Collective. The floor by one regression; gain: what it takes off the loss of the function. */
static avi_status try_regression(work *w, avi_domain_floor *f, int64_t inputs, const double *x, bool from_function)
{
    const double n = (double)w->sample.all;
    AVI_TRY(predict(w, inputs, x, from_function));
    AVI_TRY(avi_sample_elbo(&w->sample, w->fitted, w->value[0]));
    AVI_TRY(avi_sample_elbo(&w->sample, w->left_out, w->value[1]));
    const loss with = loss_of(w, w->value[0]), without = loss_of(w, w->value[1]);
    const double half = 0.5 * (without.mean - with.mean);
    offer(f, n * 0.5 * (with.mean + without.mean), n * sqrt(half * half + without.error * without.error));
    /* Nothing that knows the inference function says what rows lose that it has not seen: it was fitted to all. */
    if (!from_function && (f->left_out <= 0 || n * without.mean < f->left_out))
        f->left_out = fmax(n * without.mean, DBL_MIN);
    if (w->function && f == &w->d->domain[w->d->own])
        w->d->gain = fmax(w->d->gain, n * (loss_of(w, w->function).mean - without.mean));
    return AVI_OK;
}

/* Collective. On rank 0 for all. */
static avi_status take_nearest(work *w, int64_t inputs)
{
    const avi_sample *s = &w->sample;
    avi_comm *comm = s->f->s->comm;
    const size_t bytes = (size_t)(s->rows * s->width) * sizeof *s->nu;
    avi_status status = AVI_OK;
    if (avi_comm_rank(comm) == 0) status = avi_diagnosis_nearest(s, inputs, w->x, w->fitted, w->left_out);
    AVI_TRY(avi_agree(comm, status));
    AVI_TRY(avi_comm_bcast(comm, w->fitted, bytes, 0));
    return avi_comm_bcast(comm, w->left_out, bytes, 0);
}

/* Collective. The factor of the nearest row in place of a regression, where it loses less of rows left out. */
static avi_status try_nearest(work *w, avi_domain_floor *f, int64_t inputs)
{
    const double n = (double)w->sample.all;
    AVI_TRY(take_nearest(w, inputs));
    AVI_TRY(avi_sample_elbo(&w->sample, w->fitted, w->value[0]));
    AVI_TRY(avi_sample_elbo(&w->sample, w->left_out, w->value[1]));
    const loss with = loss_of(w, w->value[0]), without = loss_of(w, w->value[1]);
    if (!(n * without.mean < f->left_out) || without.mean - with.mean < 0) return AVI_OK;
    const double half = 0.5 * (without.mean - with.mean), floor = n * 0.5 * (with.mean + without.mean);
    f->left_out = n * without.mean;
    if (offer(f, floor, n * sqrt(half * half + without.error * without.error))) f->nearest = true;
    return AVI_OK;
}

static avi_status floor_of_rows(work *w, avi_domain_floor *f)
{
    const avi_sample *s = &w->sample;
    const int64_t inputs = avi_diagnosis_inputs(s, f);
    const avi_domain_floor *own = &w->d->domain[w->d->own];
    avi_diagnosis_look(s, f, w->x);
    avi_standardise(s->rows, inputs, w->x);
    AVI_TRY(try_regression(w, f, inputs, w->x, false));
    AVI_TRY(try_nearest(w, f, inputs));
    if (!w->function || !avi_diagnosis_contains(f, own)) return AVI_OK;
    offer(f, w->d->gap, w->d->gap_error);
    AVI_TRY(try_regression(w, f, inputs, w->x, true));
    if (inputs <= s->width) return AVI_OK;
    /* A correction of what the function says by itself: few inputs, which the data have made much of already. */
    memcpy(w->x, s->function, (size_t)(s->rows * s->width) * sizeof *w->x);
    avi_standardise(s->rows, s->width, w->x);
    return try_regression(w, f, s->width, w->x, true);
}

/* ---- floors of a chain ---- */

static double chain_cost(const work *w, const double *nu)
{
    const avi_sample *s = &w->sample;
    for (int64_t i = 0; i < s->rows * s->width; i++) w->target[i] = nu[i] - s->nu[i];
    return avi_chain_cost(s->rows, s->width, s->own, s->next, w->target);
}

/* The quadratic form is the same arithmetic on all ranks: nothing to send. */
static avi_status floor_of_chain(work *w, avi_domain_floor *f)
{
    const avi_sample *s = &w->sample;
    const int64_t inputs = avi_diagnosis_inputs(s, f);
    const double all = (double)s->all, m = (double)s->rows;
    const avi_domain_floor *own = &w->d->domain[w->d->own];
    double cost;
    int64_t parameters;
    avi_diagnosis_look(s, f, w->x);
    avi_standardise(s->rows, inputs, w->x);
    const avi_regression r = {s->rows, inputs, s->width, w->x, s->nu, s->metric};
    if (4 * (1 + inputs) > s->rows) return AVI_OK; /* not known: too few rows */
    AVI_TRY(avi_regress_chain(&r, s->own, s->next, w->fitted, &cost, &parameters));
    const double p = (double)parameters;
    /* A chi-squared sum of about M terms, as far as the stretch is a sample, and what fitting takes away. */
    const double spread = cost * sqrt(2 / m * (1 - m / all)), fitting = cost * p / (m - p);
    offer(f, cost * all / m, sqrt(spread * spread + fitting * fitting) * all / m);
    if (w->d->has_function && avi_diagnosis_contains(f, own)) offer(f, w->d->gap, w->d->gap_error);
    return AVI_OK;
}

/* ---- the whole ---- */

/* Collective. What the inference function loses on the sample. */
static avi_status gap_of_function(work *w)
{
    avi_diagnosis *d = w->d;
    const avi_sample *s = &w->sample;
    const double n = (double)s->all, m = (double)s->rows;
    d->has_function = s->function != NULL;
    d->gap = d->gap_error = NAN;
    if (!s->function) return AVI_OK;
    if (s->chain) {
        d->gap = chain_cost(w, s->function) * n / m;
        d->gap_error = d->gap * sqrt(2 / m * (1 - m / n));
        return AVI_OK;
    }
    AVI_TRY(avi_sample_elbo(&w->sample, s->function, w->function));
    const loss l = loss_of(w, w->function);
    d->gap = n * l.mean;
    d->gap_error = n * l.error;
    return AVI_OK;
}

/* Collective. Rows that look alike to a function of the run's domain, and what equal ones lose. */
static avi_status compare_rows(work *w)
{
    avi_diagnosis *d = w->d;
    const avi_sample *s = &w->sample;
    avi_comm *comm = s->f->s->comm;
    const avi_domain_floor *own = &d->domain[d->own];
    avi_status status = AVI_OK;
    avi_diagnosis_look(s, own, w->x);
    if (avi_comm_rank(comm) == 0)
        status = avi_diagnosis_compare_rows(s, avi_diagnosis_inputs(s, own), w->x, own->means ? NULL : s->mark, d,
                                            w->fitted);
    AVI_TRY(avi_agree(comm, status));
    AVI_TRY(avi_comm_bcast(comm, d->witness, sizeof d->witness, 0));
    AVI_TRY(avi_comm_bcast(comm, &d->witnesses, sizeof d->witnesses, 0));
    AVI_TRY(avi_comm_bcast(comm, &d->tied_rows, sizeof d->tied_rows, 0));
    AVI_TRY(avi_comm_bcast(comm, w->fitted, (size_t)(s->rows * s->width) * sizeof *w->fitted, 0));
    if (!d->tied_rows) return AVI_OK;
    if (s->chain) {
        d->tied = chain_cost(w, w->fitted) * (double)s->all / (double)s->rows;
        return AVI_OK;
    }
    AVI_TRY(avi_sample_elbo(&w->sample, w->fitted, w->value[0]));
    d->tied = fmax(0, loss_of(w, w->value[0]).mean) * (double)s->all;
    return AVI_OK;
}

static avi_status allocate(work *w)
{
    const avi_sample *s = &w->sample;
    const int64_t seen = (2 * s->reach + 1) * s->features, inputs = seen > s->width ? seen : s->width;
    const size_t m = (size_t)s->rows, n = m * (size_t)s->width;
    w->best = malloc(2 * m * sizeof *w->best);
    w->value[0] = malloc(2 * m * sizeof *w->best);
    w->value[1] = malloc(2 * m * sizeof *w->best);
    w->fitted = malloc(n * sizeof *w->best);
    w->left_out = malloc(n * sizeof *w->best);
    w->target = malloc(n * sizeof *w->best);
    w->x = malloc(m * (size_t)inputs * sizeof *w->best);
    w->d->given = malloc(m * sizeof *w->d->given);
    if (s->function) w->function = malloc(2 * m * sizeof *w->best);
    if (w->best && w->value[0] && w->value[1] && w->fitted && w->left_out && w->target && w->x && w->d->given &&
        (w->function || !s->function))
        return AVI_OK;
    return avi_fail_memory(m * (size_t)inputs * sizeof *w->best, "the diagnosis");
}

static void release(work *w)
{
    avi_sample_free(&w->sample);
    free(w->best);
    free(w->function);
    free(w->fitted);
    free(w->left_out);
    free(w->value[0]);
    free(w->value[1]);
    free(w->target);
    free(w->x);
}

static avi_status check_sample(const work *w)
{
    const avi_sample *s = &w->sample;
    int64_t bad = 0;
    for (int64_t i = 0; i < s->rows; i++) bad += !s->chain && !isfinite(w->best[i]);
    for (int64_t i = 0; i < s->rows * s->width; i++)
        bad += !isfinite(s->nu[i]) || (s->function && !isfinite(s->function[i]));
    if (bad)
        return avi_fail(AVI_ERR_DATA,
                        "diagnose: rows of the sample have no finite factor or ELBO; see /gap of run.task "
                        "= gap for which");
    if (s->rows < LEAST_ROWS)
        return avi_fail(AVI_ERR_DATA, "diagnose: %lld rows are too few to compare; use at least %d", (long long)s->rows,
                        LEAST_ROWS);
    return AVI_OK;
}

static avi_status diagnose(work *w)
{
    avi_diagnosis *d = w->d;
    avi_sample *s = &w->sample;
    d->all = s->all;
    d->rows = s->rows;
    d->converged = s->converged;
    d->left = s->left;
    d->chain = s->chain;
    d->groups = s->groups;
    memcpy(d->given, s->given, (size_t)s->rows * sizeof *d->given);
    avi_diagnosis_list_domains(s, d);
    if (!s->chain) AVI_TRY(avi_sample_elbo(s, s->nu, w->best));
    AVI_TRY(check_sample(w));
    AVI_TRY(gap_of_function(w));
    for (int i = 0; i < d->domains; i++)
        AVI_TRY(s->chain ? floor_of_chain(w, &d->domain[i]) : floor_of_rows(w, &d->domain[i]));
    /* A function of a domain is one of every larger domain too. */
    for (int i = 0; i < d->domains; i++)
        for (int k = 0; k < d->domains; k++)
            if (d->domain[k].known && avi_diagnosis_contains(&d->domain[i], &d->domain[k]) &&
                offer(&d->domain[i], d->domain[k].floor, d->domain[k].error))
                d->domain[i].nearest = d->domain[k].nearest;
    AVI_TRY(compare_rows(w));
    avi_diagnosis_judge(d);
    return AVI_OK;
}

avi_status avi_diagnosis_make(const avi_fixed_theta *f, void *table, const avi_diagnose_settings *settings,
                              avi_diagnosis *d)
{
    work w = {.d = d};
    *d = (avi_diagnosis){.tolerance = settings->tolerance};
    avi_status status = avi_sample_make(f, f->s->train, table, &settings->sample, &w.sample);
    if (status == AVI_OK) status = avi_agree(f->s->comm, allocate(&w));
    if (status == AVI_OK) status = diagnose(&w);
    release(&w);
    return status;
}

int64_t avi_diagnosis_bytes(const avi_session *s, int64_t rows)
{
    int64_t m, inputs;
    const int64_t sample = avi_sample_bytes(s, rows, &m, &inputs), w = s->family->width,
                  root = 2 * m * m + m * (64 + 2 * w);
    return sample + (m * (inputs + 3 * w + 5) + (avi_comm_rank(s->comm) == 0 ? root : 0)) * (int64_t)sizeof(double);
}

void avi_diagnosis_free(avi_diagnosis *d)
{
    free(d->given);
    *d = (avi_diagnosis){0};
}
