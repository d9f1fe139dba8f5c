#include "train/mean_mse.h"
#include "base/signals.h"
#include "avi/fixed_point.h"
#include "session/moments.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 512 /* rows that are decoded together, where nothing is against it */ };

/* What is summed over ranks: the limbs of an exact sum, the rows, and how many pieces are not finite. */
enum { ROWS = AVI_WIDE_LIMBS, BAD, WORDS };

typedef struct means {
    const avi_session *s;
    const avi_state *st;
    avi_estimator *e;
    const avi_data *data;
    const avi_row_ranges *job;
    const double *nu;
    double *z, *log_sd; /* (capacity, L) */
    avi_moments moments;
    double *x, *image; /* (capacity, D) */
    double *mask;      /* (capacity, D): 0 where a value is missing; NULL: none is */
    int64_t word[WORDS];
} means;

/* Tiles [tile, returned) of the job. One where the bits are to be the same on any number of ranks, since what a product
 * gives for a row may depend on the rows beside it; else as many as fit. */
static int next_piece(const means *m, int tile, int64_t *rows)
{
    *rows = m->job->rows[tile++];
    while (!m->s->problem.reproducible && tile < m->job->count && *rows + m->job->rows[tile] <= BLOCK)
        *rows += m->job->rows[tile++];
    return tile;
}

static avi_status allocate(means *m)
{
    int64_t rows = BLOCK;
    for (int i = 0; i < m->job->count; i++) rows = m->job->rows[i] > rows ? m->job->rows[i] : rows;
    const size_t l = (size_t)m->s->model->latent, d = (size_t)m->s->shape.width, n = (size_t)rows;
    m->z = malloc(n * l * sizeof *m->z);
    m->log_sd = malloc(n * l * sizeof *m->log_sd);
    AVI_TRY(avi_moments_take(m->s, m->st, &m->moments));
    m->x = malloc(n * d * sizeof *m->x);
    m->image = malloc(n * d * sizeof *m->image);
    if (m->data->masked) m->mask = malloc(n * d * sizeof *m->mask);
    if (m->z && m->log_sd && m->x && m->image && (m->mask || !m->data->masked)) return AVI_OK;
    return avi_fail_memory(n * (l + 2 * d) * sizeof(double), "the reconstruction error");
}

/* Adds the rows of tiles [tile, next), which stand in nu from row `done` on. */
static avi_status add_piece(means *m, int tile, int next, int64_t done, int64_t rows)
{
    const int64_t d = m->s->shape.width, width = m->s->infer->outputs;
    avi_moments_rows(&m->moments, rows, m->nu + done * width, m->z, m->log_sd);
    for (int64_t at = 0; tile < next; at += m->job->rows[tile++]) {
        avi_data_fetch_f64(m->data, m->job->first[tile], m->job->rows[tile], m->x + at * d);
        if (m->mask) avi_data_fetch_mask_f64(m->data, m->job->first[tile], m->job->rows[tile], m->mask + at * d);
    }
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

static avi_status add_all(means *m)
{
    AVI_TRY(allocate(m));
    int64_t done = 0, rows;
    for (int tile = 0, next; tile < m->job->count; tile = next, done += rows) {
        next = next_piece(m, tile, &rows);
        AVI_TRY(avi_signals_status());
        AVI_TRY(add_piece(m, tile, next, done, rows));
    }
    return AVI_OK;
}

avi_status avi_mean_mse(const avi_session *s, const avi_state *st, avi_estimator *e, const avi_data *data,
                        const avi_row_ranges *job, const double *nu, double *mse)
{
    means m = {.s = s, .st = st, .e = e, .data = data, .job = job, .nu = nu};
    avi_status status = avi_agree(s->comm, add_all(&m));
    free(m.z);
    free(m.log_sd);
    free(m.x);
    free(m.image);
    free(m.mask);
    avi_moments_free(&m.moments);
    AVI_TRY(status);
    AVI_TRY(avi_comm_sum_int64(s->comm, m.word, WORDS));
    *mse = m.word[BAD]
               ? NAN
               : avi_wide_read(m.word) / ((double)m.word[ROWS] * (double)s->shape.width * avi_data_observed(data));
    return AVI_OK;
}
