/* A-VI by a network (an encoder), or by two: one for the means, one for the scales (Margossian & Blei's nonlinear
 * model). */
#include "avi/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 16 };

typedef struct mlp {
    int layers;
    bool separate;
    avi_activation activation;
} mlp;

static const avi_key keys[] = {
    {"inference", "hidden", AVI_KEY_INT_LIST, "400", 1, 1e6, NULL, "units",
     "widths of the hidden layers, from x to z; empty: an affine function"},
    {"inference", "activation", AVI_KEY_CHOICE, "relu", 0, 0, AVI_ACTIVATION_CHOICES, NULL, "of the hidden layers"},
    {"inference", "networks", AVI_KEY_CHOICE, "shared", 0, 0, "shared | separate", NULL,
     "one network for mean and scale of q(z_n), or one each"},
};

static avi_status declare(avi_infer *f, const char *name, const int64_t *hidden, int count, int64_t outputs)
{
    int64_t in = f->inputs;
    for (int i = 0; i <= count; i++) {
        char layer[40];
        const int64_t out = i < count ? hidden[i] : outputs;
        snprintf(layer, sizeof layer, "%s.%d", name, i);
        AVI_TRY(avi_params_add_affine(&f->phi, layer, in, out));
        in = out;
    }
    return AVI_OK;
}

static avi_status create(avi_infer *f, const avi_config *config)
{
    int64_t hidden[MAX_LAYERS];
    mlp *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    const int count = avi_config_get_int_list(config, "inference", "hidden", hidden, MAX_LAYERS);
    if (count > MAX_LAYERS) return avi_config_fail(config, "inference", "hidden", "more than %d layers", MAX_LAYERS);
    n->layers = count + 1;
    n->activation = avi_activation_find(avi_config_get_string(config, "inference", "activation"));
    n->separate = !strcmp(avi_config_get_string(config, "inference", "networks"), "separate");
    if (!n->separate) return declare(f, "encoder", hidden, count, f->outputs);
    AVI_TRY(declare(f, "mean", hidden, count, f->latent));
    return declare(f, "scale", hidden, count, f->outputs - f->latent);
}

static avi_node *network(const mlp *n, avi_tape *t, avi_node *x, avi_node **phi)
{
    for (int i = 0; i < n->layers; i++)
        x = avi_affine(t, x, phi[2 * i], phi[2 * i + 1], i + 1 < n->layers ? n->activation : AVI_IDENTITY);
    return x;
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)rows;
    (void)table;
    const mlp *n = f->self;
    avi_node *first = network(n, t, features, phi);
    return n->separate ? avi_concat(t, first, network(n, t, features, phi + 2 * n->layers)) : first;
}

const avi_infer_ops avi_infer_mlp = {
    .name = "mlp",
    .doc = "A-VI by a network of affine layers (the encoder of a VAE), any depth and width",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .features = true,
    .create = create,
    .forward = forward,
};
