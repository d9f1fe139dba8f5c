#include "state/moments.h"

#include <stdlib.h>

avi_status avi_moments_take(const avi_session *s, const avi_state *st, avi_moments *m)
{
    const avi_family *f = s->family;
    const avi_params *phi = &s->infer->phi;
    int64_t values = 0;
    *m = (avi_moments){.family = f};
    for (int k = 0; k < f->count; k++) values += phi->block[f->first + k].rows * phi->block[f->first + k].cols;
    if (values == 0) return AVI_OK;
    m->values = malloc((size_t)values * sizeof *m->values);
    m->own = malloc((size_t)f->count * sizeof *m->own);
    if (!m->values || !m->own) return avi_fail_memory((size_t)values * sizeof *m->values, "the variational family");
    double *at = m->values;
    for (int k = 0; k < f->count; k++) {
        const avi_block *b = &phi->block[f->first + k];
        const int64_t from = avi_parameter_layout_phi(&s->problem, &s->layout) + b->offset;
        avi_vector_to_double(s->precision, avi_vector_at(s->precision, st->params, from), b->rows * b->cols, at);
        m->own[k] = at;
        at += b->rows * b->cols;
    }
    return AVI_OK;
}

void avi_moments_rows(const avi_moments *m, int64_t rows, const double *nu, double *mean, double *log_sd)
{
    const avi_family *f = m->family;
    for (int64_t r = 0; r < rows; r++)
        f->ops->moments(f, nu + r * f->width, m->own, mean + r * f->latent, log_sd + r * f->latent);
}

void avi_moments_free(avi_moments *m)
{
    free(m->values);
    free((void *)m->own);
    *m = (avi_moments){0};
}
