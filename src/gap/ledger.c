#include "gap/ledger_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_DIMENSIONS = 4, BLOCK = 1024 /* rows at a time, or one tile */ };

typedef avi_ledger_work maker;

static int64_t block_rows(const avi_data *data)
{
    const int64_t tile = data->partition.tile;
    return tile >= BLOCK ? tile : BLOCK / tile * tile;
}

static avi_status allocate(maker *m)
{
    const avi_session *s = m->f->s;
    const int64_t width = m->f->family->width, own = m->data->count;
    const size_t real = avi_real_size(s->precision), table = (size_t)((own + 2) * width);
    m->block = block_rows(m->data);
    const size_t n = (size_t)m->block, k = (size_t)m->settings->draws;
    m->table = calloc(table, real);
    m->grad = calloc(table, real);
    m->weight_function = malloc(n * k * sizeof(double));
    m->weight_own = malloc(n * k * sizeof(double));
    m->weight_other = malloc(n * k * sizeof(double));
    if (m->f->full) m->full = calloc((size_t)((own + 2) * m->f->full->width), real);
    m->nu = malloc(n * (size_t)width * sizeof(double));
    m->before = malloc(n * sizeof(double));
    m->after = malloc(n * sizeof(double));
    m->refined = malloc(n * sizeof *m->refined);
    m->owned = malloc((size_t)(own * AVI_GAP_COLUMNS + 1) * sizeof(double));
    if (m->table && m->grad && (m->full || !m->f->full) && m->weight_function && m->weight_own && m->weight_other &&
        m->nu && m->before && m->after && m->refined && m->owned)
        return AVI_OK;
    return avi_fail_memory(2 * table * real + 2 * n * k * sizeof(double), "the gap ledger");
}

static void release(maker *m)
{
    avi_estimator_destroy(&m->refine);
    avi_estimator_destroy(&m->weigh_own);
    avi_estimator_destroy(&m->weigh_function);
    free(m->table);
    free(m->grad);
    free(m->weight_function);
    free(m->weight_own);
    free(m->weight_other);
    free(m->full);
    avi_estimator_destroy(&m->weigh_full);
    free(m->nu);
    free(m->before);
    free(m->after);
    free(m->refined);
    free(m->owned);
    avi_gap_progress_free(&m->progress);
}

/* ---- a block of rows ---- */

/* Collective. Every rank comes as often; a rank that has no rows left takes part without. */
static avi_status make_block(maker *m, int64_t first, int64_t rows)
{
    const avi_row_ranges job = {.count = rows > 0, .first = &first, .rows = &rows};
    const avi_row_values values = {.log_weight = m->weight_own};
    double sums[AVI_SUMS];
    AVI_TRY(avi_ledger_start(m, &job));
    AVI_TRY(avi_ledger_exact_rows(m, &job, m->before));
    AVI_TRY(avi_agree(m->f->s->comm, avi_ledger_refine(m, first, rows)));
    AVI_TRY(avi_ledger_exact_rows(m, &job, m->after));
    AVI_TRY(avi_estimator_evaluate(m->weigh_own, m->f->params_own, m->table, &job, false, sums, &values));
    avi_status status = AVI_OK;
    for (int64_t r = 0; r < rows && status == AVI_OK; r++)
        status = avi_ledger_fill_row(m, r, avi_ledger_owned(m, first + r));
    AVI_TRY(avi_agree(m->f->s->comm, status));
    return avi_ledger_climb(m, first, rows);
}

/* The next own block from *at on that has a row that an earlier run has not done; *first = -1: none is left. */
static void next_block(const maker *m, int64_t *at, int64_t *first, int64_t *rows)
{
    const int64_t own = m->data->count;
    for (*first = -1, *rows = 0; *at < own && *first < 0; *at += m->block) {
        const int64_t n = own - *at < m->block ? own - *at : m->block;
        for (int64_t r = *at; r < *at + n && *first < 0; r++)
            if (!m->progress.done[r]) *first = m->data->first + *at;
        if (*first >= 0) *rows = n;
    }
}

