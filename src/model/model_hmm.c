/* Gaussian hidden Markov model (linear state space): z_1 ~ N(0, initial_sd^2), z_n ~ N(A z_{n-1}, Q), x_n ~ N(C z_n,
 * R), Q and R diagonal. With its defaults (all 1) it is the counterexample of Margossian & Blei 2024, section 3.3: the
 * F-VI optimum of z_n depends on the place in the chain, so no function of x_n, nor of any fixed window, closes the
 * amortization gap. */
#include "model/hmm.h"
#include "config/matrix_text.h"
#include "density/normal_1d.h"
#include "model/scalar.h"

#include <math.h>
#include <stdlib.h>

typedef struct hmm {
    avi_hmm given;
    bool scalar; /* L = D = 1: fused densities */
    avi_scalar_normal transition, emission, initial;
    struct {
        uint64_t seed;
        int64_t rows;
        double *z; /* (L), of row rows - 1 */
    } drawn;       /* how far a series was simulated: rows are asked for in pieces, one after the other */
} hmm;

static const avi_key keys[] = {
    {"model", "latent", AVI_KEY_INT, "1", 1, 256, NULL, "dimensions", "dimensions L of the state z_n"},
    {"model", "A", AVI_KEY_STRING, "1", 0, 0, NULL, NULL,
     "transition (L, L): rows end with ; as in 1, 0.1; 0, 1; one number: times the identity"},
    {"model", "C", AVI_KEY_STRING, "1", 0, 0, NULL, NULL, "emission (D, L), as A"},
    {"model", "Q", AVI_KEY_STRING, "1", 0, 0, NULL, NULL, "variances of the transition (L), or one for all"},
    {"model", "R", AVI_KEY_STRING, "1", 0, 0, NULL, NULL, "variances of the data (D), or one for all"},
    {"model", "initial_sd", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, NULL, "standard deviation of every dimension of z_1"},
};

/* On a failure avi_model_create destroys the model. */
static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    hmm *h = m->self = calloc(1, sizeof *h);
    if (!h) return avi_fail_memory(sizeof *h, "the model");
    m->latent = avi_config_get_int(config, "model", "latent");
    AVI_TRY(avi_hmm_read(config, m->latent, m->shape.width, &h->given));
    h->scalar = h->given.latent == 1 && h->given.width == 1;
    h->transition = (avi_scalar_normal){.a = h->given.a[0], .sd = exp(h->given.log_sd_q[0])};
    h->emission = (avi_scalar_normal){.a = h->given.c[0], .sd = exp(h->given.log_sd_r[0])};
    return AVI_OK;
}

static void destroy(avi_model *m)
{
    hmm *h = m->self;
    if (!h) return;
    avi_hmm_free(&h->given);
    free(h->drawn.z);
    free(h);
}

/* z (R, in) -> (R, out) by a matrix (out, in). */
static avi_node *multiply(avi_tape *t, avi_node *z, int64_t out, const double *matrix)
{
    return avi_affine(t, z, avi_model_constant(t, out, z->cols, matrix), NULL, AVI_IDENTITY);
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)theta;
    const hmm *h = m->self;
    if (h->scalar) return avi_scalar_normal_lpdf(t, &h->emission, b->x, z, NULL);
    return avi_normal_lpdf(t, b->x, multiply(t, z, h->given.width, h->given.c),
                           avi_model_constant(t, 1, h->given.width, h->given.log_sd_r));
}

static avi_node *log_transition(const avi_model *m, avi_tape *t, avi_node *z_before, avi_node *z, avi_node **theta)
{
    (void)theta;
    const hmm *h = m->self;
    if (h->scalar) return avi_scalar_normal_lpdf(t, &h->transition, z, z_before, NULL);
    return avi_normal_lpdf(t, z, multiply(t, z_before, h->given.latent, h->given.a),
                           avi_model_constant(t, 1, h->given.latent, h->given.log_sd_q));
}

static avi_node *log_initial(const avi_model *m, avi_tape *t, avi_node *z, avi_node **theta)
{
    (void)theta;
    const hmm *h = m->self;
    const double zero = 0;
    return avi_normal_lpdf_sd(t, z, avi_model_constant(t, 1, 1, &zero), h->given.initial_sd);
}

static avi_node *reconstruct(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    (void)b;
    (void)theta;
    const hmm *h = m->self;
    return multiply(t, z, h->given.width, h->given.c);
}

/* to = matrix (n, l) from + sd * draw. */
static void step(int64_t n, int64_t l, const double *matrix, const double *from, const double *log_sd,
                 const double *draw, double *to)
{
    for (int64_t i = 0; i < n; i++) {
        to[i] = exp(log_sd[i]) * draw[i];
        for (int64_t j = 0; j < l; j++) to[i] += matrix[i * l + j] * from[j];
    }
}

/* The chain is run from row 0; draws of row n: L for the state, D for the data. */
static avi_status simulate(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count, double *out)
{
    (void)rows;
    hmm *h = m->self;
    const int64_t l = h->given.latent, d = h->given.width;
    if (!h->drawn.z) h->drawn.z = calloc((size_t)l, sizeof *h->drawn.z);
    double *work = calloc((size_t)(2 * l + d), sizeof *work), *z = h->drawn.z;
    if (!work || !z) {
        free(work);
        return avi_fail_memory((size_t)(3 * l + d) * sizeof *work, "simulated data");
    }
    double *before = work, *draw = work + l;
    const bool goes_on = h->drawn.seed == seed && h->drawn.rows <= first;
    for (int64_t n = goes_on ? h->drawn.rows : 0; n < first + count; n++) {
        avi_simulate_normals(seed, n, 0, l + d, draw);
        for (int64_t i = 0; i < l; i++) {
            before[i] = z[i];
            z[i] = h->given.initial_sd * draw[i];
        }
        if (n > 0) step(l, l, h->given.a, before, h->given.log_sd_q, draw, z);
        if (n >= first) step(d, l, h->given.c, z, h->given.log_sd_r, draw + l, out + (n - first) * d);
    }
    h->drawn.seed = seed;
    h->drawn.rows = first + count;
    free(work);
    return AVI_OK;
}

static int64_t simulated_width(const avi_config *config)
{
    int64_t rows = 1, cols = 1;
    double *c = NULL;
    if (avi_matrix_read(config, "C", &rows, &cols, &c) != AVI_OK) return 1;
    free(c);
    return rows == 1 && cols == 1 ? avi_config_get_int(config, "model", "latent") : rows;
}

const avi_model_ops avi_model_hmm = {
    .name = "hmm",
    .doc =
        "Gaussian hidden Markov model: z_n ~ N(A z_{n-1}, Q), x_n ~ N(C z_n, R), all given; no f(x_n) closes its gap",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "latent = 2\nA = 0.9, 0.2; -0.1, 0.7\nC = 1, 0.5; 0, 2; 1, 1\nQ = 0.5, 2\nR = 1, 2, 3\n",
    .coupling = AVI_CHAIN,
    .scalar_theta = true,
    .create = create,
    .destroy = destroy,
    .log_likelihood = log_likelihood,
    .log_transition = log_transition,
    .log_initial = log_initial,
    .reconstruct = reconstruct,
    .simulate = simulate,
    .simulated_width = simulated_width,
    .quadratic = 2,
};
