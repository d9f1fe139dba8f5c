#include "train/mean_mse.h"
#include "base/signals.h"
#include "avi/fixed_point.h"
#include "state/moments.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 512 /* rows that are decoded together, at most */ };

/* What is summed over ranks: the limbs of an exact sum, the rows, and how many pieces are not finite. */
enum { ROWS = AVI_WIDE_LIMBS, BAD, WORDS };

typedef struct means {
    const avi_session *s;
    const avi_state *st;
    avi_estimator *e;
    const avi_data *data;
    void *table;
    int64_t piece;      /* rows */
    double *nu;         /* (piece, width) */
    double *z, *log_sd; /* (piece, L) */
    double *x, *image;  /* (piece, D) */
    avi_moments moments;
    double *mask; /* (piece, D): 0 where a value is missing; NULL: none is */
    int64_t word[WORDS];
} means;

static avi_status allocate(means *m)
{
    const size_t l = (size_t)m->s->model->latent, d = (size_t)m->s->shape.width, n = (size_t)m->piece,
                 width = (size_t)m->s->infer->outputs, values = n * (width + 2 * l + 3 * d);
    m->nu = malloc(values * sizeof *m->nu);
    if (!m->nu) return avi_fail_memory(values * sizeof(double), "the reconstruction error");
    m->z = m->nu + n * width;
    m->x = m->z + n * l;
    m->image = m->x + n * d;
    m->log_sd = m->image + n * d;
    if (m->data->masked) m->mask = m->log_sd + n * l;
    return avi_moments_take(m->s, m->st, &m->moments);
}

/* Both sides are compared in the units of the user's columns, so transforms are undone on both. */
static avi_status add_piece(means *m, int64_t first, int64_t rows)
{
    const int64_t d = m->s->shape.width;
    AVI_TRY(avi_estimator_factors(m->e, m->st->params, m->table, first, rows, m->nu));
    avi_moments_rows(&m->moments, rows, m->nu, m->z, m->log_sd);
    avi_data_fetch_f64(m->data, first, rows, m->x);
    if (m->mask) avi_data_fetch_mask_f64(m->data, first, rows, m->mask);
    AVI_TRY(avi_estimator_decode(m->e, m->st->params, rows, m->z, m->image));
    avi_data_as_given(m->data, rows, m->x);
    avi_data_as_given(m->data, rows, m->image);
    double sum = 0;
    for (int64_t k = 0; k < rows * d; k++)
        if (!m->mask || m->mask[k] > 0) sum += (m->x[k] - m->image[k]) * (m->x[k] - m->image[k]);
    m->word[BAD] += avi_wide_add(m->word, sum);
    m->word[ROWS] += rows;
    return AVI_OK;
}

/* Own rows before `limit`. Where the bits are to be the same on any number of ranks a piece is (a part of) one tile,
 * since what a product gives for a row may depend on the rows beside it. */
static avi_status add_all(means *m, int64_t limit)
{
    const int64_t tile = m->data->partition.tile, own = m->data->first + m->data->count,
                  end = limit > 0 && limit < own ? limit : own;
    m->piece = tile > BLOCK || !m->s->problem.reproducible ? BLOCK : tile;
    AVI_TRY(allocate(m));
    for (int64_t first = m->data->first, n; first < end; first += n) {
        n = m->piece < end - first ? m->piece : end - first;
        if (m->s->problem.reproducible && tile - first % tile < n) n = tile - first % tile;
        AVI_TRY(avi_signals_status());
        AVI_TRY(add_piece(m, first, n));
    }
    return AVI_OK;
}

avi_status avi_mean_mse(const avi_session *s, const avi_state *st, avi_estimator *e, const avi_data *data, void *table,
                        int64_t limit, double *mse)
{
    means m = {.s = s, .st = st, .e = e, .data = data, .table = table};
    avi_status status = avi_agree(s->comm, add_all(&m, limit));
    free(m.nu);
    avi_moments_free(&m.moments);
    AVI_TRY(status);
    AVI_TRY(avi_comm_sum_int64(s->comm, m.word, WORDS));
    *mse = m.word[BAD]
               ? NAN
               : avi_wide_read(m.word) / ((double)m.word[ROWS] * (double)s->shape.width * avi_data_observed(data));
    return AVI_OK;
}
