/* Latent Gaussian process: z ~ N(0, K(t, t)), x_n ~ N(z_n, s^2), all hyperparameters given. Every z_n depends on every
 * other: the coupling is dense, and no f(x_n) closes the amortization gap (Margossian & Blei 2024, section 3). */
#include "density/normal_1d.h"
#include "model/scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIMULATED = 65536 /* rows; their draws take 1.5 rows^2 multiplications */ };

typedef struct gp {
    double (*kernel)(double distance); /* of distances in lengthscales; 1 at 0 */
    double lengthscale, amplitude, jitter, spacing;
    bool column; /* rows are (t, x) */
    avi_scalar_normal emission;
} gp;

static double rbf(double d) { return exp(-0.5 * d * d); }
static double matern32(double d) { return (1 + sqrt(3.0) * d) * exp(-sqrt(3.0) * d); }
static double exponential(double d) { return exp(-d); }

static const avi_key keys[] = {
    {"model", "kernel", AVI_KEY_CHOICE, "matern32", 0, 0, "rbf | matern32 | exponential", NULL,
     "correlation at distance d (in lengthscales): exp(-d^2 / 2), (1 + d sqrt 3) exp(-d sqrt 3), exp(-d)"},
    {"model", "lengthscale", AVI_KEY_REAL, "10", 1e-12, 1e12, NULL, "units of t", "of the kernel"},
    {"model", "amplitude", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, "data units", "standard deviation of z_n"},
    {"model", "jitter", AVI_KEY_REAL, "1e-6", 0, 1, NULL, "amplitude^2",
     "added to the diagonal of K, for the sake of its factorization; part of the model"},
    {"model", "noise_sd", AVI_KEY_REAL, "0.5", 1e-6, 1e6, NULL, "data units", "standard deviation s of x_n about z_n"},
    {"model", "times", AVI_KEY_CHOICE, "index", 0, 0, "index | column", NULL,
     "t of a row: its number times spacing, or the first of its two columns (t, x)"},
    {"model", "spacing", AVI_KEY_REAL, "1", 1e-12, 1e12, NULL, "units of t",
     "between rows where times = index, and between simulated rows"},
};

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    gp *g = m->self = calloc(1, sizeof *g);
    if (!g) return avi_fail_memory(sizeof *g, "the model");
    const char *kernel = avi_config_get_string(config, "model", "kernel");
    g->kernel = !strcmp(kernel, "rbf") ? rbf : !strcmp(kernel, "matern32") ? matern32 : exponential;
    g->lengthscale = avi_config_get_real(config, "model", "lengthscale");
    g->amplitude = avi_config_get_real(config, "model", "amplitude");
    g->jitter = avi_config_get_real(config, "model", "jitter");
    g->spacing = avi_config_get_real(config, "model", "spacing");
    g->column = !strcmp(avi_config_get_string(config, "model", "times"), "column");
    g->emission = (avi_scalar_normal){.a = 1, .sd = avi_config_get_real(config, "model", "noise_sd")};
    return g->column ? avi_model_need_width(m, 2, "t and x_n, as model.times = column says")
                     : avi_model_need_width(m, 1, "one number x_n; rows of (t, x) need model.times = column");
}

static double covariance(const avi_model *m, int64_t i, const double *row_i, int64_t j, const double *row_j)
{
    const gp *g = m->self;
    const double distance = g->column ? row_i[0] - row_j[0] : (double)(i - j) * g->spacing;
    const double k = g->kernel(fabs(distance) / g->lengthscale) + (i == j ? g->jitter : 0);
    return g->amplitude * g->amplitude * k;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)theta;
    const gp *g = m->self;
    return avi_scalar_normal_lpdf(t, &g->emission, g->column ? avi_slice(t, b->x, 1, 1) : b->x, z, NULL);
}

/* ---- simulation: z_n from z_0 .. z_{n-1} by Durbin and Levinson's recursion (Hosking 1984), since simulated times are
 * equidistant: exact for every kernel, O(n^2) operations, O(n) memory, and the same as K's Cholesky factor times the
 * draws ---- */

typedef struct recursion {
    double *gamma; /* covariance at lag k */
    double *phi;   /* the best linear forecast of z_n: sum_j phi[j] z_{n-j}, j = 1..n */
    double *old;   /* phi of the step before */
    double *z;
    double variance; /* of the forecast */
} recursion;

/* From the forecast of z_{n-1} to that of z_n. */
static void extend(recursion *r, int64_t n)
{
    double *old = r->phi, *phi = r->old, sum = r->gamma[n];
    for (int64_t j = 1; j < n; j++) sum -= old[j] * r->gamma[n - j];
    const double reflection = sum / r->variance;
    for (int64_t j = 1; j < n; j++) phi[j] = old[j] - reflection * old[n - j];
    phi[n] = reflection;
    r->variance *= 1 - reflection * reflection;
    r->phi = phi;
    r->old = old;
}

static avi_status simulate(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count, double *out)
{
    const gp *g = m->self;
    const int64_t end = first + count, width = g->column ? 2 : 1;
    const double a2 = g->amplitude * g->amplitude;
    if (rows > MAX_SIMULATED)
        return avi_fail(AVI_ERR_CONFIG, "model gp draws at most %d rows, %lld are asked for; use fewer data.rows",
                        MAX_SIMULATED, (long long)rows);
    double *memory = malloc((size_t)(4 * end + 4) * sizeof *memory);
    if (!memory) return avi_fail_memory((size_t)(4 * end + 4) * sizeof *memory, "simulated data");
    recursion r = {memory, memory + end + 1, memory + 2 * end + 2, memory + 3 * end + 3, a2 * (1 + g->jitter)};
    avi_status status = AVI_OK;
    for (int64_t n = 0; n < end && status == AVI_OK; n++) {
        double draw[2], mean = 0;
        r.gamma[n] = a2 * (g->kernel((double)n * g->spacing / g->lengthscale) + (n == 0 ? g->jitter : 0));
        if (n > 0) extend(&r, n);
        if (!(r.variance > 0))
            status = avi_fail(AVI_ERR_CONFIG,
                              "model gp: the covariance of the first %lld simulated rows is not positive definite with "
                              "model.jitter = %g; use a larger jitter, or a smaller lengthscale",
                              (long long)(n + 1), g->jitter);
        avi_simulate_normals(seed, n, 0, 2, draw);
        for (int64_t j = 1; j <= n; j++) mean += r.phi[j] * r.z[n - j];
        r.z[n] = mean + sqrt(r.variance) * draw[0];
        if (n < first || status != AVI_OK) continue;
        if (g->column) out[(n - first) * width] = (double)n * g->spacing;
        out[(n - first) * width + width - 1] = r.z[n] + g->emission.sd * draw[1];
    }
    free(memory);
    return status;
}

static int64_t simulated_width(const avi_config *config)
{
    return strcmp(avi_config_get_string(config, "model", "times"), "column") ? 1 : 2;
}

const avi_model_ops avi_model_gp = {
    .name = "gp",
    .doc = "latent Gaussian process: z ~ N(0, K(t, t)), x_n ~ N(z_n, s^2), all given; every row depends on all others",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .coupling = AVI_DENSE,
    .scalar_theta = true,
    .create = create,
    .log_likelihood = log_likelihood,
    .covariance = covariance,
    .simulate = simulate,
    .simulated_width = simulated_width,
    .quadratic = 2,
};
