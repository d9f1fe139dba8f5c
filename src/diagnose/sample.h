/* The optimal factors of a sample of rows, theta fixed, with what functions of several domains would see of these rows:
 * all that a diagnosis needs. The sample is equal on all ranks, so that everything after it is plain arithmetic. */
#ifndef AVI_DIAGNOSE_SAMPLE_H
#define AVI_DIAGNOSE_SAMPLE_H

#include "factors/fixed_theta.h"

enum { AVI_SAMPLE_REACH = 8 /* the widest window that is tried */ };

typedef struct avi_sample_settings {
    int64_t rows; /* at most, or all rows of the data */
    int passes;   /* of the refinement of a row */
    double tolerance;
} avi_sample_settings;

typedef struct avi_sample {
    const avi_fixed_theta *f;
    const avi_data *data;
    int64_t all, rows;     /* N; M */
    int64_t width, latent; /* of nu; L */
    int64_t features;      /* F: values of a row of the data, twice where values may be missing: which are there; of
                              groups avi_group_features */
    int reach;             /* rows before and after that `seen` has: 0 where a row is seen alone */
    int64_t *given;        /* (M): rows of the data as given, from 0 */
    double *seen;          /* (M, 2 reach + 1, F): rows n - reach .. n + reach, the edge row beyond the ends */
    double *nu;            /* (M, width): optimal factors */
    double *function;      /* (M, width): those of the inference function; NULL for a factorized run */
    double *metric;        /* (M, width): an error e of a value costs about metric e^2 / 2 nats; independent rows */
    double *own, *next;    /* chains: (M, width, width): blocks (n, n) and (n, n + 1) of the joint Hessian of -ELBO */
    double left;           /* nats per row that the optimizer may have left, mean */
    int64_t converged;     /* rows */
    bool chain, groups;
    double *mark; /* groups: (M): differs where their entries do; NULL: rows of one width */
    /* ---- private ---- */
    avi_estimator *refine, *weigh;
    void *table, *grad; /* (1 + own rows + 1, width) */
    avi_row_ranges job; /* own part of the sample, a run for each tile */
    int64_t *index;     /* (job.count): where each run begins in the sample */
} avi_sample;

/* Collective. Takes the sample and fits its factors; table: local factors of a factorized run (with halo rows), NULL
 * else. Owner: caller, avi_sample_free, also when it fails. Errors: INTERNAL, STOPPED, DATA. */
avi_status avi_sample_make(const avi_fixed_theta *f, const avi_data *data, void *table,
                           const avi_sample_settings *settings, avi_sample *s);
void avi_sample_free(avi_sample *s);
/* Collective. ELBO of each row of the sample with the factors nu (M, width), equal on all ranks: under the exact rule,
 * else the mean of the same draws for every nu. elbo (2 M): the values, then half the difference of the means of the
 * even and the odd draws of each row, whose square is the Monte Carlo variance of the value (0: exact). Independent
 * rows. Errors: INTERNAL, STOPPED. */
avi_status avi_sample_elbo(avi_sample *s, const double *nu, double *elbo);
/* Bytes that a sample of `rows` rows takes on this rank; *taken: the rows that it has, *inputs: values that its domains
 * show of each. Not collective. */
int64_t avi_sample_bytes(const avi_session *s, int64_t rows, int64_t *taken, int64_t *inputs);

/* ---- for the files of the sample ---- */

/* Collective. A sum over ranks of which one alone has each value and the others 0: the value itself, on all ranks; -0
 * becomes 0 on any number of ranks. */
avi_status avi_sample_share(const avi_sample *s, double *values, int64_t count);
/* The factor of an own position in the table. Not collective. */
void *avi_sample_row(const avi_sample *s, void *table, int64_t position);
/* Collective. Chains: all rows together, by sweeps of Newton steps until nothing moves; tiles: own rows. */
avi_status avi_sample_solve_chain(avi_sample *s, avi_row_ranges *tiles);
/* Collective. Chains: s->own and s->next. */
avi_status avi_sample_curvature(avi_sample *s);

#endif
