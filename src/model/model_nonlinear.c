/* The nonlinear probabilistic model of Margossian & Blei 2024, section 5.2: z_n ~ N(0, 1), x_n ~ N(theta + z_n sin z_n
 * + z_n, exp(cos z_n)^2). The posterior of z_n has several modes. The paper's code leaves log sigma(z) = cos z out of
 * the density; drop_log_sigma does so too. */
#include "density/normal_1d.h"
#include "model/scalar.h"

#include <math.h>
#include <stdlib.h>

typedef struct nonlinear {
    bool drop_log_sigma;
    double theta, z_sd; /* of simulated data */
} nonlinear;

static const avi_key keys[] = {
    {"model", "drop_log_sigma", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "leave log sigma(z) = cos z out of log p(x | z), as the paper's code does: its numbers, but no density"},
    {"model", "simulate_z_sd", AVI_KEY_REAL, "1", 0, 1e3, NULL, NULL,
     "standard deviation of z in simulated data; 1: the model's own, 5: the paper's data"},
    AVI_SCALAR_THETA_KEYS,
    AVI_LOCATION_START_KEY,
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    nonlinear *n = m->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the model");
    n->drop_log_sigma = avi_config_get_bool(config, "model", "drop_log_sigma");
    n->theta = avi_config_get_real(config, "model", "simulate_theta");
    n->z_sd = avi_config_get_real(config, "model", "simulate_z_sd");
    AVI_TRY(avi_scalar_create(m, config, "theta of x_n ~ N(theta + z_n sin z_n + z_n, exp(cos z_n)^2)"));
    avi_scalar_start(m, config);
    return AVI_OK;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const nonlinear *n = m->self;
    return avi_wave_lpdf(t, &n->drop_log_sigma, b->x, z, theta[0]);
}

static avi_node *mean_log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                     avi_node **theta, const double *weight)
{
    return avi_wave_draws(t, ((const nonlinear *)m->self)->drop_log_sigma, b->x, nu, eps, theta[0], weight);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)m;
    (void)b;
    return avi_add(t, avi_add(t, avi_mul(t, z, avi_map(t, z, AVI_SIN)), z), theta[0]);
}

static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    (void)m;
    (void)theta;
    for (int64_t i = 0; i < rows; i++) x[i] += exp(cos(z[i])) * noise[i];
}

static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    const nonlinear *n = m->self;
    double draw[AVI_SIMULATE_BLOCK][2];
    for (int64_t done = 0; done < count; done += AVI_SIMULATE_BLOCK) {
        const int64_t rows = count - done < AVI_SIMULATE_BLOCK ? count - done : AVI_SIMULATE_BLOCK;
        avi_simulate_normals_rows(seed, row + done, rows, 0, 2, draw[0]);
        for (int64_t i = 0; i < rows; i++) {
            const double z = n->z_sd * draw[i][0];
            out[done + i] = n->theta + z * sin(z) + z + exp(cos(z)) * draw[i][1];
        }
    }
    return AVI_OK;
}

/* The paper's code leaves out log sqrt(2 pi) everywhere: N + 1 Gaussian factors, N values of z, N of x. */
static double loss_offset(const avi_model *m, int64_t rows)
{
    (void)m;
    return -0.5 * ((double)rows - 1) * log(2 * acos(-1));
}

const avi_model_ops avi_model_nonlinear = {
    .name = "nonlinear",
    .doc = "x_n ~ N(theta + z_n sin z_n + z_n, exp(cos z_n)^2), z_n ~ N(0, 1): one number per row, posteriors with "
           "several modes",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .coupling = AVI_INDEPENDENT,
    .scalar_theta = true,
    .create = create,
    .log_likelihood = log_likelihood,
    .mean_log_likelihood = mean_log_likelihood,
    .reconstruct = reconstruct,
    .draw = draw,
    .simulate_rows = simulate_rows,
    .loss_offset = loss_offset,
};
