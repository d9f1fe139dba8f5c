#include "avi/nn.h"

#include <stdio.h>
#include <string.h>

/* ---- keys ---- */

/* Some layer must be as wide as the one before, or `residual` does nothing. */
static bool can_add(const avi_network *n)
{
    for (int i = 1; i < n->hidden; i++)
        if (n->width[i] == n->width[i - 1]) return true;
    return false;
}

avi_status avi_network_read(const avi_config *config, const char *section, avi_network *n)
{
    *n = (avi_network){0};
    n->hidden = avi_config_get_int_list(config, section, "hidden", n->width, AVI_NETWORK_LAYERS);
    if (n->hidden > AVI_NETWORK_LAYERS)
        return avi_config_fail(config, section, "hidden", "%d layers; use at most %d", n->hidden, AVI_NETWORK_LAYERS);
    n->activation = avi_activation_find(avi_config_get_string(config, section, "activation"));
    n->norm = !strcmp(avi_config_get_string(config, section, "norm"), "layer");
    n->residual = avi_config_get_bool(config, section, "residual");
    if (n->residual && !can_add(n)) {
        const int64_t width = n->hidden ? n->width[0] : 400;
        return avi_config_fail(config, section, "residual",
                               "no hidden layer is as wide as the layer before it; use %s.hidden = %lld, %lld, or no",
                               section, (long long)width, (long long)width);
    }
    return AVI_OK;
}

/* ---- parameters ---- */

static avi_status declare_norm(avi_params *params, const char *layer, int64_t width)
{
    char name[64], axis[64];
    snprintf(axis, sizeof axis, "%.48s_output", layer);
    for (char *c = axis; *c; c++)
        if (*c == '.') *c = '_'; /* as those of the layer's weights */
    snprintf(name, sizeof name, "%s.gain", layer);
    AVI_TRY(avi_params_add(params, name, 1, width, AVI_INIT_CONSTANT, 1, NULL));
    AVI_TRY(avi_params_describe(params, name, axis, "gain of the layer norm of each unit"));
    snprintf(name, sizeof name, "%s.offset", layer);
    AVI_TRY(avi_params_add(params, name, 1, width, AVI_INIT_CONSTANT, 0, NULL));
    return avi_params_describe(params, name, axis, "offset of the layer norm of each unit");
}

avi_status avi_network_declare(avi_network *n, const char *name, int64_t inputs, int64_t outputs, avi_params *params)
{
    int64_t in = inputs;
    n->inputs = inputs;
    n->outputs = outputs;
    for (int i = 0; i <= n->hidden; i++) {
        char layer[48];
        const int64_t out = i < n->hidden ? n->width[i] : outputs;
        snprintf(layer, sizeof layer, "%s.%d", name, i);
        AVI_TRY(avi_params_add_affine(params, layer, in, out));
        if (n->norm && i < n->hidden) AVI_TRY(declare_norm(params, layer, out));
        in = out;
    }
    return AVI_OK;
}

int avi_network_blocks(const avi_network *n) { return n->hidden * (n->norm ? 4 : 2) + 2; }

/* ---- nodes ---- */

/* A hidden layer without what it adds. */
static avi_node *hidden_layer(const avi_network *n, avi_tape *t, avi_node *x, avi_node *const *of)
{
    if (!n->norm) return avi_affine(t, x, of[0], of[1], n->activation);
    avi_node *centred = avi_layer_norm(t, avi_affine(t, x, of[0], of[1], AVI_IDENTITY), of[2], of[3]);
    return avi_activate(t, centred, n->activation);
}

avi_node *avi_network_forward(const avi_network *n, avi_tape *t, avi_node *x, avi_node *const *params)
{
    for (int i = 0; i < n->hidden; i++, params += n->norm ? 4 : 2) {
        avi_node *h = hidden_layer(n, t, x, params);
        x = n->residual && i > 0 && n->width[i] == n->width[i - 1] ? avi_add(t, h, x) : h;
    }
    return avi_affine(t, x, params[0], params[1], n->activate_output ? n->activation : AVI_IDENTITY);
}
