/* Probabilistic principal components (Tipping & Bishop 1999), a linear VAE: z_n ~ N(0, 1) in L dimensions, x_n ~ N(W
 * z_n + mu, s^2), theta = W, mu, log s. Its maximum likelihood is known from the eigenvalues of the data's covariance,
 * and a linear encoder attains it (Lucas et al. 2019). */
#include "density/learned_noise.h"
#include "model/scalar.h"
#include "avi/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT, BIAS, LOG_NOISE_SD };

typedef struct ppca {
    double noise_sd;
    double *w;       /* W (D, L) of simulated data, then draws (BLOCK, L + D); owned, NULL before the first */
    uint64_t w_seed; /* that W is drawn with */
} ppca;

enum { BLOCK = 64 };

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "10", 1, 65536, NULL, "dimensions", "dimensions of z: principal components"},
    {"model", "noise_sd", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, "data units",
     "initial standard deviation of the noise, which is learned; that of simulated data"},
    {"model", "prior_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL,
     "theta ~ N(0, prior_sd^2); 0: flat for a point, 1 where q(theta) is a Gaussian"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where it is a Gaussian"},
    {"model", "simulate_width", AVI_KEY_INT, "20", 1, 1e6, NULL, "values",
     "width of simulated rows; their W is drawn from N(0, 1), one for training and test rows, mu = 0"},
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    ppca *p = m->self = calloc(1, sizeof *p);
    if (!p) return avi_fail_memory(sizeof *p, "the model");
    p->noise_sd = avi_config_get_real(config, "model", "noise_sd");
    m->latent = avi_config_get_int(config, "model", "latent");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    if (m->prior_sd <= 0 && strcmp(avi_config_get_string(config, "model", "global"), "point") != 0) m->prior_sd = 1;
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    avi_params *t = &m->theta;
    AVI_TRY(avi_params_add_affine(t, "decoder", m->latent, shape->width));
    AVI_TRY(avi_params_add(t, "log_noise_sd", 1, 1, AVI_INIT_CONSTANT, log(p->noise_sd), NULL));
    AVI_TRY(avi_params_describe(t, "decoder.weight", "column, dimension", "W of x = W z + mu + noise"));
    AVI_TRY(avi_params_describe(t, "decoder.bias", "column", "mu of x = W z + mu + noise"));
    return avi_params_describe(t, "log_noise_sd", "value", "log s: logarithm of the standard deviation of the noise");
}

static avi_node *decode(avi_tape *t, avi_node *z, avi_node **theta)
{
    return avi_affine(t, z, theta[WEIGHT], theta[BIAS], AVI_IDENTITY);
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)m;
    return avi_learned_noise_lpdf(t, b->x, b->mask, decode(t, z, theta), theta[LOG_NOISE_SD]);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)m;
    (void)b;
    return decode(t, z, theta);
}

static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    (void)z;
    const double sd = exp(theta[LOG_NOISE_SD][0]);
    for (int64_t i = 0; i < rows * m->shape.width; i++) x[i] += sd * noise[i];
}

/* W (D, L): rows of another stream than the draws, and one W for training and test rows. */
static avi_status prepare_simulation(const avi_model *m)
{
    ppca *p = m->self;
    const int64_t l = m->latent, d = m->shape.width;
    const size_t bytes = (size_t)(d * l + BLOCK * (l + d)) * sizeof *p->w;
    if (p->w && p->w_seed == m->theta_seed) return AVI_OK;
    if (!p->w) p->w = malloc(bytes);
    if (!p->w) return avi_fail_memory(bytes, "simulated data");
    avi_normal_f64(avi_stream_make(m->theta_seed, AVI_DRAW_DATA, 1), 0, d, 0, l, p->w);
    p->w_seed = m->theta_seed;
    return AVI_OK;
}

/* Draws of a row: L for z, D for the noise. */
static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    AVI_TRY(prepare_simulation(m));
    const ppca *p = m->self;
    const int64_t l = m->latent, d = m->shape.width;
    for (int64_t done = 0; done < count; done += BLOCK) {
        const int64_t n = count - done < BLOCK ? count - done : BLOCK;
        double *draw = p->w + d * l;
        avi_simulate_normals_rows(seed, row + done, n, 0, l + d, draw);
        for (int64_t i = 0; i < n; i++, draw += l + d)
            for (int64_t k = 0; k < d; k++) {
                double x = p->noise_sd * draw[l + k];
                for (int64_t j = 0; j < l; j++) x += p->w[k * l + j] * draw[j];
                out[(done + i) * d + k] = x;
            }
    }
    return AVI_OK;
}

static void destroy(avi_model *m)
{
    ppca *p = m->self;
    if (p) free(p->w);
    free(p);
}

static int64_t simulated_width(const avi_config *config)
{
    return avi_config_get_int(config, "model", "simulate_width");
}

const avi_model_ops avi_model_ppca = {
    .name = "ppca",
    .doc =
        "probabilistic principal components, a linear VAE: x_n ~ N(W z_n + mu, s^2), z_n ~ N(0, 1); W, mu, s learned",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .masks = true,
    .small = "latent = 2\nsimulate_width = 5\n",
    .coupling = AVI_INDEPENDENT,
    .create = create,
    .destroy = destroy,
    .log_likelihood = log_likelihood,
    .reconstruct = reconstruct,
    .draw = draw,
    .simulate_rows = simulate_rows,
    .simulated_width = simulated_width,
    .quadratic = 2,
};
