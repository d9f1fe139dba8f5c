/* Inside idata/. */
#ifndef AVI_IDATA_INTERNAL_H
#define AVI_IDATA_INTERNAL_H

#include "factors/fixed_theta.h"
#include "idata/idata.h"
#include "rows/theta_draw.h"
#include "store/row_file.h"

/* Values of a row that constant_data has, each with a name of its own. */
enum { AVI_IDATA_SCORES = 5 /* elbo, log_p, log_p_error, khat, ess */ };

/* Numbers of the datasets in the file; -1: it has none. */
typedef struct avi_idata_index {
    int z, log_p, log_q, loglik, x, observed, mean, log_sd;
    int score[AVI_IDATA_SCORES];
    int log_p_theta, log_q_theta;
    int theta; /* of the first block; the others follow */
} avi_idata_index;

/* Rank 0 alone reads names. Not collective; equal on all ranks but for the names. points: of theta where it is one, in
 * the precision of the run; borrowed, as the plan. Errors: DATA (names that cannot be read), INTERNAL. */
avi_status avi_idata_fields(const avi_session *s, const avi_idata_plan *p, const void *points, avi_fields *l,
                            avi_idata_index *at);

/* Memory of a batch that the next one takes again: fresh pages for every dataset would cost as much as the draws. */
typedef struct avi_idata_room {
    void *memory; /* owned */
    size_t bytes;
} avi_idata_room;
/* Not collective. At least so many bytes, of any content. Errors: INTERNAL (memory). */
avi_status avi_idata_room_make(avi_idata_room *r, size_t bytes);

typedef struct avi_idata_batch avi_idata_batch;

/* What makes the draws, a batch of rows at a time. */
typedef struct avi_idata_work {
    avi_session *s;      /* borrowed, as the next four */
    const avi_state *st; /* as results show it */
    const avi_idata_plan *plan;
    const avi_idata_index *at;
    avi_row_file *file; /* NULL: nothing is written */
    avi_fixed_theta fixed;
    avi_moments moments;
    avi_estimator *weigh;
    void *drawn; /* parameters with a draw of theta in place of its mean; NULL: theta is a point */
    avi_theta_values theta;
    avi_idata_room values, out, in, sorted; /* all arrays of a batch; of one dataset what goes to other ranks, what
                                               comes from them, and that in order */
} avi_idata_work;

/* Collective. Owner: caller, avi_idata_work_free, also when it fails. file: NULL until it is open. */
avi_status avi_idata_work_create(avi_session *s, const avi_state *st, const avi_idata_plan *p,
                                 const avi_idata_index *at, avi_idata_work *w);
void avi_idata_work_free(avi_idata_work *w);
/* Not collective. Draw t of theta into w->drawn, with its log p and log q; of q(theta) = a Gaussian. */
avi_status avi_idata_work_theta(const avi_idata_work *w, int t, double *log_p, double *log_q);
/* Collective. Makes a batch, and puts it into the file where there is one. */
avi_status avi_idata_work_batch(avi_idata_work *w, const avi_idata_batch *b);
/* Collective. Makes the chosen rows from `done` on, and commits them batch by batch. */
avi_status avi_idata_work_rows(avi_idata_work *w, int64_t done);

/* ---- batch.c ---- */

/* Chosen rows [first, first + count), shared out by who owns them. */
struct avi_idata_batch {
    int64_t first, count;
    int *owner;         /* (count) rank */
    int64_t own;        /* rows of this rank */
    int64_t *index;     /* (own): among the chosen ones, in order of position: the order of all arrays of values */
    int64_t *position;  /* (own) */
    int64_t *by_index;  /* (own): places in these arrays in order of the index */
    avi_row_ranges job; /* runs of these positions */
};

/* Not collective. As many rows from `first` on as the plan has room for. Owner: caller, avi_idata_batch_free, also when
 * it fails. */
avi_status avi_idata_batch_make(const avi_session *s, const avi_idata_plan *p, int64_t first, avi_idata_batch *b);
void avi_idata_batch_free(avi_idata_batch *b);
/* Collective. values (own, draws, width) of dataset `field` into the file, whose rows are numbered by draw and chosen
 * row: ranks exchange them, so that each writes some draws of all rows of the batch. */
avi_status avi_idata_batch_put(avi_idata_work *w, const avi_idata_batch *b, int field, int64_t draws, int64_t width,
                               bool typed, const double *values);
/* Rows of a batch, of all ranks. */
int64_t avi_idata_batch_rows(const avi_session *s, const avi_idata_plan *p);
/* Values of a row of the batch that all arrays of draws have together. */
int64_t avi_idata_row_values(const avi_session *s, const avi_idata_plan *p);

#endif
