/* --check-gradient: the gradient of the configured ELBO, draws held fixed, against central differences along random
 * coordinates of every block. */
#include "state/state.h"
#include "tasks/task.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBES = 4 /* coordinates of a block */ };

typedef struct check {
    avi_session *s;
    avi_state *st;
    avi_row_ranges job;
    double worst;
    int kinks, rounded; /* probes that needed a shorter step or one side, a longer step */
} check;

/* -ELBO_e / N (elbo.h) of the first step's rows and draws, and its gradient into the state. */
static avi_status loss(check *c, double *value)
{
    double sums[AVI_SUMS] = {0};
    avi_bad bad;
    AVI_TRY(avi_estimator_step(c->s->train_elbo, c->st->params, c->st->table, c->st->table_grad, 0, &c->job, sums,
                               c->st->gradient, NULL, &bad));
    *value = -sums[AVI_SUM_ELBO] / avi_partition_step_rows(&c->s->partition) +
             avi_estimator_step_kl_global(c->s->train_elbo, c->st->params) / (double)c->s->partition.rows;
    return sums[AVI_SUM_BAD] > 0 ? avi_fail(AVI_ERR_DIVERGED, "the ELBO of the first step is not finite") : AVI_OK;
}

static double bound_of(const check *c) { return c->s->precision == AVI_PRECISION_DOUBLE ? 1e-5 : 5e-2; }

/* What differences say of one derivative, and how far from it the gradient is. */
typedef struct verdict {
    double difference, error;
    const char *side;
} verdict;

static void judge(const check *c, double gradient, double difference, const char *side, verdict *v)
{
    const double scale =
        fmax(fmax(fabs(gradient), fabs(difference)), c->s->precision == AVI_PRECISION_DOUBLE ? 1e-4 : 1e-1);
    const double error = fabs(gradient - difference) / scale;
    if (error < v->error) *v = (verdict){difference, error, side};
}

static avi_status loss_at(check *c, void *vector, int64_t i, double x, double *value)
{
    avi_vector_set(c->s->precision, vector, i, x);
    return loss(c, value);
}

/* Differences with step h. At a kink, where the derivative jumps (relu, say), a gradient is right that is the
 * derivative of one side: sides are differences of second order, so that of a smooth function they equal the central
 * one and let no wrong gradient pass. */
static avi_status differences(check *c, void *vector, int64_t i, double gradient, double h, bool sides, verdict *v)
{
    const double old = avi_vector_get(c->s->precision, vector, i);
    double here, up, down, up2, down2;
    AVI_TRY(loss_at(c, vector, i, old + h, &up));
    AVI_TRY(loss_at(c, vector, i, old - h, &down));
    judge(c, gradient, (up - down) / (2 * h), "differences", v);
    if (sides && !(v->error <= bound_of(c))) {
        AVI_TRY(loss_at(c, vector, i, old + 2 * h, &up2));
        AVI_TRY(loss_at(c, vector, i, old - 2 * h, &down2));
        AVI_TRY(loss_at(c, vector, i, old, &here));
        judge(c, gradient, (4 * up - up2 - 3 * here) / (2 * h), "from above ", v);
        judge(c, gradient, (3 * here - 4 * down + down2) / (2 * h), "from below ", v);
    }
    avi_vector_set(c->s->precision, vector, i, old);
    return AVI_OK;
}

/* A probe that fails is repeated with a shorter step, which a kink beside the value is not within, and with a longer
 * one, of which rounding spoils less. */
static avi_status probe(check *c, void *vector, int64_t i, double gradient, const char *name)
{
    const double h = c->s->precision == AVI_PRECISION_DOUBLE ? 1e-5 : 1e-2, bound = bound_of(c);
    verdict v = {NAN, INFINITY, "differences"};
    AVI_TRY(differences(c, vector, i, gradient, h, false, &v));
    if (!(v.error <= bound)) {
        AVI_TRY(differences(c, vector, i, gradient, h / 8, true, &v));
        if (v.error <= bound) c->kinks++;
    }
    if (!(v.error <= bound)) {
        AVI_TRY(differences(c, vector, i, gradient, 8 * h, false, &v));
        if (v.error <= bound) c->rounded++;
    }
    c->worst = fmax(c->worst, v.error);
    if (avi_comm_rank(c->s->comm) == 0)
        printf("  %-28s value %8" PRId64 "  gradient % .8e  %s % .8e  error %.1e\n", name, i, gradient, v.side,
               v.difference, v.error);
    return AVI_OK;
}

static avi_status probe_params(check *c, const avi_params *params, int64_t first, const char *what)
{
    const avi_precision p = c->s->precision;
    for (int k = 0; k < params->count; k++) {
        const avi_block *b = &params->block[k];
        char name[96];
        snprintf(name, sizeof name, "%s%s", b->name, what);
        for (int j = 0; j < PROBES && j < b->rows * b->cols; j++) {
            uint32_t words[4];
            double value;
            avi_words(avi_stream_make(c->s->seed, AVI_DRAW_TEST, (uint64_t)first), (uint64_t)k, (uint32_t)j, words);
            const int64_t i = first + b->offset + (int64_t)(words[0] % (uint64_t)(b->rows * b->cols));
            AVI_TRY(loss(c, &value));
            AVI_TRY(probe(c, c->st->params, i, avi_vector_get(p, c->st->gradient, i), name));
        }
    }
    return AVI_OK;
}

