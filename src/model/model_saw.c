/* The saw time series of Margossian & Blei 2024, section 5.3: z_n ~ N(x_n, 1), x_{n+1} ~ N(a (z_n + theta), 1). Given x
 * the z_n are independent; the F-VI optimum of z_n is affine in (x_n, x_{n+1}), so f(x_{n+1}) alone leaves a gap and
 * domain = next closes it. Row 0 of the data is x_0 = 0. */
#include "density/normal_1d.h"
#include "model/scalar.h"

#include <math.h>
#include <stdlib.h>

typedef struct saw {
    avi_scalar_normal prior,
        density;  /* N(z; x_n, 1) as N(x_n; z, 1), which is the same number; N(x_{n+1}; a z + a theta, 1) */
    double theta; /* of simulated data */
    struct {
        uint64_t seed;
        int64_t rows;
        double x; /* of row `rows` */
    } drawn;      /* how far a series was simulated: rows are asked for in pieces, one after the other */
} saw;

static const avi_key keys[] = {
    {"model", "a", AVI_KEY_REAL, "0.75", -1e3, 1e3, NULL, NULL, "x_{n+1} has the mean a (z_n + theta)"},
    AVI_SCALAR_THETA_KEYS,
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    saw *s = m->self = calloc(1, sizeof *s);
    if (!s) return avi_fail_memory(sizeof *s, "the model");
    const double a = avi_config_get_real(config, "model", "a");
    s->prior = (avi_scalar_normal){.a = 1, .b = 0, .sd = 1};
    s->density = (avi_scalar_normal){.a = a, .b = a, .sd = 1};
    s->theta = avi_config_get_real(config, "model", "simulate_theta");
    return avi_scalar_create(m, config, "theta of x_{n+1} ~ N(a (z_n + theta), 1)");
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const saw *s = m->self;
    return avi_scalar_normal_lpdf(t, &s->density, b->x_next, z, theta[0]);
}

static avi_node *log_prior(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)theta;
    const saw *s = m->self;
    return avi_scalar_normal_lpdf(t, &s->prior, b->x, z, NULL);
}

static avi_node *mean_log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                     avi_node **theta, const double *weight)
{
    return avi_scalar_normal_draws(t, &((const saw *)m->self)->density, b->x_next, nu, eps, theta[0], weight);
}

static avi_node *mean_log_prior(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                avi_node **theta, const double *weight)
{
    (void)theta;
    return avi_scalar_normal_draws(t, &((const saw *)m->self)->prior, b->x, nu, eps, NULL, weight);
}

/* Draws belong to n: z_n and the noise of x_{n+1} to row n. */
static avi_status simulate(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count, double *out)
{
    (void)rows;
    saw *s = m->self;
    const bool goes_on = s->drawn.seed == seed && s->drawn.rows <= first;
    double x = goes_on ? s->drawn.x : 0;
    for (int64_t n = goes_on ? s->drawn.rows : 0; n < first + count; n++) {
        double draw[2];
        if (n >= first) out[n - first] = x;
        avi_simulate_normals(seed, n, 0, 2, draw);
        x = s->density.a * (x + draw[0] + s->theta) + draw[1];
    }
    s->drawn.seed = seed;
    s->drawn.rows = first + count;
    s->drawn.x = x;
    return AVI_OK;
}

/* The paper's code leaves out log sqrt(2 pi) everywhere: N + 1 Gaussian factors, N values of z, N of x. */
static double loss_offset(const avi_model *m, int64_t rows)
{
    (void)m;
    return -0.5 * ((double)rows - 1) * log(2 * acos(-1));
}

const avi_model_ops avi_model_saw = {
    .name = "saw",
    .doc = "saw time series: z_n ~ N(x_n, 1), x_{n+1} ~ N(a (z_n + theta), 1); one number per row, the first is x_0",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .coupling = AVI_INDEPENDENT,
    .lookahead = 1,
    .scalar_theta = true,
    .create = create,
    .log_likelihood = log_likelihood,
    .mean_log_likelihood = mean_log_likelihood,
    .log_prior = log_prior,
    .mean_log_prior = mean_log_prior,
    .simulate = simulate,
    .quadratic = 2,
    .loss_offset = loss_offset,
};
