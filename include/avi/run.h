/* A run from a C program: what avi_mpi does with a configuration, and what can be asked of the fit afterwards.
 *
 *     avi_comm *comm;
 *     avi_run *run;
 *     if (avi_comm_start(&argc, &argv, &comm) != AVI_OK) ...
 *     avi_status status = avi_run_open(comm, "vae.ini", 0, NULL, &run);
 *     if (status == AVI_OK) status = avi_run_task(run);                       the fit, as the command does it
 *     if (status == AVI_OK) status = avi_run_load(run);
 *     if (status == AVI_OK) status = avi_run_encode(run, rows, x, mean, log_sd);   rows that the fit has not seen
 *     avi_run_close(&run);
 *     avi_comm_finish(&comm);
 *
 * A program that has started MPI itself uses avi_comm_join and avi_comm_leave in place of avi_comm_start and
 * avi_comm_finish. All ranks of `comm` call the functions that are collective, in the same order and with the same
 * arguments, and get the same status. The others may be called on any rank, by itself, as often as it likes. After a
 * failure avi_error_text() (status.h) says what was wrong and what to use instead; only avi_run_close may follow.
 * inputs/examples/embed is a program that uses this. */
#ifndef AVI_RUN_H
#define AVI_RUN_H

#include "avi/comm.h"
#include "avi/status.h"

#include <stdint.h>

typedef struct avi_run avi_run;

/* Collective. Opens a configuration: the file `path` and `count` overrides "section.key=value", which win over it. Rank
 * 0 reads the file; plug-ins of [run] plugins are loaded; no data are read. `comm` is borrowed until avi_run_close.
 * Owner: caller, avi_run_close. *run is NULL after a failure. Errors: NOINPUT, CONFIG (all mistakes in one message),
 * INTERNAL. */
AVI_API avi_status avi_run_open(avi_comm *comm, const char *path, int count, const char *const *overrides,
                                avi_run **run);
/* Collective. The same from a text in place of a file; `name` stands for the file in messages, and paths in the text
 * are relative to where the program runs. The text of rank 0 is taken. */
AVI_API avi_status avi_run_open_text(avi_comm *comm, const char *name, const char *text, int count,
                                     const char *const *overrides, avi_run **run);
/* Collective. *run becomes NULL; NULL is left as it is. */
AVI_API void avi_run_close(avi_run **run);
/* Not collective. How much is printed: 0 nothing (the default), 1 what the command prints, 2 more. */
AVI_API void avi_run_verbosity(avi_run *run, int verbosity);

/* Collective. Does what [run] task names (fit, unless the configuration says otherwise), as the command does: results
 * and checkpoints are written into run.output; a fit that is there is resumed, and left as it is when it is done.
 * Errors: those of the command, whose exit status they are; STOPPED after a signal or the time limit. */
AVI_API avi_status avi_run_task(avi_run *run);

/* Collective. Reads the fit: the newest checkpoint of run.output, or what run.from or checkpoint.from names; a fit that
 * was loaded before is replaced. The data of the fit need not be there, and nothing is written. What stands below needs
 * it. Errors: NOINPUT (no fit there), CONFIG (the fit of another model), DATA, INTERNAL. */
AVI_API avi_status avi_run_load(avi_run *run);

typedef struct avi_run_about {
    int64_t rows, width;                 /* N training rows of D values; of groups, N groups of entries of D values */
    int64_t latent;                      /* L */
    int64_t steps;                       /* that the fit has done */
    double elbo_train, elbo_train_error; /* per row, nats, of the last evaluation, with its standard error; NaN: none */
    double elbo_test, elbo_test_error;   /* the same of test rows */
} avi_run_about;
/* Not collective. Errors: INTERNAL when no fit is loaded. */
AVI_API avi_status avi_run_about_of(const avi_run *run, avi_run_about *about);
/* Not collective. A block of parameters by its name ("decoder.0.weight"): *rows and *cols, and its values (rows, cols)
 * into `values` unless that is NULL; of q(theta) the means. Errors: USAGE when there is no such block, INTERNAL. */
AVI_API avi_status avi_run_block(const avi_run *run, const char *name, int64_t *rows, int64_t *cols, double *values);

/* The functions below take `rows` rows x (rows, D) of numbers in the units of the fit's data (grey values from 0 to 1,
 * NaN for what is missing where data.missing = mask, a row of a series after the one before it): rows of this rank,
 * which other ranks know nothing of. Any number of rows, also 0. A model that looks one row ahead (saw) has one factor
 * fewer than rows. Not collective. Errors: DATA (values that the model cannot have, with row and column), CONFIG (what
 * this model cannot give for new rows), INTERNAL. */

/* Mean and log sd of q(z_n) of each row: (rows, L); one of them may be NULL. */
AVI_API avi_status avi_run_encode(avi_run *run, int64_t rows, const double *x, double *mean, double *log_sd);

/* What a row is worth, nats: (rows) each, or NULL where it is not wanted. */
typedef struct avi_run_values {
    double *elbo, *elbo_error;   /* E_q[log p(x, z) - log q(z)], and its standard error: 0 where it takes no draws */
    double *log_likelihood, *kl; /* elbo = log_likelihood - kl */
    double *log_p, *log_p_error; /* log p(x) by importance weighting, and its standard error */
    double *khat, *ess;          /* Pareto k-hat (log_p is reliable below 0.7) and effective number of draws */
} avi_run_values;
/* From rows.draws draws of each row's q(z) (200 unless the configuration says otherwise), a function of run.seed and of
 * the row's place among `rows`: the same call gives the same bits. log_p and what stands behind it are NaN for rows
 * that depend on each other. */
AVI_API avi_status avi_run_evaluate(avi_run *run, int64_t rows, const double *x, const avi_run_values *values);

/* E[x | z, theta] for z (rows, L), in the units of the data: x (rows, D). DATA when the model has no such mean, and for
 * a fit of groups: how many entries a group has does not follow from its z. */
AVI_API avi_status avi_run_decode(avi_run *run, int64_t rows, const double *z, double *x);

/* A fit of groups (avi/data.h: ragged rows, data.group) takes groups of any number of entries in place of rows: group g
 * has the entries [first_entry[g], first_entry[g + 1]) of x (first_entry[groups], D). first_entry (groups + 1) begins
 * with 0 and does not decrease: a group may have no entries. What is filled has a value for each group in place of each
 * row. A fit of groups refuses avi_run_encode and avi_run_evaluate, and a fit of rows refuses these two, with CONFIG.
 * Otherwise they are as those. DATA also for a first_entry that is not as above. Messages number entries, from 0. */
AVI_API avi_status avi_run_encode_groups(avi_run *run, int64_t groups, const int64_t *first_entry, const double *x,
                                         double *mean, double *log_sd);
AVI_API avi_status avi_run_evaluate_groups(avi_run *run, int64_t groups, const int64_t *first_entry, const double *x,
                                           const avi_run_values *values);
/* Not collective; needs no fit. Brings a long table into that form: entry e is row e of x (entries, width) and belongs
 * to the group whose key is key[e]. Groups come in the order of their first entries and keep the order of their
 * entries, as data.group has them. Fills *groups, first_entry (room for entries + 1; groups + 1 are filled), group_key
 * (room for entries; groups are filled) unless it is NULL, and grouped (entries, width), which must not be x. Errors:
 * INTERNAL (memory). */
AVI_API avi_status avi_run_group_entries(int64_t entries, int64_t width, const double *x, const int64_t *key,
                                         int64_t *groups, int64_t *first_entry, int64_t *group_key, double *grouped);

#endif
