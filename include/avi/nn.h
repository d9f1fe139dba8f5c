/* Layers that encoders and decoders share: networks of dense layers, layer norm, convolutions and transposed
 * convolutions. A description (avi_network, avi_convolutions) is read from keys, declares its parameters and builds its
 * nodes; a model's decoder and an inference function use it alike.
 *
 * Not collective. The nodes follow the rules of tape.h. */
#ifndef AVI_NN_H
#define AVI_NN_H

#include "avi/config.h"
#include "avi/data.h"
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

/* ---- images ----
 *
 * The values of a row as an array of four dimensions. Value (plane, channel, y, x) is at
 *     plane * plane_stride + channel * channel_stride + y * row_stride + x * column_stride
 * of the row, so that images with channels first or last and windows of a series are seen where they are, without a
 * copy. Sequences have height 1. */
typedef struct avi_view {
    int64_t planes, channels, height, width;
    int64_t plane_stride, channel_stride, row_stride, column_stride;
} avi_view;
/* Of a row of the data: channels, height and width are those of the images; 1, 1 and D of plain rows. One plane. */
AVI_API avi_view avi_view_of(const avi_shape *data);
/* Values of a row. */
AVI_API int64_t avi_view_values(const avi_view *view);

/* ---- convolutions ---- */

/* Between an image and a smaller one of (height, width, channels), channels last: values of the small one belong to
 * patches of the image, kernel_height x kernel_width pixels, stride pixels apart, of which pad pixels lie outside.
 * A weight sees a patch as (planes, kernel_height, kernel_width, channels). */
typedef struct avi_convolution {
    avi_view image;
    int64_t height, width, channels;
    int64_t kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width;
    avi_activation activation;
} avi_convolution;

/* Square kernels with pad = (kernel - 1) / 2; along a side of one pixel, as sequences have, kernel and stride are 1.
 * Returns false where a row would have 2^31 values or more. */
AVI_API bool avi_convolution_make(const avi_view *image, int64_t channels, int64_t kernel, int64_t stride,
                                  avi_activation activation, avi_convolution *c);
/* Values of the small image; of a patch. */
AVI_API int64_t avi_convolution_values(const avi_convolution *c);
AVI_API int64_t avi_convolution_patch(const avi_convolution *c);
/* x (R, image) to (R, small): weight (channels, patch), bias (1, channels). *c is borrowed until the tape is reset. */
AVI_API avi_node *avi_convolve(avi_tape *t, avi_node *x, avi_node *weight, avi_node *bias, const avi_convolution *c);
/* The way back: x (R, small) to (R, image), the adjoint of the convolution: weight (patch, channels), bias (1, channels
 * of the image). The image has one plane. */
AVI_API avi_node *avi_convolve_transposed(avi_tape *t, avi_node *x, avi_node *weight, avi_node *bias,
                                          const avi_convolution *c);

enum { AVI_CONVOLUTIONS = 8 /* most layers */ };

/* Convolutions one after the other, from the image inwards. */
typedef struct avi_convolutions {
    int layers;
    avi_convolution layer[AVI_CONVOLUTIONS];
} avi_convolutions;

/* Lines of a key table: channels, kernel, stride. widths: the doc of `channels`. */
#define AVI_CONVOLUTION_KEYS(section, channels_default, widths)                                                        \
    {section, "channels", AVI_KEY_INT_LIST, channels_default, 1, 65536, NULL, "channels", widths},                     \
        {section, "kernel", AVI_KEY_INT,                                                                               \
         "4",     1,        4096,                                                                                      \
         NULL,    "pixels", "height and width of the kernels of convolutions; of sequences their length"},             \
    {                                                                                                                  \
        section, "stride", AVI_KEY_INT, "2", 1, 4096, NULL, "pixels",                                                  \
            "distance of the patches of a convolution: images become smaller by this factor"                           \
    }

/* Reads these keys. image: what the first layer sees; inwards: `channels` is listed from the image inwards, as an
 * encoder has it; else towards the image, as a decoder has it, whose last layer has no activation. Errors: CONFIG
 * (kernels that do not fit, no layer). */
AVI_API avi_status avi_convolutions_read(const avi_config *config, const char *section, const avi_view *image,
                                         bool inwards, avi_activation activation, avi_convolutions *c);
/* Declares "name.0.weight", "name.0.bias", ... in the order in which they are applied. Errors: INTERNAL. */
AVI_API avi_status avi_convolutions_declare(const avi_convolutions *c, const char *name, bool transposed,
                                            avi_params *params);
/* Values of the smallest image. */
AVI_API int64_t avi_convolutions_values(const avi_convolutions *c);
/* x (R, image) to the smallest image, and back; params[i] is block i of those declared. *c as in avi_convolve. */
AVI_API avi_node *avi_convolutions_forward(const avi_convolutions *c, avi_tape *t, avi_node *x,
                                           avi_node *const *params);
AVI_API avi_node *avi_convolutions_back(const avi_convolutions *c, avi_tape *t, avi_node *x, avi_node *const *params);
/* The patches of every row's image as rows: (R, image) -> (R height width, patch). *c as in avi_convolve. */
AVI_API avi_node *avi_patches(avi_tape *t, avi_node *x, const avi_convolution *c);
/* Patches of the pixels themselves, or of `side` pixels in height and width that do not overlap. Returns false where
 * they do not fill the image. */
AVI_API bool avi_patches_make(const avi_view *image, int64_t side, avi_convolution *c);

/* ---- attention ---- */

/* Softmax attention within segments of rows (Vaswani et al. 2017): qkv (E, 3 W) holds queries, keys and values of W
 * columns each, of `heads` heads that are beside each other -> (E, W). Segment b is rows [first[b], first[b + 1]);
 * first (segments + 1), borrowed until the next reset. */
AVI_API avi_node *avi_attention(avi_tape *t, avi_node *qkv, int64_t heads, int64_t segments, const int64_t *first);

/* An affine map to `width` values for every entry, then blocks h += attention(norm(h)), h += network(norm(h)) with one
 * hidden layer, and a layer norm at the end. */
typedef struct avi_transformer {
    int64_t blocks, width, heads, hidden;
    avi_activation activation;
} avi_transformer;
/* Declares "name.embed.weight", ..., "name.0.qkv.weight", ..., "name.norm.gain", ... Errors: INTERNAL. */
AVI_API avi_status avi_transformer_declare(const avi_transformer *n, const char *name, int64_t inputs,
                                           avi_params *params);
AVI_API int avi_transformer_blocks(const avi_transformer *n); /* of parameters */
/* x (E, inputs) -> (E, width); segments as in avi_attention. place: (T, width), added to the embedded entries of
 * segments of T rows each; NULL: nothing is. */
AVI_API avi_node *avi_transformer_forward(const avi_transformer *n, avi_tape *t, avi_node *x, avi_node *place,
                                          int64_t segments, const int64_t *first, avi_node *const *params);

/* Ends of `segments` segments of `rows` rows each, on the tape: (segments + 1). */
AVI_API const int64_t *avi_segments_alike(avi_tape *t, int64_t segments, int64_t rows);

#endif
