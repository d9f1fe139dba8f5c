/* A-VI by a convolutional network: strided convolutions over the pixels of an image, or over the rows of a window of a
 * series, then dense layers. */
#include "avi/infer.h"
#include "avi/nn.h"

#include <stdlib.h>

typedef struct conv {
    avi_convolutions convolutions;
    avi_network dense;
} conv;

static const avi_key keys[] = {
    AVI_CONVOLUTION_KEYS("inference", "32, 64", "channels of the convolutions, from x inwards"),
    AVI_NETWORK_KEYS("inference", "256",
                     "widths of the dense layers between the convolutions and z; empty: an affine map"),
};

static avi_status create(avi_infer *f, const avi_config *config)
{
    conv *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    if (f->shape.layout == AVI_LAYOUT_VECTOR)
        return avi_config_fail(config, "inference", "function",
                               "a row is %lld plain values, of which none is beside another; use data.height where a "
                               "row of a table is an image, inference.domain = window:8 for a series, or mlp",
                               (long long)f->shape.view.width);
    AVI_TRY(avi_network_read(config, "inference", &n->dense));
    AVI_TRY(avi_convolutions_read(config, "inference", &f->shape.view, true, n->dense.activation, &n->convolutions));
    AVI_TRY(avi_convolutions_declare(&n->convolutions, "convolution", false, &f->phi));
    return avi_network_declare(&n->dense, "encoder", avi_convolutions_values(&n->convolutions), f->outputs, &f->phi);
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)rows;
    (void)table;
    const conv *n = f->self;
    avi_node *inner = avi_convolutions_forward(&n->convolutions, t, features, phi);
    return avi_network_forward(&n->dense, t, inner, phi + 2 * n->convolutions.layers);
}

const avi_infer_ops avi_infer_conv = {
    .name = "conv",
    .doc = "A-VI by strided convolutions and dense layers, for images and for windows of a series",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "channels = 3, 2\nkernel = 3\nhidden = 5\nactivation = tanh\n",
    .features = true,
    .create = create,
    .forward = forward,
};
