/* A model of counts: z ~ N(0, 1) in L dimensions, x_d ~ NB(mu_d, r_d) given z, log mu = decoder(z) (+ log of the row's
 * total, exposure = total). r_d, the dispersion of column d, is learned: the variance is mu + mu^2 / r, and a large r
 * is a Poisson distribution.
 *
 * theta: decoder.0.weight (H, L), decoder.0.bias (1, H), ..., log_dispersion (1, D). */
#include "avi/plugin.h"
#include "negative_binomial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 16 };

typedef struct count_vae {
    int layers; /* affine maps: hidden layers + 1 */
    avi_activation activation;
    bool exposure;
} count_vae;

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "10", 1, 65536, NULL, "dimensions", "dimensions of z"},
    {"model", "hidden", AVI_KEY_INT_LIST, "128", 1, 1e6, NULL, "units",
     "widths of the decoder's hidden layers, from z to x; empty: a linear decoder"},
    {"model", "activation", AVI_KEY_CHOICE, "relu", 0, 0, AVI_ACTIVATION_CHOICES, NULL,
     "of the decoder's hidden layers"},
    {"model", "dispersion", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, NULL, "initial r of every column"},
    {"model", "exposure", AVI_KEY_CHOICE, "none", 0, 0, "none | total", NULL,
     "total: means are shares of the total count of the row, which is given"},
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    int64_t hidden[MAX_LAYERS], in;
    count_vae *v = m->self = calloc(1, sizeof *v);
    if (!v) return avi_fail_memory(sizeof *v, "the model");
    const int count = avi_config_get_int_list(config, "model", "hidden", hidden, MAX_LAYERS);
    if (count > MAX_LAYERS)
        return avi_config_fail(config, "model", "hidden", "more than %d layers; use fewer", MAX_LAYERS);
    v->layers = count + 1;
    v->activation = avi_activation_find(avi_config_get_string(config, "model", "activation"));
    v->exposure = !strcmp(avi_config_get_string(config, "model", "exposure"), "total");
    in = m->latent = avi_config_get_int(config, "model", "latent");
    for (int i = 0; i <= count; i++) {
        char name[32];
        const int64_t out = i < count ? hidden[i] : shape->width;
        snprintf(name, sizeof name, "decoder.%d", i);
        AVI_TRY(avi_params_add_affine(&m->theta, name, in, out));
        in = out;
    }
    const double r = avi_config_get_real(config, "model", "dispersion");
    AVI_TRY(avi_params_add(&m->theta, "log_dispersion", 1, shape->width, AVI_INIT_CONSTANT, log(r), NULL));
    return avi_params_describe(&m->theta, "log_dispersion", "column", "logarithm of r, the dispersion of each column");
}

static avi_support support(const avi_model *m, int64_t column)
{
    (void)m, (void)column;
    return AVI_SUPPORT_COUNT;
}

/* log mu: z (B*S, L) -> (B*S, D). */
static avi_node *decode(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const count_vae *v = m->self;
    for (int i = 0; i < v->layers; i++)
        z = avi_affine(t, z, theta[2 * i], theta[2 * i + 1], i + 1 < v->layers ? v->activation : AVI_IDENTITY);
    if (!v->exposure || !b->x) return z; /* without rows: means for a total of 1 */
    /* A row without counts has total 1/2, since it has no logarithm else. */
    avi_node *total = avi_map(t, avi_scale(t, avi_row_sum(t, b->x), 1, 0.5), AVI_LOG);
    return avi_add(t, z, avi_repeat(t, total, b->draws));
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const count_vae *v = m->self;
    return negative_binomial_lpdf(t, b->x, decode(m, t, b, z, theta), theta[2 * v->layers]);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    return avi_map(t, decode(m, t, b, z, theta), AVI_EXP);
}

static const avi_model_ops model = {
    .name = "count_vae",
    .doc = "z ~ N(0, 1), counts x from a network with a negative binomial likelihood",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "latent = 2\nhidden = 3\nactivation = tanh\n",
    .coupling = AVI_INDEPENDENT,
    .create = create,
    .support = support,
    .support_remedy = "use counts, as they were taken: 0, 1, 2, ...",
    .log_likelihood = log_likelihood,
    .reconstruct = reconstruct,
};

static avi_status add(avi_registry *registry) { return avi_model_register(registry, &model); }
AVI_PLUGIN(add)
