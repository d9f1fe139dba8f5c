#include "tape/gradient_sink.h"
#include "tape/internal.h"

#include <string.h>

avi_node *avi_parameter_in_sink(avi_tape *t, int64_t rows, int64_t cols, const void *values, int64_t place)
{
    const avi_gradient_sink *sink = avi_tape_sink(t);
    if (!sink) return avi_constant(t, rows, cols, values);
    avi_node *n = avi_parameter(t, rows, cols, values, avi_vector_at(avi_tape_precision(t), sink->gradient, place));
    n->grad_set = sink->add;
    n->in_sink = true;
    n->size[0] = place;
    return n;
}

const avi_gradient_sink *avi_tape_tile_sink(const avi_tape *t)
{
    const avi_gradient_sink *sink = avi_tape_sink(t);
    return sink && sink->tiles ? sink : NULL;
}

bool avi_tape_end_sink(avi_tape *t)
{
    const avi_gradient_sink *sink = avi_tape_sink(t);
    for (const avi_node *n = avi_tape_newest(t); sink && n; n = n->next_older) {
        const int64_t values = n->rows * n->cols;
        if (!n->in_sink) continue;
        if (sink->tiles && n->grad_set) sink->values(sink->context, n->size[0], values, n->grad);
        if (!sink->tiles && !n->grad_set) memset(n->grad, 0, (size_t)values * avi_real_size(avi_tape_precision(t)));
    }
    return avi_tape_take_untiled(t);
}