/* What a q(theta) with correlated values has beside its means. */
static avi_status probe_family(check *c)
{
    const avi_session *s = c->s;
    const int64_t first = avi_parameter_layout_log_sd(&s->problem, &s->layout),
                  count = s->problem.global_family->width - s->problem.global_family->latent;
    for (int64_t j = 0; j < 4 * PROBES && j < count; j++) {
        const int64_t i = first + j * (count - 1) / (count < 4 * PROBES ? (count > 1 ? count - 1 : 1) : 4 * PROBES - 1);
        double value;
        AVI_TRY(loss(c, &value));
        AVI_TRY(probe(c, c->st->params, i, avi_vector_get(s->precision, c->st->gradient, i), "q(theta)"));
    }
    return AVI_OK;
}

/* Local factors: one value of the first row of the job of each rank in turn; the others take part in the sums. */
static avi_status probe_table(check *c)
{
    const avi_session *s = c->s;
    const int64_t width = s->infer->outputs;
    for (int rank = 0; rank < avi_comm_size(s->comm); rank++)
        for (int64_t k = 0; k < width && k < 2 * PROBES; k++) {
            const bool mine = avi_comm_rank(s->comm) == rank && c->job.count;
            const int64_t i = mine ? (c->job.first[0] - s->train->first + 1) * width + k : 0;
            double value, gradient = 0;
            AVI_TRY(loss(c, &value));
            if (mine)
                gradient = avi_vector_get(s->precision, c->st->table_grad, i) / avi_partition_step_rows(&s->partition);
            AVI_TRY(avi_comm_sum_double(s->comm, &gradient, 1));
            /* Ranks without the row move a value of their halo row, which nothing reads. */
            AVI_TRY(probe(c, c->st->table, i, gradient, "nu of a row"));
        }
    return AVI_OK;
}

/* A start where nothing is zero: initial values of zero would hide terms. */
static void perturb(const check *c)
{
    const avi_precision p = c->s->precision;
    const avi_stream stream = avi_stream_make(c->s->seed, AVI_DRAW_TEST, 1);
    const int64_t values = avi_state_table_values(c->s), width = c->s->infer->outputs;
    for (int64_t i = 0; i < c->s->layout.size; i++) {
        double e;
        avi_normal_f64(stream, (uint64_t)i, 1, 0, 1, &e);
        avi_vector_set(p, c->st->params, i, avi_vector_get(p, c->st->params, i) + 0.05 * e);
    }
    for (int64_t i = width; i < values - width; i++) {
        double e;
        avi_normal_f64(stream, (uint64_t)(c->s->train->first * width + i - width), 1, 1, 1, &e);
        avi_vector_set(p, c->st->table, i, 0.3 * e);
    }
}

/* The rows of the first step. Of a chain all rows: a batch holds factors whose other row is not in it, and its gradient
 * is that of the whole ELBO only on average. */
static avi_status choose_rows(const avi_session *s, avi_row_ranges *job)
{
    if (s->model->ops->coupling == AVI_INDEPENDENT)
        AVI_TRY(avi_row_ranges_step(s, 0, job));
    else
        AVI_TRY(avi_row_ranges_rows(&s->partition, avi_comm_rank(s->comm), 0, job));
    const bool held = s->problem.gradient != AVI_GRADIENT_PATHWISE || s->infer->refine.steps;
    return held ? avi_estimator_hold(s->train_elbo, job) : AVI_OK;
}

static void tell(const check *c)
{
    if (avi_comm_rank(c->s->comm) != 0) return;
    if (c->kinks)
        printf("values with a kink within the first step: %d; a shorter step, or the derivative of one side, agrees "
               "with the gradient\n",
               c->kinks);
    if (c->rounded)
        printf("values where rounding hides the first step's difference: %d; a longer step agrees with the gradient\n",
               c->rounded);
    printf("largest relative error %.1e (bound %.0e)\n", c->worst, bound_of(c));
}

/* The doubly reparameterized gradient is that of the bound in the mean over draws, and for one draw that of sticking
 * the landing: with several no difference of values is what it should be. */
static avi_status check_estimator(const avi_session *s)
{
    if (s->problem.gradient != AVI_GRADIENT_DREG || s->problem.draws == 1) return AVI_OK;
    return avi_config_fail(s->config, "objective", "estimator",
                           "dreg with several draws is the gradient of the bound only in the mean over draws, which "
                           "differences cannot check; use pathwise, or objective.draws = 1, for --check-gradient");
}

avi_status avi_check_gradient(avi_session *s)
{
    check c = {.s = s};
    AVI_TRY(check_estimator(s));
    avi_status status = avi_state_create(s, &c.st);
    if (status == AVI_OK) status = avi_agree(s->comm, choose_rows(s, &c.job));
    if (status == AVI_OK) {
        perturb(&c);
        if (s->precision == AVI_PRECISION_SINGLE && avi_comm_rank(s->comm) == 0)
            printf("single precision: differences are rough; run.precision=double is the test\n");
        status = probe_params(&c, &s->model->theta, 0, "");
        if (status == AVI_OK && s->problem.global_gaussian && !s->problem.global_family)
            status = probe_params(&c, &s->model->theta, s->layout.theta, " (log sd)");
        if (status == AVI_OK && s->problem.global_family) status = probe_family(&c);
        if (status == AVI_OK)
            status = probe_params(&c, &s->infer->phi, avi_parameter_layout_phi(&s->problem, &s->layout), "");
        if (status == AVI_OK && c.st->table) status = probe_table(&c);
    }
    if (status == AVI_OK) tell(&c);
    if (status == AVI_OK && !(c.worst <= bound_of(&c)))
        status = avi_fail(AVI_ERR_INTERNAL, "the gradient differs from finite differences by %.1e", c.worst);
    avi_row_ranges_free(&c.job);
    avi_state_destroy(&c.st);
    return status;
}
