/* Layers that encoders and decoders share: networks of dense layers, layer norm. One description (avi_network) is read
 * from keys, declares its parameters and builds its nodes; a model's decoder and an inference function use it alike.
 *
 * Not collective. The nodes follow the rules of tape.h. */
#ifndef AVI_NN_H
#define AVI_NN_H

#include "avi/config.h"
#include "avi/param.h"
#include "avi/tape.h"

enum { AVI_NETWORK_LAYERS = 16 /* most hidden layers */ };

/* Hidden layers h = act(norm(x W' + b)), then an affine map. With `residual` a hidden layer that is as wide as what
 * comes in adds it: h = x + act(norm(x W' + b)) (He, Zhang, Ren & Sun 2016). */
typedef struct avi_network {
    int hidden; /* layers, without the last map */
    int64_t width[AVI_NETWORK_LAYERS], inputs, outputs;
    avi_activation activation;
    bool residual;
    bool norm;            /* layer norm (Ba, Kiros & Hinton 2016), with a gain and an offset for every unit */
    bool activate_output; /* the last map has the activation too: what follows is another layer */
} avi_network;

/* Lines of a key table: hidden, activation, residual, norm. widths: the doc of `hidden`. */
#define AVI_NETWORK_KEYS(section, hidden_default, widths)                                                              \
    {section, "hidden", AVI_KEY_INT_LIST, hidden_default, 1, 1e6, NULL, "units", widths},                              \
        {section, "activation", AVI_KEY_CHOICE, "relu", 0, 0, AVI_ACTIVATION_CHOICES, NULL, "of the hidden layers"},   \
        {section, "residual", AVI_KEY_BOOL,                                                                            \
         "no",    0,          0,                                                                                       \
         NULL,    NULL,       "a hidden layer that is as wide as the layer before adds its input to its output"},      \
    {                                                                                                                  \
        section, "norm", AVI_KEY_CHOICE, "none", 0, 0, "none | layer", NULL,                                           \
            "layer: values of a hidden layer are centred and scaled row by row before the activation"                  \
    }

/* Reads these keys into *n. Errors: CONFIG (too many layers; residual where no layer can add its input). */
AVI_API avi_status avi_network_read(const avi_config *config, const char *section, avi_network *n);
/* Declares weights and biases "name.0.weight", "name.0.bias", ..., and with `norm` "name.0.gain", "name.0.offset".
 * Errors: INTERNAL. */
AVI_API avi_status avi_network_declare(avi_network *n, const char *name, int64_t inputs, int64_t outputs,
                                       avi_params *params);
/* Number of blocks that it declares. */
AVI_API int avi_network_blocks(const avi_network *n);
/* x (R, inputs) -> (R, outputs); params[i] is its block i. */
AVI_API avi_node *avi_network_forward(const avi_network *n, avi_tape *t, avi_node *x, avi_node *const *params);

/* gain (x - mean) / sqrt(variance + 1e-5) + offset, mean and variance over the columns of a row: x (R, C), gain and
 * offset (1, C) -> (R, C). */
AVI_API avi_node *avi_layer_norm(avi_tape *t, avi_node *x, avi_node *gain, avi_node *offset);

#endif
