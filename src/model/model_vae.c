/* Variational autoencoder (Kingma & Welling 2014): z ~ N(0, 1) in L dimensions, x | z from a network, the decoder.
 *   bernoulli: logit of p(x_d = 1) = decoder(z)_d, grey values in [0, 1] taken as expected bits
 *   gaussian:  x ~ N(decoder(z), noise_sd^2); noise = learned: the standard deviation is a global parameter, as in
 * ppca, and noise_sd is where it starts With global = gaussian, the weights theta have the prior N(0, prior_sd^2): the
 * Bayesian VAE of Margossian & Blei 2024, section 5.4. */
#include "avi/model.h"
#include "density/learned_noise.h"
#include "density/masked.h"
#include "model/decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct vae {
    avi_decoder decoder;
    bool gaussian;
    double noise_sd;  /* where it is given */
    int log_noise_sd; /* the block of theta where it is learned, else -1 */
} vae;

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "20", 1, 65536, NULL, "dimensions", "dimensions of z"},
    AVI_DECODER_KEYS,
    {"model", "likelihood", AVI_KEY_CHOICE, "bernoulli", 0, 0, "bernoulli | gaussian", NULL,
     "p(x | z): independent bits by logit, or N(decoder(z), noise_sd^2)"},
    {"model", "noise_sd", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, "data units",
     "standard deviation of the gaussian likelihood; where it is learned, the one that it starts at"},
    {"model", "noise", AVI_KEY_CHOICE, "fixed", 0, 0, "fixed | learned", NULL,
     "the standard deviation of the gaussian likelihood: noise_sd, or learned with the decoder, one for all columns"},
    {"model", "prior_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL,
     "theta ~ N(0, prior_sd^2); 0: flat for a point, 1 where global = gaussian"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where global = gaussian (means start at 0 when zero_means = yes)"},
    {"model", "zero_means", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "start all means of theta at 0, as the paper's code does, instead of at random weights"},
};

/* Means of weights and biases at 0; the gains of a layer norm stay at 1. */
static void start_at_zero(avi_params *theta)
{
    for (int i = 0; i < theta->count; i++)
        if (theta->block[i].init == AVI_INIT_UNIFORM) theta->block[i].scale = 0;
}

static avi_status declare_noise(avi_model *m, vae *v, const avi_config *config)
{
    v->log_noise_sd = -1;
    if (strcmp(avi_config_get_string(config, "model", "noise"), "learned") != 0) return AVI_OK;
    if (!v->gaussian)
        return avi_config_fail(config, "model", "noise",
                               "bits have no noise to learn; use model.likelihood = gaussian, or fixed");
    AVI_TRY(avi_params_add(&m->theta, "log_noise_sd", 1, 1, AVI_INIT_CONSTANT, log(v->noise_sd), &v->log_noise_sd));
    return avi_params_describe(&m->theta, "log_noise_sd", "value", "logarithm of the standard deviation of the noise");
}

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    vae *v = m->self = calloc(1, sizeof *v);
    if (!v) return avi_fail_memory(sizeof *v, "the vae");
    const bool bayesian = !strcmp(avi_config_get_string(config, "model", "global"), "gaussian");
    v->gaussian = !strcmp(avi_config_get_string(config, "model", "likelihood"), "gaussian");
    v->noise_sd = avi_config_get_real(config, "model", "noise_sd");
    m->latent = avi_config_get_int(config, "model", "latent");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    if (bayesian && m->prior_sd <= 0) m->prior_sd = 1;
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(avi_decoder_create(&v->decoder, config, shape, m->latent, &m->theta));
    AVI_TRY(declare_noise(m, v, config));
    if (avi_config_get_bool(config, "model", "zero_means")) start_at_zero(&m->theta);
    return AVI_OK;
}

static avi_support support(const avi_model *m, int64_t column)
{
    (void)column;
    return ((const vae *)m->self)->gaussian ? AVI_SUPPORT_REAL : AVI_SUPPORT_UNIT;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const vae *v = m->self;
    avi_node *out = avi_decoder_forward(&v->decoder, t, z, theta);
    if (v->log_noise_sd >= 0) return avi_learned_noise_lpdf(t, b->x, b->mask, out, theta[v->log_noise_sd]);
    if (b->mask)
        return v->gaussian ? avi_masked_normal_lpdf_sd(t, b->x, b->mask, out, v->noise_sd)
                           : avi_masked_bernoulli_logit_lpdf(t, b->x, b->mask, out);
    return v->gaussian ? avi_normal_lpdf_sd(t, b->x, out, v->noise_sd) : avi_bernoulli_logit_lpdf(t, b->x, out);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)b;
    const vae *v = m->self;
    avi_node *out = avi_decoder_forward(&v->decoder, t, z, theta);
    return v->gaussian ? out : avi_map(t, out, AVI_SIGMOID);
}

/* A bit is 1 where the normal is below its quantile of the mean. */
static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    (void)z;
    const vae *v = m->self;
    const double sd = v->log_noise_sd >= 0 ? exp(theta[v->log_noise_sd][0]) : v->noise_sd;
    for (int64_t i = 0; i < rows * m->shape.width; i++)
        x[i] = v->gaussian ? x[i] + sd * noise[i] : 0.5 * erfc(-noise[i] / sqrt(2.0)) < x[i];
}

const avi_model_ops avi_model_vae = {
    .name = "vae",
    .doc = "variational autoencoder: z ~ N(0, 1), x from a network, Bernoulli or Gaussian; Bayesian with global = "
           "gaussian",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "latent = 2\nhidden = 3\nactivation = tanh\n",
    .coupling = AVI_INDEPENDENT,
    .create = create,
    .support = support,
    .masks = true,
    .support_remedy = "use model.likelihood = gaussian for real numbers",
    .log_likelihood = log_likelihood,
    .reconstruct = reconstruct,
    .draw = draw,
};
