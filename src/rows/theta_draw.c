#include "rows/theta_draw.h"
#include "elbo/theta_family.h"

#include <math.h>
#include <stdlib.h>

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
    for (int64_t i = 0; i < s->layout.theta; i++) {
        double e;
        avi_normal_f64(stream, 0, 1, i, 1, &e);
        const double mean = avi_vector_get(s->precision, params, i),
                     sd = exp(avi_vector_get(s->precision, params, log_sd + i));
        avi_vector_set(s->precision, drawn, i, mean + sd * e);
    }
    return AVI_OK;
}

avi_status avi_theta_values_create(const avi_session *s, avi_theta_values *v)
{
    const size_t n = (size_t)s->layout.theta + 1, blocks = (size_t)s->model->theta.count + 1;
    v->values = malloc(n * sizeof *v->values);
    v->block = malloc(blocks * sizeof *v->block);
    if (!v->values || !v->block) return avi_fail_memory(n * sizeof *v->values, "the global parameters");
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
    *v = (avi_theta_values){0};
}

void avi_theta_noise(const avi_session *s, uint64_t row, int64_t draw, double *noise)
{
    const avi_stream stream = avi_stream_make(s->seed, AVI_DRAW_EVAL, STREAM_NOISE + (uint64_t)draw);
    avi_normal_f64(stream, row, 1, 0, s->shape.width, noise);
}
