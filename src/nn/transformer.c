#include "avi/nn.h"

#include <stdio.h>

enum { OF_BLOCK = 12 /* blocks of parameters of one block of the transformer */ };

static avi_status declare_norm(avi_params *params, const char *name, int64_t width)
{
    char block[64];
    snprintf(block, sizeof block, "%s.gain", name);
    AVI_TRY(avi_params_add(params, block, 1, width, AVI_INIT_CONSTANT, 1, NULL));
    snprintf(block, sizeof block, "%s.offset", name);
    return avi_params_add(params, block, 1, width, AVI_INIT_CONSTANT, 0, NULL);
}

static avi_status declare_block(const avi_transformer *n, const char *name, int number, avi_params *params)
{
    static const char *const part[] = {"norm1", "qkv", "out", "norm2", "hidden", "back"};
    const int64_t out[] = {n->width, 3 * n->width, n->width, n->width, n->hidden, n->width},
                  in[] = {0, n->width, n->width, 0, n->width, n->hidden};
    for (int i = 0; i < 6; i++) {
        char layer[56];
        snprintf(layer, sizeof layer, "%s.%d.%s", name, number, part[i]);
        AVI_TRY(in[i] ? avi_params_add_affine(params, layer, in[i], out[i]) : declare_norm(params, layer, out[i]));
    }
    return AVI_OK;
}

avi_status avi_transformer_declare(const avi_transformer *n, const char *name, int64_t inputs, avi_params *params)
{
    char layer[56];
    snprintf(layer, sizeof layer, "%s.embed", name);
    AVI_TRY(avi_params_add_affine(params, layer, inputs, n->width));
    for (int i = 0; i < n->blocks; i++) AVI_TRY(declare_block(n, name, i, params));
    snprintf(layer, sizeof layer, "%s.norm", name);
    return declare_norm(params, layer, n->width);
}

int avi_transformer_blocks(const avi_transformer *n) { return 4 + OF_BLOCK * (int)n->blocks; }

avi_node *avi_transformer_forward(const avi_transformer *n, avi_tape *t, avi_node *x, avi_node *place, int64_t segments,
                                  const int64_t *first, avi_node *const *params)
{
    avi_node *const *p = params + 2;
    avi_node *h = avi_affine(t, x, params[0], params[1], AVI_IDENTITY);
    if (place) h = avi_add(t, h, place);
    for (int64_t i = 0; i < n->blocks; i++, p += OF_BLOCK) {
        avi_node *qkv = avi_affine(t, avi_layer_norm(t, h, p[0], p[1]), p[2], p[3], AVI_IDENTITY);
        avi_node *seen = avi_attention(t, qkv, n->heads, segments, first);
        h = avi_add(t, h, avi_affine(t, seen, p[4], p[5], AVI_IDENTITY));
        avi_node *hidden = avi_affine(t, avi_layer_norm(t, h, p[6], p[7]), p[8], p[9], n->activation);
        h = avi_add(t, h, avi_affine(t, hidden, p[10], p[11], AVI_IDENTITY));
    }
    return avi_layer_norm(t, h, p[0], p[1]);
}
