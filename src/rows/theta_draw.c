#include "rows/theta_draw.h"
#include "elbo/theta_family.h"

#include <math.h>
#include <stdlib.h>

enum { PIECE = 1024, /* normals of theta that are made together */ NOISE_ROWS = 64, NOISE_VALUES = 1 << 16 };

/* Steps of streams that nothing else takes. */
static const uint64_t STREAM_THETA = (uint64_t)1 << 40, STREAM_NOISE = (uint64_t)1 << 41;

static avi_status draw_joint(const avi_session *s, const void *params, avi_stream stream, void *drawn)
{
    avi_theta_family *q = NULL;
    AVI_TRY(avi_theta_family_create(&s->problem, &q));
    const double *theta = avi_theta_family_draw(q, params, NULL, stream, 1, false);
    const avi_status status = avi_theta_family_status(q);
    for (int64_t i = 0; status == AVI_OK && i < q->count; i++)
        avi_vector_set(s->precision, drawn, q->place[i], theta[i]);
    avi_theta_family_destroy(&q);
    return status;
}

avi_status avi_theta_draw(const avi_session *s, const void *params, int t, void *drawn)
{
    const avi_stream stream = avi_stream_make(s->seed, AVI_DRAW_GLOBAL, STREAM_THETA + (uint64_t)t);
    const int64_t log_sd = avi_parameter_layout_log_sd(&s->problem, &s->layout);
    if (s->problem.global_family) return draw_joint(s, params, stream, drawn);
    double e[PIECE];
    for (int64_t first = 0, n; first < s->layout.theta; first += n) {
        n = s->layout.theta - first < PIECE ? s->layout.theta - first : PIECE;
        avi_normal_f64(stream, 0, 1, first, n, e);
        for (int64_t i = first; i < first + n; i++) {
            const double mean = avi_vector_get(s->precision, params, i),
                         sd = exp(avi_vector_get(s->precision, params, log_sd + i));
            avi_vector_set(s->precision, drawn, i, mean + sd * e[i - first]);
        }
    }
    return AVI_OK;
}

/* Rows whose noise is made together. */
static int64_t noise_rows(const avi_session *s)
{
    const int64_t most = s->shape.width > 0 ? NOISE_VALUES / s->shape.width : 1;
    return most < 1 ? 1 : most < NOISE_ROWS ? most : NOISE_ROWS;
}

avi_status avi_theta_values_create(const avi_session *s, avi_theta_values *v)
{
    const size_t n = (size_t)s->layout.theta + 1, blocks = (size_t)s->model->theta.count + 1;
    v->values = malloc(n * sizeof *v->values);
    v->block = malloc(blocks * sizeof *v->block);
    v->noise = malloc((size_t)(noise_rows(s) * s->shape.width + 1) * sizeof *v->noise);
    if (!v->values || !v->block || !v->noise) return avi_fail_memory(n * sizeof *v->values, "the global parameters");
    for (int k = 0; k < s->model->theta.count; k++) v->block[k] = v->values + s->model->theta.block[k].offset;
    return AVI_OK;
}

void avi_theta_values_take(const avi_session *s, const void *params, avi_theta_values *v)
{
    avi_vector_to_double(s->precision, params, s->layout.theta, v->values);
}

void avi_theta_values_free(avi_theta_values *v)
{
    free(v->values);
    free((void *)v->block);
    free(v->noise);
    *v = (avi_theta_values){0};
}

/* Standard normals of the data of listed rows: (rows, D). They are made for a panel of counters at a time, each with
 * four columns of a row: panels run along a row or down the list, whichever takes fewer. */
static void make_noise(const avi_session *s, const int64_t *row, int64_t rows, int64_t draw, double *noise)
{
    enum { PANEL_COLUMNS = 256, PANEL_ROWS = 64 };
    const avi_stream stream = avi_stream_make(s->seed, AVI_DRAW_EVAL, STREAM_NOISE + (uint64_t)draw);
    const int64_t d = s->shape.width, along = rows * ((d + PANEL_COLUMNS - 1) / PANEL_COLUMNS),
                  down = (rows + PANEL_ROWS - 1) / PANEL_ROWS * ((d + 3) / 4);
    if (down < along) {
        avi_normal_rows_f64(stream, row, rows, 0, d, noise);
        return;
    }
    for (int64_t r = 0; r < rows; r++) avi_normal_f64(stream, (uint64_t)row[r], 1, 0, d, noise + r * d);
}

void avi_theta_draw_data(const avi_session *s, const avi_theta_values *theta, const avi_data_draws *to, int64_t draw)
{
    const int64_t d = s->shape.width, most = noise_rows(s);
    for (int64_t first = 0, n; first < to->rows; first += n) {
        n = to->rows - first < most ? to->rows - first : most;
        make_noise(s, to->row + first, n, draw, theta->noise);
        for (int64_t r = 0; r < n; r++)
            s->model->ops->draw(s->model, 1, to->z + (first + r) * to->z_stride, theta->block, theta->noise + r * d,
                                to->x + (first + r) * to->x_stride);
    }
}
