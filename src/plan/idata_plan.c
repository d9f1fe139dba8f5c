/* What posterior.nc takes: some of its rows are made and forgotten, its bytes are counted. */
#include "plan/idata_plan.h"

#include "gap/psis.h"
#include "idata/idata.h"
#include "output/console.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { THETA_DRAWS = 4, WEIGHED_ROWS = 8, MOST_TRIALS = 4 };

/* Seconds of a rank's processor. */
typedef struct costs {
    double rows;             /* of the rows that were tried, with as many draws as were tried */
    double theta, densities; /* of a draw of theta, and of one with its densities */
    double weights;          /* of a row's k-hat */
} costs;

static avi_status try_rows(avi_session *s, avi_idata_trial *trial, costs *c)
{
    static const double ENOUGH = 0.1; /* the first use of memory and ranks that wait for each other weigh less then */
    double all = 0;
    c->rows = HUGE_VAL;
    for (int i = 0; i < MOST_TRIALS && all < ENOUGH; i++) {
        AVI_TRY(avi_comm_barrier(s->comm));
        const double from = avi_plan_clock();
        AVI_TRY(avi_idata_trial_rows(trial));
        double seconds = avi_plan_clock() - from;
        AVI_TRY(avi_comm_max_double(s->comm, &seconds, 1));
        c->rows = fmin(c->rows, seconds);
        all += seconds;
    }
    return AVI_OK;
}

static avi_status try_theta(avi_idata_trial *trial, costs *c)
{
    double from = avi_plan_clock();
    for (int t = 0; t < THETA_DRAWS; t++) AVI_TRY(avi_idata_trial_theta(trial, t, false));
    c->theta = (avi_plan_clock() - from) / THETA_DRAWS;
    from = avi_plan_clock();
    for (int t = 0; t < THETA_DRAWS; t++) AVI_TRY(avi_idata_trial_theta(trial, t, true));
    c->densities = (avi_plan_clock() - from) / THETA_DRAWS;
    return AVI_OK;
}

/* Where few draws are tried, so many that a tail has a shape are weighed apart. The weights are any. */
static avi_status try_weights(int draws, costs *c)
{
    avi_weights w;
    double *log_weight = malloc((size_t)draws * sizeof *log_weight);
    if (!log_weight) return avi_fail_memory((size_t)draws * sizeof *log_weight, "the plan of posterior.nc");
    const double from = avi_plan_clock();
    for (int r = 0; r < WEIGHED_ROWS; r++) {
        for (int i = 0; i < draws; i++) log_weight[i] = sin((double)(i + r * draws));
        avi_weights_summarise(draws, log_weight, &w);
    }
    c->weights = (avi_plan_clock() - from) / WEIGHED_ROWS;
    free(log_weight);
    return AVI_OK;
}

static avi_status try_all(avi_session *s, const avi_state *st, const avi_idata_plan *p, int64_t rows, int draws,
                          costs *c)
{
    avi_idata_trial *trial = NULL;
    avi_status status = avi_idata_trial_create(s, st, p, rows, draws, &trial);
    if (status == AVI_OK) status = try_rows(s, trial, c);
    if (status == AVI_OK && s->problem.global_gaussian) status = avi_agree(s->comm, try_theta(trial, c));
    if (status == AVI_OK && draws < p->draws && p->scores) status = avi_agree(s->comm, try_weights(p->draws, c));
    avi_idata_trial_destroy(&trial);
    if (status == AVI_OK) status = avi_comm_max_double(s->comm, &c->theta, 3);
    return status;
}

/* Theta that is a point: by rows. A Gaussian: every batch of rows draws it anew for each of the draws. */
static avi_status seconds_of(avi_session *s, const avi_state *st, const avi_idata_plan *p, double *seconds)
{
    const bool gaussian = s->problem.global_gaussian;
    const int draws = gaussian && p->draws > THETA_DRAWS ? THETA_DRAWS : p->draws;
    const double more = (double)p->draws / draws;
    int64_t rows = avi_plan_least(avi_idata_trial_size(s, p), p->rows.total);
    costs c = {0};
    rows = avi_plan_least(rows, s->partition.rows);
    AVI_TRY(try_all(s, st, p, rows, draws, &c));
    *seconds = fmax(c.rows - draws * c.theta, 0) * more * (double)p->rows.total / (double)rows;
    if (gaussian)
        *seconds += p->draws * (c.theta * (double)avi_idata_batches(s, p) + c.densities / avi_comm_size(s->comm));
    *seconds += c.weights * (double)p->rows.total / avi_comm_size(s->comm);
    return AVI_OK;
}

static void print(const avi_session *s, const avi_idata_plan *idata, double room)
{
    char bytes[32], memory[32];
    if (avi_comm_rank(s->comm)) return;
    printf("  posterior.nc %d draws of %" PRId64 " rows, %s; %s of memory on a rank\n", idata->draws, idata->rows.total,
           avi_console_bytes(idata->bytes, bytes), avi_console_bytes(room, memory));
    if (*idata->left_out) printf("    without    %s\n", idata->left_out);
}

avi_status avi_idata_plan_add(avi_session *s, const avi_state *st, avi_plan *p)
{
    avi_idata_plan idata;
    double seconds = 0;
    if (!avi_idata_wanted(s)) return AVI_OK;
    avi_status status = avi_agree(s->comm, avi_idata_plan_make(s, s->counts.partition.rows, &idata));
    if (status == AVI_OK) status = seconds_of(s, st, &idata, &seconds);
    if (status == AVI_OK) {
        const double room = avi_idata_memory(s, &idata);
        avi_plan_keep_peak(p);
        avi_plan_hold(p, room);
        avi_plan_add(p, "posterior.nc", seconds + avi_plan_row_file_seconds(p->comm, idata.bytes));
        print(s, &idata, room);
    }
    avi_idata_plan_free(&idata);
    return status;
}
