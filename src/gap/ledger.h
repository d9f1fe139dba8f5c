/* The gap ledger: what amortization costs every row of a data set, theta fixed.
 *
 * For row n, with L_A its ELBO at nu = f(x_n) and L_F the largest over nu of the same family,
 *   amortization gap  = L_F - L_A,   approximation gap = log p(x_n) - L_F   (Cremer, Li & Duvenaud 2018),
 * log p(x_n) from K importance weights of the refined factor. Both ELBOs are means over the same K draws, so that the
 * gap's error is that of the mean of differences; where a quadrature is exact they come from it and the error is 0. */
#ifndef AVI_GAP_LEDGER_H
#define AVI_GAP_LEDGER_H

#include "factors/fixed_theta.h"
#include "output/run_file.h"

/* Columns of a row. */
typedef enum avi_gap_column {
    AVI_GAP_ELBO_AVI,
    AVI_GAP_ELBO_FVI,
    AVI_GAP_AMORTIZATION,
    AVI_GAP_AMORTIZATION_ERROR,
    AVI_GAP_LOG_P,
    AVI_GAP_LOG_P_ERROR,
    AVI_GAP_APPROXIMATION,
    AVI_GAP_KHAT_AVI,
    AVI_GAP_KHAT,
    AVI_GAP_KHAT_SERVED,
    AVI_GAP_ESS,
    AVI_GAP_RUNG,
    AVI_GAP_STEPS,
    AVI_GAP_CONVERGED,
    AVI_GAP_COLUMNS
} avi_gap_column;

/* The ladder: what a row needs for weights that can be relied on, k-hat of at most 0.7. */
typedef enum avi_gap_rung {
    AVI_RUNG_FUNCTION,   /* the inference function's factor serves */
    AVI_RUNG_FACTOR,     /* the refined factor of the same family does */
    AVI_RUNG_FULL,       /* a Gaussian with full covariance does */
    AVI_RUNG_STARTS,     /* the best of several starts does, with a full covariance where that is needed */
    AVI_RUNG_RESAMPLING, /* importance resampling from a wider factor does */
    AVI_RUNG_NONE,       /* nothing does */
    AVI_RUNGS
} avi_gap_rung;

enum { AVI_GAP_NAMED = 12 /* rows that nothing serves, by number on the screen */ };

typedef struct avi_gap_settings {
    int draws;          /* K */
    int starts;         /* of a row that its own factor does not serve; 0: as the latent dimensions have it */
    int passes;         /* over a row, at most */
    double tolerance;   /* nats that a converged row may still gain */
    avi_folder *folder; /* where rows that are done are kept until the results are written; NULL: nowhere */
    double save;        /* seconds between such parts; 0: after every block */
} avi_gap_settings;

/* Totals over the rows of a data set; the same on all ranks. */
typedef struct avi_gap_totals {
    int64_t rows, converged, bad; /* bad: rows with a value that is not finite, which the sums leave out */
    int64_t rung[AVI_RUNGS];
    int64_t unserved[AVI_GAP_NAMED]; /* the first rows of the last rung, as given, from 0 */
    double elbo_avi, elbo_fvi, amortization, amortization_error, log_p, log_p_error, approximation; /* nats, sums */
    double worst;      /* the largest amortization gap of a row, nats */
    double half_share; /* part of the rows, those with the largest gaps, that carries half of the sum */
} avi_gap_totals;

enum { AVI_GAP_WORST = 16 };
typedef enum avi_worst_picture {
    AVI_WORST_ORIGINAL,
    AVI_WORST_FUNCTION,
    AVI_WORST_OWN,
    AVI_WORST_PICTURES
} avi_worst_picture;

typedef struct avi_gap_ledger {
    const char *name;                /* train | test */
    int64_t first, rows;             /* own slab of the rows in the order of the data as given */
    int64_t all;                     /* rows of the data set */
    double *column[AVI_GAP_COLUMNS]; /* (rows): own slab */
    avi_gap_totals total;
    int worst_rows;                    /* rows with the largest gaps, the largest first; the same on all ranks */
    int64_t worst_row[AVI_GAP_WORST];  /* as given, from 0 */
    int64_t values, height, columns;   /* of a row; 1, values where a row is no image */
    double *worst[AVI_WORST_PICTURES]; /* (worst_rows, values): the row, and E[x] with the function's factor and with
                                          its own, in units of the data; NULL where the model has no E[x] */
} avi_gap_ledger;

/* Collective. The ledger of one data set; table: local factors of a factorized run (with halo rows), NULL else.
 * Owner: caller, avi_gap_ledger_free, also when it fails. Errors: INTERNAL (memory), STOPPED. */
avi_status avi_gap_ledger_make(const avi_fixed_theta *f, const avi_data *data, const void *table, const char *name,
                               const avi_gap_settings *settings, avi_gap_ledger *l);
void avi_gap_ledger_free(avi_gap_ledger *l);
/* /gap/<name>/... for run.h5; the ledger must outlive the fields. Not collective. Errors: INTERNAL. */
avi_status avi_gap_ledger_fields(const avi_gap_ledger *l, avi_fields *fields);
/* Lines on the screen. Not collective. */
void avi_gap_ledger_print(const avi_gap_ledger *l);

#endif