static avi_status make_rows(maker *m)
{
    avi_comm *comm = m->f->s->comm;
    for (int64_t at = 0;;) {
        int64_t first, rows;
        next_block(m, &at, &first, &rows);
        int64_t left = first >= 0;
        AVI_TRY(avi_comm_max_int64(comm, &left, 1));
        if (!left) return AVI_OK;
        AVI_TRY(make_block(m, first >= 0 ? first : m->data->first, rows));
        AVI_TRY(avi_gap_progress_add(&m->progress, first, rows));
    }
}

/* ---- from owners to slabs of given order ---- */

static avi_status to_slabs(const maker *m, avi_gap_ledger *l)
{
    const avi_session *s = m->f->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    l->all = m->data->partition.rows;
    l->first = avi_slab_first(l->all, ranks, rank);
    l->rows = avi_slab_first(l->all, ranks, rank + 1) - l->first;
    double *slab = malloc((size_t)(l->rows * AVI_GAP_COLUMNS + 1) * sizeof *slab);
    bool good = slab != NULL;
    for (int c = 0; c < AVI_GAP_COLUMNS; c++) {
        l->column[c] = malloc((size_t)(l->rows + 1) * sizeof(double));
        good = good && l->column[c];
    }
    avi_status status =
        avi_agree(s->comm, good ? AVI_OK : avi_fail_memory((size_t)l->rows * sizeof *slab, "the gap ledger"));
    if (status == AVI_OK)
        status = avi_partition_to_given(&m->data->partition, s->comm, AVI_GAP_COLUMNS * sizeof(double), m->owned, slab);
    for (int64_t r = 0; r < l->rows && status == AVI_OK; r++)
        for (int c = 0; c < AVI_GAP_COLUMNS; c++) l->column[c][r] = slab[r * AVI_GAP_COLUMNS + c];
    free(slab);
    return status;
}

static avi_status prepare(maker *m)
{
    const avi_fixed_theta *f = m->f;
    AVI_TRY(allocate(m));
    AVI_TRY(avi_estimator_create(&f->refine, f->s->comm, m->data, &m->refine));
    AVI_TRY(avi_estimator_create(&f->weigh_own, f->s->comm, m->data, &m->weigh_own));
    if (f->full) AVI_TRY(avi_estimator_create(&f->weigh_full, f->s->comm, m->data, &m->weigh_full));
    return avi_estimator_create(&f->weigh_function, f->s->comm, m->data, &m->weigh_function);
}

avi_status avi_gap_totals_make(const avi_session *s, avi_gap_ledger *l);

avi_status avi_gap_ledger_make(const avi_fixed_theta *f, const avi_data *data, const void *table, const char *name,
                               const avi_gap_settings *settings, avi_gap_ledger *l)
{
    avi_gap_settings own = *settings;
    if (own.starts == 0) own.starts = f->s->model->latent <= FEW_DIMENSIONS ? 3 : 1;
    maker m = {.f = f, .settings = &own, .data = data, .given = table};
    *l = (avi_gap_ledger){.name = name};
    char text[128];
    snprintf(text, sizeof text, "draws %d, starts %d, passes %d, tolerance %g, tile %lld, reproducible %d", own.draws,
             own.starts, own.passes, settings->tolerance, (long long)data->partition.tile, f->s->problem.reproducible);
    avi_status status = avi_agree(f->s->comm, prepare(&m));
    if (status == AVI_OK)
        status = avi_gap_progress_open(f, data, table, settings->folder, settings->save, name, text, AVI_GAP_COLUMNS,
                                       m.owned, &m.progress);
    if (status == AVI_OK) status = make_rows(&m);
    if (status == AVI_OK) status = to_slabs(&m, l);
    if (status == AVI_OK) status = avi_gap_totals_make(f->s, l);
    if (status == AVI_OK) status = avi_ledger_worst(&m, l);
    release(&m);
    return status;
}

void avi_gap_ledger_free(avi_gap_ledger *l)
{
    for (int c = 0; c < AVI_GAP_COLUMNS; c++) free(l->column[c]);
    for (int k = 0; k < AVI_WORST_PICTURES; k++) free(l->worst[k]);
    *l = (avi_gap_ledger){0};
}
