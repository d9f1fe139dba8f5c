/* What the files of the ledger share: ledger_rows.c (columns of a row), ladder.c (rows that their own factor does
 * not serve), worst.c (rows with the largest gaps) and ledger.c (blocks of rows). */
#ifndef AVI_GAP_LEDGER_INTERNAL_H
#define AVI_GAP_LEDGER_INTERNAL_H

#include "gap/ledger.h"
#include "gap/progress.h"
#include "gap/psis.h"

/* Work on one data set. */
typedef struct avi_ledger_work {
    const avi_fixed_theta *f;
    const avi_gap_settings *settings;
    const avi_data *data;
    const void *given;                                               /* factors of a factorized run, or NULL */
    avi_estimator *refine, *weigh_own, *weigh_function, *weigh_full; /* weigh_full: NULL without a wider family */
    void *table, *grad;                                              /* (1 + own rows + 1, width): own factors */
    void *full;                           /* (1 + own rows + 1, width of f->full): those with full covariance */
    double *weight_function, *weight_own; /* (block rows, K) */
    double *weight_other;                 /* (block rows, K): of another rung */
    double *nu;                           /* (block rows, width) */
    double *before, *after;               /* (block rows): ELBO under an exact rule */
    avi_refined *refined;                 /* (block rows) */
    double *owned;                        /* (own rows, AVI_GAP_COLUMNS), in order of position */
    int64_t block;                        /* rows of a block */
    avi_gap_progress progress;
} avi_ledger_work;

/* Weights above this k-hat cannot be relied on (Vehtari et al. 2024). */
static const double AVI_KHAT_LIMIT = 0.7;

static inline void *avi_ledger_row(const avi_ledger_work *m, void *table, int64_t width, int64_t position)
{
    return avi_vector_at(m->f->s->precision, table, (position - m->data->first + 1) * width);
}
static inline double *avi_ledger_owned(const avi_ledger_work *m, int64_t position)
{
    return m->owned + (position - m->data->first) * AVI_GAP_COLUMNS;
}
/* Collective. Where the refinement starts: the function's factors, or those of a factorized run, with their weights. */
avi_status avi_ledger_start(avi_ledger_work *m, const avi_row_ranges *job);
/* Own rows of the block to their optimum. Not collective. */
avi_status avi_ledger_refine(avi_ledger_work *m, int64_t first, int64_t rows);
/* Columns of the row r of a block from its weights and values of the block. Sorts nothing: the weights stay. */
avi_status avi_ledger_fill_row(avi_ledger_work *m, int64_t r, double out[AVI_GAP_COLUMNS]);
/* Collective. ELBO of rows under an exact rule; nothing where there is none. */
avi_status avi_ledger_exact_rows(avi_ledger_work *m, const avi_row_ranges *job, double *elbo);
/* Collective. The rows [first, first + rows) of a block whose k-hat is above the limit climb the ladder. */
avi_status avi_ledger_climb(avi_ledger_work *m, int64_t first, int64_t rows);
/* Collective. The rows with the largest gaps, with what the model makes of their factors: l->worst. */
avi_status avi_ledger_worst(avi_ledger_work *m, avi_gap_ledger *l);

#endif
