/* An inference function: a network with residual blocks (He, Zhang, Ren & Sun 2016). A first affine map takes the
 * features of a row to `width` values h; each block adds tanh(W2 act(W1 h + b1) + b2) to h; a last affine map makes nu
 * of h. A sum keeps the way from x to nu short however many blocks there are. */
#include "avi/plugin.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct residual {
    int64_t blocks;
    avi_activation activation;
} residual;

static const avi_key keys[] = {
    {"inference", "width", AVI_KEY_INT, "64", 1, 1e6, NULL, "units", "values that the blocks pass on"},
    {"inference", "blocks", AVI_KEY_INT, "2", 0, 100, NULL, "blocks", "residual blocks"},
    {"inference", "activation", AVI_KEY_CHOICE, "relu", 0, 0, AVI_ACTIVATION_CHOICES, NULL, "inside the blocks"},
};

static avi_status create(avi_infer *f, const avi_config *config)
{
    char name[48];
    residual *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    const int64_t width = avi_config_get_int(config, "inference", "width");
    n->blocks = avi_config_get_int(config, "inference", "blocks");
    n->activation = avi_activation_find(avi_config_get_string(config, "inference", "activation"));
    AVI_TRY(avi_params_add_affine(&f->phi, "encoder.first", f->inputs, width));
    for (int64_t i = 0; i < n->blocks; i++) {
        snprintf(name, sizeof name, "encoder.block.%d.in", (int)i);
        AVI_TRY(avi_params_add_affine(&f->phi, name, width, width));
        snprintf(name, sizeof name, "encoder.block.%d.out", (int)i);
        AVI_TRY(avi_params_add_affine(&f->phi, name, width, width));
    }
    return avi_params_add_affine(&f->phi, "encoder.last", width, f->outputs);
}

/* features (B, inputs) -> nu (B, outputs). */
static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)rows, (void)table; /* of functions with a table of factors */
    const residual *n = f->self;
    avi_node *h = avi_affine(t, features, phi[0], phi[1], AVI_IDENTITY);
    for (int64_t i = 0; i < n->blocks; i++) {
        avi_node **of = phi + 2 + 4 * i;
        h = avi_add(t, h, avi_affine(t, avi_affine(t, h, of[0], of[1], n->activation), of[2], of[3], AVI_TANH));
    }
    phi += 2 + 4 * n->blocks;
    return avi_affine(t, h, phi[0], phi[1], AVI_IDENTITY);
}

static const avi_infer_ops infer = {
    .name = "residual",
    .doc = "A-VI by a network with residual blocks",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "width = 5\nactivation = tanh\n",
    .features = true,
    .create = create,
    .forward = forward,
};

static avi_status add(avi_registry *registry) { return avi_infer_register(registry, &infer); }
AVI_PLUGIN(add)
