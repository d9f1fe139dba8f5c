/* posterior.nc: the fit's posterior as a container that ArviZ, xarray, netCDF and R open, written by all ranks
 * (output.idata). Groups of the InferenceData schema, each with its own dimension scales: posterior (draws of z and of
 * theta), sample_stats (log p and log q of the draws), log_likelihood, posterior_predictive, observed_data,
 * constant_data (moments of q, k-hat, points of theta). analysis/README.md describes it.
 *
 * The draws are functions of the seed, the row and the number of the draw: those that the gap ledger weighs the fit's
 * factors with, where gap.draws is output.idata_draws and theta is a point. */
#ifndef AVI_IDATA_IDATA_H
#define AVI_IDATA_IDATA_H

#include "idata/idata_rows.h"
#include "output/run_file.h"

typedef struct avi_idata_plan {
    avi_idata_rows rows; /* owned */
    int draws;           /* K */
    bool theta;          /* draws of a Gaussian q(theta) */
    bool densities;      /* log q of the draws; not of families that tie rows, whose draws are of each row's marginal */
    bool weights;        /* log p of the draws; not of rows that are all coupled */
    bool scores;         /* log p(x), k-hat and so on of every row: of independent rows */
    bool predictive, observed;
    int64_t batch;       /* values of draws that are made together, of all ranks where sums are reproducible, else of
                            one */
    double bytes;        /* of the file, about */
    char left_out[1024]; /* what there is not, and why: "group: reason" with ";" between them; "" */
} avi_idata_plan;

/* The keys output.idata and those that begin so. */
avi_status avi_idata_register_keys(avi_registry *registry);
/* Not collective. Whether output.idata is yes. */
bool avi_idata_wanted(const avi_session *s);
/* Not collective. What the file will have, for `rows` training rows. Owner: caller, avi_idata_plan_free, also when it
 * fails. Errors: CONFIG (output.idata_rows), INTERNAL. */
avi_status avi_idata_plan_make(const avi_session *s, int64_t rows, avi_idata_plan *p);
void avi_idata_plan_free(avi_idata_plan *p);
/* Not collective. Bytes that writing it takes on a rank beside the fit, at most. */
double avi_idata_memory(const avi_session *s, const avi_idata_plan *p);

/* A few of the file's rows, made as avi_idata_write makes them, but written nowhere: what a plan takes the time of. */
typedef struct avi_idata_trial avi_idata_trial;
/* Collective. Of `rows` rows and `draws` draws, at most those of the plan and of the session. Owner: caller,
 * avi_idata_trial_destroy, also when it fails. */
avi_status avi_idata_trial_create(avi_session *s, const avi_state *st, const avi_idata_plan *p, int64_t rows, int draws,
                                  avi_idata_trial **trial);
void avi_idata_trial_destroy(avi_idata_trial **trial);
/* Collective. Makes them. */
avi_status avi_idata_trial_rows(avi_idata_trial *trial);
/* Not collective. Draw t of a Gaussian q(theta), and with densities = true its log p and log q too. */
avi_status avi_idata_trial_theta(avi_idata_trial *trial, int t, bool densities);
/* Not collective. Rows that are best tried, of all ranks: a block of the estimator's each, where theta is a point; a
 * whole batch where it is drawn anew for each draw. */
int64_t avi_idata_trial_size(const avi_session *s, const avi_idata_plan *p);
/* Not collective. How many times a batch of rows is made, each with all draws. */
int64_t avi_idata_batches(const avi_session *s, const avi_idata_plan *p);

/* Collective. Writes folder/posterior.nc from the fit in st, unless it has that already. A run that is killed in
 * between leaves posterior.nc.part, and resumes after its last batch of rows, on any number of ranks. What it did is
 * printed. Errors: CANTCREATE, IO (full disk: the space is reserved before the first draw is made), STOPPED, INTERNAL.
 */
avi_status avi_idata_write(avi_session *s, avi_state *st, avi_folder *folder);

/* Collective. Warns where folder has a posterior.nc of another fit than that in st: a run that was resumed with more
 * steps has left it behind. Errors: CANTCREATE (the name is too long), INTERNAL. */
avi_status avi_idata_tell_older(avi_session *s, avi_state *st, avi_folder *folder);

#endif
