/* Variational autoencoder (Kingma & Welling 2014): z ~ N(0, 1) in L dimensions, x | z from a network, the decoder.
 *   bernoulli: logit of p(x_d = 1) = decoder(z)_d, grey values in [0, 1] taken as expected bits
 *   gaussian:  x ~ N(decoder(z), noise_sd^2)
 * With global = gaussian, the weights theta have the prior N(0, prior_sd^2): the Bayesian VAE of Margossian & Blei
 * 2024, section 5.4. */
#include "avi/model.h"
#include "density/masked.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 16 };

typedef struct vae {
    int layers; /* affine maps: hidden layers + 1 */
    avi_activation activation;
    bool gaussian;
    double noise_sd;
} vae;

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "20", 1, 65536, NULL, "dimensions", "dimensions of z"},
    {"model", "hidden", AVI_KEY_INT_LIST, "400", 1, 1e6, NULL, "units",
     "widths of the decoder's hidden layers, from z to x; empty: a linear decoder"},
    {"model", "activation", AVI_KEY_CHOICE, "relu", 0, 0, AVI_ACTIVATION_CHOICES, NULL,
     "of the decoder's hidden layers"},
    {"model", "likelihood", AVI_KEY_CHOICE, "bernoulli", 0, 0, "bernoulli | gaussian", NULL,
     "p(x | z): independent bits by logit, or N(decoder(z), noise_sd^2)"},
    {"model", "noise_sd", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, "data units",
     "standard deviation of the gaussian likelihood"},
    {"model", "prior_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL,
     "theta ~ N(0, prior_sd^2); 0: flat for a point, 1 where global = gaussian"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where global = gaussian (means start at 0 when zero_means = yes)"},
    {"model", "zero_means", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "start all means of theta at 0, as the paper's code does, instead of at random weights"},
};

static avi_status declare_layers(avi_model *m, vae *v, const int64_t *hidden, int count, bool zero)
{
    int64_t in = m->latent;
    for (int i = 0; i <= count; i++) {
        char name[32];
        const int64_t out = i < count ? hidden[i] : m->shape.width;
        snprintf(name, sizeof name, "decoder.%d", i);
        AVI_TRY(avi_params_add_affine(&m->theta, name, in, out));
        in = out;
    }
    v->layers = count + 1;
    for (int i = 0; zero && i < m->theta.count; i++) m->theta.block[i].scale = 0;
    return AVI_OK;
}

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    int64_t hidden[MAX_LAYERS];
    vae *v = m->self = calloc(1, sizeof *v);
    if (!v) return avi_fail_memory(sizeof *v, "the vae");
    const int count = avi_config_get_int_list(config, "model", "hidden", hidden, MAX_LAYERS);
    if (count > MAX_LAYERS) return avi_config_fail(config, "model", "hidden", "more than %d layers", MAX_LAYERS);
    const bool bayesian = !strcmp(avi_config_get_string(config, "model", "global"), "gaussian");
    v->activation = avi_activation_find(avi_config_get_string(config, "model", "activation"));
    v->gaussian = !strcmp(avi_config_get_string(config, "model", "likelihood"), "gaussian");
    v->noise_sd = avi_config_get_real(config, "model", "noise_sd");
    m->latent = avi_config_get_int(config, "model", "latent");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    if (bayesian && m->prior_sd <= 0) m->prior_sd = 1;
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    (void)shape;
    return declare_layers(m, v, hidden, count, avi_config_get_bool(config, "model", "zero_means"));
}

static avi_support support(const avi_model *m, int64_t column)
{
    (void)column;
    return ((const vae *)m->self)->gaussian ? AVI_SUPPORT_REAL : AVI_SUPPORT_UNIT;
}

/* z (R, L) -> (R, D). */
static avi_node *decode(const vae *v, avi_tape *t, avi_node *z, avi_node **theta)
{
    for (int i = 0; i < v->layers; i++)
        z = avi_affine(t, z, theta[2 * i], theta[2 * i + 1], i + 1 < v->layers ? v->activation : AVI_IDENTITY);
    return z;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const vae *v = m->self;
    avi_node *out = decode(v, t, z, theta);
    if (b->mask)
        return v->gaussian ? avi_masked_normal_lpdf_sd(t, b->x, b->mask, out, v->noise_sd)
                           : avi_masked_bernoulli_logit_lpdf(t, b->x, b->mask, out);
    return v->gaussian ? avi_normal_lpdf_sd(t, b->x, out, v->noise_sd) : avi_bernoulli_logit_lpdf(t, b->x, out);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)b;
    const vae *v = m->self;
    avi_node *out = decode(v, t, z, theta);
    return v->gaussian ? out : avi_map(t, out, AVI_SIGMOID);
}

/* A bit is 1 where the normal is below its quantile of the mean. */
static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    (void)z;
    (void)theta;
    const vae *v = m->self;
    for (int64_t i = 0; i < rows * m->shape.width; i++)
        x[i] = v->gaussian ? x[i] + v->noise_sd * noise[i] : 0.5 * erfc(-noise[i] / sqrt(2.0)) < x[i];
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
