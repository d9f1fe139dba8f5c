#include "avi/nn.h"
#include "tape/internal.h"

void avi_forward_attention_f32(avi_tape *t, avi_node *n);
void avi_forward_attention_f64(avi_tape *t, avi_node *n);
void avi_backward_attention_f32(avi_tape *t, avi_node *n);
void avi_backward_attention_f64(avi_tape *t, avi_node *n);

static const avi_op op = {.name = "attention",
                          .forward = {avi_forward_attention_f32, avi_forward_attention_f64},
                          .backward = {avi_backward_attention_f32, avi_backward_attention_f64}};

avi_node *avi_attention(avi_tape *t, avi_node *qkv, int64_t heads, int64_t segments, const int64_t *first)
{
    avi_tape_require(qkv->cols % (3 * heads) == 0 && first[segments] == qkv->rows, op.name,
                     "qkv is not (E, 3 heads d), or the segments do not have its rows", qkv, NULL);
    avi_node *n = avi_tape_node(t, &op, qkv->rows, qkv->cols / 3, 1, &qkv);
    n->size[0] = heads;
    n->size[1] = segments;
    n->runs = first;
    return avi_tape_run(t, n);
}

const int64_t *avi_segments_alike(avi_tape *t, int64_t segments, int64_t rows)
{
    int64_t *first = avi_tape_alloc(t, 2 * (segments + 1)); /* int64 in either precision */
    for (int64_t b = 0; b <= segments; b++) first[b] = b * rows;
    return first;
}
