/* The linear probabilistic model of Margossian & Blei 2024, section 5.1: z_n ~ N(0, 1), x_n ~ N(theta + tau z_n,
 * sigma^2). Its F-VI optimum is affine in x_n with constant variance: a polynomial of degree 1 closes the amortization
 * gap. */
#include "density/normal_1d.h"
#include "model/scalar.h"

#include <math.h>
#include <stdlib.h>

typedef struct linear {
    avi_scalar_normal density; /* a = tau, b = 1, sd = sigma */
    double theta;              /* of simulated data */
} linear;

static const avi_key keys[] = {
    {"model", "tau", AVI_KEY_REAL, "1.155", -1e6, 1e6, NULL, NULL,
     "slope of x in z: the standard deviation of x_n's mean"},
    {"model", "sigma", AVI_KEY_REAL, "2.43", 1e-6, 1e6, NULL, "data units", "standard deviation of the noise"},
    AVI_SCALAR_THETA_KEYS,
    AVI_LOCATION_START_KEY,
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    linear *l = m->self = calloc(1, sizeof *l);
    if (!l) return avi_fail_memory(sizeof *l, "the model");
    l->density = (avi_scalar_normal){
        .a = avi_config_get_real(config, "model", "tau"), .b = 1, .sd = avi_config_get_real(config, "model", "sigma")};
    l->theta = avi_config_get_real(config, "model", "simulate_theta");
    AVI_TRY(avi_scalar_create(m, config, "theta of x_n ~ N(theta + tau z_n, sigma^2)"));
    avi_scalar_start(m, config);
    return AVI_OK;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const linear *l = m->self;
    return avi_scalar_normal_lpdf(t, &l->density, b->x, z, theta[0]);
}

static avi_node *mean_log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                     avi_node **theta, const double *weight)
{
    return avi_scalar_normal_draws(t, &((const linear *)m->self)->density, b->x, nu, eps, theta[0], weight);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)b;
    const linear *l = m->self;
    return avi_add(t, avi_scale(t, z, l->density.a, 0), theta[0]);
}

static void draw(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x)
{
    (void)z;
    (void)theta;
    for (int64_t i = 0; i < rows; i++) x[i] += ((const linear *)m->self)->density.sd * noise[i];
}

static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    const linear *l = m->self;
    double draw[AVI_SIMULATE_BLOCK][2];
    for (int64_t done = 0; done < count; done += AVI_SIMULATE_BLOCK) {
        const int64_t n = count - done < AVI_SIMULATE_BLOCK ? count - done : AVI_SIMULATE_BLOCK;
        avi_simulate_normals_rows(seed, row + done, n, 0, 2, draw[0]);
        for (int64_t i = 0; i < n; i++)
            out[done + i] = l->theta + l->density.a * draw[i][0] + l->density.sd * draw[i][1];
    }
    return AVI_OK;
}

/* The paper's code leaves out log sqrt(2 pi) everywhere (N + 1 Gaussian factors, N values of z, N of x) and log sigma.
 */
static double loss_offset(const avi_model *m, int64_t rows)
{
    const linear *l = m->self;
    const double log_2pi = log(2 * acos(-1)), n = (double)rows;
    return -0.5 * (n - 1) * log_2pi - n * log(l->density.sd);
}

const avi_model_ops avi_model_linear = {
    .name = "linear",
    .doc = "x_n ~ N(theta + tau z_n, sigma^2), z_n ~ N(0, 1): one number per row",
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
    .quadratic = 2,
    .loss_offset = loss_offset,
};
