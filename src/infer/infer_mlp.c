/* A-VI by a network (an encoder), or by two: one for the means, one for the scales (Margossian & Blei's nonlinear
 * model). */
#include "avi/infer.h"
#include "avi/nn.h"

#include <stdlib.h>
#include <string.h>

typedef struct mlp {
    bool separate;
    avi_network first, second; /* second: of the scales, where they are separate */
} mlp;

static const avi_key keys[] = {
    AVI_NETWORK_KEYS("inference", "400", "widths of the hidden layers, from x to z; empty: an affine function"),
    {"inference", "networks", AVI_KEY_CHOICE, "shared", 0, 0, "shared | separate", NULL,
     "one network for mean and scale of q(z_n), or one each"},
};

static avi_status create(avi_infer *f, const avi_config *config)
{
    mlp *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    AVI_TRY(avi_network_read(config, "inference", &n->first));
    n->second = n->first;
    n->separate = !strcmp(avi_config_get_string(config, "inference", "networks"), "separate");
    if (!n->separate) return avi_network_declare(&n->first, "encoder", f->inputs, f->outputs, &f->phi);
    AVI_TRY(avi_network_declare(&n->first, "mean", f->inputs, f->latent, &f->phi));
    return avi_network_declare(&n->second, "scale", f->inputs, f->outputs - f->latent, &f->phi);
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)rows;
    (void)table;
    const mlp *n = f->self;
    avi_node *first = avi_network_forward(&n->first, t, features, phi);
    if (!n->separate) return first;
    return avi_concat(t, first, avi_network_forward(&n->second, t, features, phi + avi_network_blocks(&n->first)));
}

const avi_infer_ops avi_infer_mlp = {
    .name = "mlp",
    .doc = "A-VI by a network of affine layers (the encoder of a VAE), any depth and width",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .features = true,
    .plain = true,
    .create = create,
    .forward = forward,
};
