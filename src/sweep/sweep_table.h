/* What a sweep found: one record a run; the table on the screen, sweep.csv and sweep.h5. */
#ifndef AVI_SWEEP_SWEEP_TABLE_H
#define AVI_SWEEP_SWEEP_TABLE_H

#include "avi/store.h"
#include "session/session.h"
#include "sweep/sweep_spec.h"

typedef enum avi_sweep_status {
    AVI_SWEEP_WAITING,
    AVI_SWEEP_DONE,
    AVI_SWEEP_STOPPED,
    AVI_SWEEP_DIVERGED,
    AVI_SWEEP_FAILED
} avi_sweep_status;

/* Whole 64-bit words, so that records of all groups are joined by one integer sum: a run's group has its record, all
 * others have zeros. */
typedef struct avi_sweep_record {
    int64_t status; /* avi_sweep_status */
    int64_t code;   /* exit code */
    int64_t taken;  /* 1: found done in its folder */
    int64_t steps, rows;
    double seconds;                                    /* of stepping, resumed parts included */
    double elbo_train, elbo_test, mse_train, mse_test; /* last evaluation, nats per row; NaN where there is none */
    double elbo_train_error, elbo_test_error, mse_train_error, mse_test_error; /* their standard errors */
    double elbo, elbo_error;                                                   /* of all training rows, nats */
    double gap_fit, gap_fit_error; /* below the F-VI optimum, nats; NaN without run.after = exact */
    double slope, slope_error;     /* of the ELBO at the end of the fit, nats per row and epoch */
    double loss;                   /* -ELBO + constant, as Margossian & Blei count; NaN for models outside the paper */
    double best_elbo;              /* largest of the trace, nats per row */
    char message[256];
} avi_sweep_record;

typedef struct avi_sweep_table {
    const avi_sweep_spec *spec;
    avi_sweep_record *record; /* (spec->runs) */
    int groups;
} avi_sweep_table;

const char *avi_sweep_status_text(int64_t status);
/* All values NaN, all counts zero. */
avi_sweep_record avi_sweep_record_empty(void);
/* Collective over `comm`. Fills steps, seconds, ELBOs and loss from a run.h5. Errors: NOINPUT, DATA. */
avi_status avi_sweep_record_read(avi_comm *comm, avi_store *store, avi_sweep_record *r);

/* The run with the largest ELBO on training rows, -1 when no run is done. Not collective. */
int64_t avi_sweep_table_best(const avi_sweep_table *t);
/* The summary, by one rank. Not collective. */
void avi_sweep_table_print(const avi_sweep_table *t, const char *folder);
/* Collective. folder/sweep.csv and folder/sweep.h5. */
avi_status avi_sweep_table_write(const avi_sweep_table *t, avi_comm *comm, avi_folder *folder,
                                 const avi_options *options);

#endif
