/* Variational autoencoder (Kingma & Welling 2014): z ~ N(0, 1) in L dimensions, x | z from a network, the decoder,
 * whose outputs are the parameters of the likelihood (src/likelihood). With global = gaussian, the weights theta have
 * the prior N(0, prior_sd^2): the Bayesian VAE of Margossian & Blei 2024, section 5.4. */
#include "avi/model.h"
#include "likelihood/likelihood.h"
#include "model/decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct vae {
    avi_decoder decoder;
    avi_likelihood likelihood;
    avi_tape *tape; /* for draws that need the outputs of the decoder; NULL before the first one. Owned */
} vae;

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "20", 1, 65536, NULL, "dimensions", "dimensions of z"},
    AVI_DECODER_KEYS,
    AVI_LIKELIHOOD_KEYS,
    {"model", "prior_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL,
     "theta ~ N(0, prior_sd^2); 0: flat for a point, 1 where q(theta) is a Gaussian"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where it is a Gaussian (means start at 0 when zero_means = yes)"},
    {"model", "zero_means", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "start all means of theta at 0, as the paper's code does, instead of at random weights"},
};

/* Means of weights and biases at 0; the gains of a layer norm stay at 1. */
static void start_at_zero(avi_params *theta)
{
    for (int i = 0; i < theta->count; i++)
        if (theta->block[i].init == AVI_INIT_UNIFORM) theta->block[i].scale = 0;
}

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    vae *v = m->self = calloc(1, sizeof *v);
    if (!v) return avi_fail_memory(sizeof *v, "the vae");
    const bool bayesian = strcmp(avi_config_get_string(config, "model", "global"), "point") != 0;
    m->latent = avi_config_get_int(config, "model", "latent");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    if (bayesian && m->prior_sd <= 0) m->prior_sd = 1;
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(avi_likelihood_create(&v->likelihood, config, shape));
    AVI_TRY(avi_decoder_create(&v->decoder, config, shape, m->latent, &v->likelihood, &m->theta));
    AVI_TRY(avi_likelihood_declare(&v->likelihood, config, &m->theta));
    m->support_remedy = v->likelihood.ops->remedy;
    m->given_rows = v->likelihood.exposure;
    if (avi_config_get_bool(config, "model", "zero_means")) start_at_zero(&m->theta);
    return AVI_OK;
}

static void destroy(avi_model *m)
{
    vae *v = m->self;
    if (v && v->tape) avi_tape_destroy(&v->tape);
    free(v);
}

static avi_support support(const avi_model *m, int64_t column)
{
    (void)column;
    return avi_likelihood_support(&((const vae *)m->self)->likelihood);
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const vae *v = m->self;
    return avi_likelihood_log_density(&v->likelihood, t, b, avi_decoder_forward(&v->decoder, t, z, theta), theta);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const vae *v = m->self;
    return avi_likelihood_mean(&v->likelihood, t, b, avi_decoder_forward(&v->decoder, t, z, theta), theta);
}

/* The outputs of the decoder for one z, in double and on a tape of their own; NULL where memory is short. */
static const double *decode(const avi_model *m, const double *z, const double *const *theta)
{
    enum { MOST = 128 };
    vae *v = m->self;
    avi_node *leaf[MOST];
    if (!v->tape) v->tape = avi_tape_create(AVI_PRECISION_DOUBLE);
    if (!v->tape || m->theta.count > MOST) return NULL;
    avi_tape_reset(v->tape);
    for (int k = 0; k < m->theta.count; k++)
        leaf[k] = avi_constant(v->tape, m->theta.block[k].rows, m->theta.block[k].cols, theta[k]);
    avi_node *out = avi_decoder_forward(&v->decoder, v->tape, avi_constant(v->tape, 1, m->latent, z), leaf);
    return avi_tape_status(v->tape) == AVI_OK ? out->value : NULL;
}

static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    const vae *v = m->self;
    const int64_t width = m->shape.width;
    const bool decoded = avi_likelihood_needs_outputs(&v->likelihood);
    for (int64_t r = 0; r < rows; r++, x += width, noise += width) {
        const double *out = decoded ? decode(m, z + r * m->latent, theta) : NULL;
        if (!decoded || out)
            avi_likelihood_draw(&v->likelihood, out, theta, noise, x);
        else
            for (int64_t d = 0; d < width; d++) x[d] = NAN;
    }
}

const avi_model_ops avi_model_vae = {
    .name = "vae",
    .doc =
        "variational autoencoder: z ~ N(0, 1), x from a network: bits, real numbers, counts or levels; Bayesian with "
        "global = gaussian",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "latent = 2\nhidden = 3\nactivation = tanh\n",
    .coupling = AVI_INDEPENDENT,
    .create = create,
    .destroy = destroy,
    .support = support,
    .masks = true,
    .log_likelihood = log_likelihood,
    .reconstruct = reconstruct,
    .draw = draw,
};
