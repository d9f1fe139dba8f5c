#include "train/dead_block.h"

/* Constant values have no gradient to give once they are centred: that is no dead network. */
static bool inputs_differ(const avi_session *s)
{
    const avi_column_moments *m = s->problem.features;
    for (int64_t c = 0; m && c < m->width; c++)
        if (m->sd[c] > 0) return true;
    return m == NULL;
}

/* Rounding leaves no gradient of a live block at 0 in all its values: where it is, no unit behind it is active. */
static bool is_zero(const avi_session *s, const avi_state *st, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (avi_vector_get(s->precision, st->gradient, first + i) != 0) return false;
    return true;
}

const char *avi_dead_block(const avi_session *s, const avi_state *st)
{
    const avi_params *phi = &s->infer->phi;
    const int64_t first = avi_parameter_layout_phi(&s->problem, &s->layout);
    if (!s->infer->ops->features || !inputs_differ(s)) return NULL;
    for (int k = 0; k < phi->count; k++) {
        const avi_block *b = &phi->block[k];
        if (b->init == AVI_INIT_UNIFORM && b->rows * b->cols > 1 &&
            is_zero(s, st, first + b->offset, b->rows * b->cols))
            return b->name;
    }
    return NULL;
}
