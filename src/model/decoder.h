/* Decoders: networks from z (R, L) to what a likelihood takes of every value of a row, (R, P D) for P outputs of each
 * value. */
#ifndef AVI_MODEL_DECODER_H
#define AVI_MODEL_DECODER_H

#include "avi/nn.h"
#include "likelihood/likelihood.h"

typedef struct avi_decoder {
    bool conv; /* dense layers, then transposed convolutions; else dense layers alone */
    avi_network dense;
    avi_convolutions convolutions;
} avi_decoder;

/* Lines of the key table of a model. */
#define AVI_DECODER_KEYS                                                                                               \
    {"model",                                                                                                          \
     "decoder",                                                                                                        \
     AVI_KEY_CHOICE,                                                                                                   \
     "mlp",                                                                                                            \
     0,                                                                                                                \
     0,                                                                                                                \
     "mlp | conv",                                                                                                     \
     NULL,                                                                                                             \
     "mlp: dense layers; conv: dense layers and then transposed convolutions, for rows that are images"},              \
        AVI_NETWORK_KEYS("model", "400", "widths of the decoder's dense layers, from z to x; empty: an affine map"),   \
        AVI_CONVOLUTION_KEYS("model", "64, 32",                                                                        \
                             "channels of the images inside of decoder = conv, from z to x, the last one not counted")

/* Reads these keys and declares the parameters, which are all of theta so far. Tells the likelihood where the outputs
 * of a value are. Not collective. Errors: CONFIG, INTERNAL. */
avi_status avi_decoder_create(avi_decoder *d, const avi_config *config, const avi_shape *shape, int64_t latent,
                              avi_likelihood *likelihood, avi_params *theta);
/* theta[0] is the first block that create declared. *d is borrowed until the tape is reset. */
avi_node *avi_decoder_forward(const avi_decoder *d, avi_tape *t, avi_node *z, avi_node *const *theta);

#endif
