/* Every registered model: log densities against Python, gradients against finite differences in double, single
 * against double. */
#include "avi/model.h"
#include "avi/rng.h"
#include "density/normal_1d.h"
#include "model/scalar.h"
#include "reference_models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model_support.h"

enum { ROWS = REFERENCE_ROWS, DRAWS = REFERENCE_DRAWS, MOST = 4096 };

/* ---- its densities for one block of rows ---- */

typedef struct point {
    int64_t width, theta_draws;
    double x[MOST], z[MOST], theta[MOST]; /* theta: as the estimator lays it out, without padding */
} point;

typedef struct outcome {
    int64_t z_values, theta_values;
    double loglik[ROWS * DRAWS], prior[ROWS * DRAWS];
    double total, dz[MOST], dtheta[MOST]; /* total: sum over rows of seed * (loglik + prior) */
} outcome;

static double seed_of(int64_t r) { return 0.5 + 0.125 * (double)r; }

static avi_node *leaf(avi_tape *t, int64_t rows, int64_t cols, const double *v, void **grad)
{
    const avi_precision p = avi_tape_precision(t);
    void *values = avi_tape_alloc(t, rows * cols);
    avi_vector_from_double(p, v, rows * cols, values);
    *grad = avi_tape_alloc(t, rows * cols);
    memset(*grad, 0, (size_t)(rows * cols) * avi_real_size(p));
    return avi_parameter(t, rows, cols, values, *grad);
}

static avi_node *constant(avi_tape *t, int64_t rows, int64_t cols, const double *v)
{
    avi_node *n = avi_constant_new(t, rows, cols);
    avi_vector_from_double(avi_tape_precision(t), v, rows * cols, n->value);
    return n;
}

static avi_node *prior_of(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const avi_model_ops *ops = m->ops;
    if (ops->coupling == AVI_CHAIN)
        return avi_concat_rows(t, ops->log_initial(m, t, avi_slice_rows(t, z, 0, DRAWS), theta),
                               ops->log_transition(m, t, avi_slice_rows(t, z, 0, (ROWS - 1) * DRAWS),
                                                   avi_slice_rows(t, z, DRAWS, (ROWS - 1) * DRAWS), theta));
    return ops->log_prior ? ops->log_prior(m, t, b, z, theta) : avi_std_normal_lpdf(t, z);
}

static void evaluate(const avi_model *m, const point *at, avi_precision p, outcome *out)
{
    avi_tape *t = avi_tape_create(p);
    avi_node *theta[16];
    void *dtheta[16], *dz;
    const int64_t rows = ROWS * DRAWS;
    int64_t done = 0;
    assert_non_null(t);
    assert_true(m->theta.count <= 16);
    for (int k = 0; k < m->theta.count; k++) {
        const avi_block *b = &m->theta.block[k];
        const int64_t r = m->ops->scalar_theta ? at->theta_draws : b->rows, c = m->ops->scalar_theta ? 1 : b->cols;
        theta[k] = leaf(t, r, c, at->theta + done, &dtheta[k]);
        done += r * c;
    }
    avi_node *z = leaf(t, rows, m->latent, at->z, &dz);
    const avi_batch b = {.rows = ROWS,
                         .draws = DRAWS,
                         .x = constant(t, ROWS, at->width, at->x),
                         .x_next = m->ops->lookahead ? constant(t, ROWS, at->width, at->x + at->width) : NULL};
    avi_node *loglik = m->ops->log_likelihood(m, t, &b, z, theta), *prior = prior_of(m, t, &b, z, theta);
    avi_node *sum = avi_add(t, loglik, prior);
    double seeds[ROWS * DRAWS];
    assert_int_equal(loglik->rows, rows);
    assert_int_equal(prior->rows, rows);
    avi_vector_to_double(p, loglik->value, rows, out->loglik);
    avi_vector_to_double(p, prior->value, rows, out->prior);
    out->total = 0;
    for (int64_t r = 0; r < rows; r++) out->total += (seeds[r] = seed_of(r)) * (out->loglik[r] + out->prior[r]);
    avi_tape_backward_rows(t, sum, seeds);
    assert_int_equal(avi_tape_status(t), AVI_OK);
    avi_vector_to_double(p, dz, rows * m->latent, out->dz);
    out->z_values = rows * m->latent;
    out->theta_values = done;
    done = 0;
    for (int k = 0; k < m->theta.count; k++) {
        const int64_t n = theta[k]->rows * theta[k]->cols;
        avi_vector_to_double(p, dtheta[k], n, out->dtheta + done);
        done += n;
    }
    avi_tape_destroy(&t);
}

static void close_to(const char *label, const char *what, int64_t k, double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
        fail_msg("%s: %s %lld is %.15g, not %.15g", label, what, (long long)k, got, want);
}

/* ---- tests ---- */

static void densities_are_those_of_python(void **state)
{
    (void)state;
    static point at;
    static outcome out;
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        const reference *c = &references[i];
        avi_model *m = make_model(c->ini, c->width);
        assert_int_equal(m->latent, c->latent);
        at.width = c->width;
        at.theta_draws = c->theta_draws;
        memcpy(at.x, c->x, sizeof c->x);
        memcpy(at.z, c->z, sizeof c->z);
        memcpy(at.theta, c->theta, sizeof c->theta);
        for (int p = 0; p < 2; p++) {
            evaluate(m, &at, (avi_precision)p, &out);
            for (int64_t r = 0; r < ROWS * DRAWS; r++) {
                close_to(c->label, "log likelihood", r, out.loglik[r], c->loglik[r], p ? 1e-13 : 2e-6);
                close_to(c->label, "log prior", r, out.prior[r], c->logprior[r], p ? 1e-13 : 2e-6);
            }
        }
        avi_model_destroy(&m);
    }
}

/* A value that the likelihood can have, from u in (0, 1). */
static double possible(avi_support support, double u)
{
    switch (support) {
    case AVI_SUPPORT_COUNT:
        return floor(8 * u);
    case AVI_SUPPORT_BINARY:
    case AVI_SUPPORT_BINARY_OR_ABSENT:
        return u < 0.5 ? 0 : 1;
    case AVI_SUPPORT_GREY:
        return floor(256 * u) / 255;
    case AVI_SUPPORT_REAL:
    case AVI_SUPPORT_UNIT:
        return u;
    case AVI_SUPPORT_LEVELS:
        break;
    }
    return floor(u * (double)(support - AVI_SUPPORT_LEVELS));
}

/* Rows for a model: simulated when it can, else values that its likelihood can have. */
static void fill_point(const avi_model *m, int64_t theta_draws, point *at)
{
    const avi_stream s = avi_stream_make(3, AVI_DRAW_TEST, 0);
    at->width = m->shape.width;
    at->theta_draws = theta_draws;
    const int64_t values = (ROWS + 1) * at->width;
    const int64_t theta = m->ops->scalar_theta ? m->theta.count * theta_draws : avi_params_values(&m->theta);
    assert_true(values <= MOST && ROWS * DRAWS * m->latent <= MOST && theta <= MOST);
    avi_uniform_f64(s, 0, 1, 0, values, at->x);
    for (int64_t k = 0; m->ops->support && k < values; k++)
        at->x[k] = possible(m->ops->support(m, k % at->width), at->x[k]);
    if (avi_model_simulates(m->ops)) assert_int_equal(avi_model_simulate(m, 1, ROWS + 1, 0, ROWS + 1, at->x), AVI_OK);
    avi_normal_f64(s, 1, 1, 0, ROWS * DRAWS * m->latent, at->z);
    if (theta) avi_normal_f64(s, 2, 1, 0, theta, at->theta);
    for (int64_t k = 0; k < theta; k++) at->theta[k] *= 0.5;
}

static void differences(const char *name, const avi_model *m, point *at, double *v, int64_t n, const double *gradient,
                        const char *what)
{
    static outcome up, down;
    const double h = 1e-5;
    for (int64_t k = 0; k < n; k++) {
        const double middle = v[k];
        v[k] = middle + h;
        evaluate(m, at, AVI_PRECISION_DOUBLE, &up);
        v[k] = middle - h;
        evaluate(m, at, AVI_PRECISION_DOUBLE, &down);
        v[k] = middle;
        close_to(name, what, k, gradient[k], (up.total - down.total) / (2 * h), 2e-7);
    }
}

static void check_gradients(const avi_model *m, int64_t theta_draws)
{
    static point at;
    static outcome out, single;
    const char *name = m->ops->name;
    fill_point(m, theta_draws, &at);
    evaluate(m, &at, AVI_PRECISION_DOUBLE, &out);
    differences(name, m, &at, at.z, out.z_values, out.dz, "gradient of z");
    differences(name, m, &at, at.theta, out.theta_values, out.dtheta, "gradient of theta");
    evaluate(m, &at, AVI_PRECISION_SINGLE, &single);
    for (int64_t k = 0; k < out.z_values; k++) close_to(name, "single gradient of z", k, single.dz[k], out.dz[k], 1e-4);
    for (int64_t k = 0; k < out.theta_values; k++)
        close_to(name, "single gradient of theta", k, single.dtheta[k], out.dtheta[k], 1e-4);
}

static void gradients_are_differences(void **state)
{
    (void)state;
    for (int i_model = 0; i_model < model_count(); i_model++) {
        const avi_model_ops *const ops = model_at(i_model);
        avi_model *m = make_model(small_text(ops), avi_model_simulates(ops) ? 0 : 6);
        check_gradients(m, 1);
        if (ops->scalar_theta) check_gradients(m, DRAWS);
        avi_model_destroy(&m);
    }
}

/* The likelihoods of the vae: gradients at the points whose densities Python has. */
static void likelihoods_have_their_gradients(void **state)
{
    (void)state;
    static point at;
    static outcome out;
    int seen = 0;
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        const reference *c = &references[i];
        if (strncmp(c->label, "vae", 3)) continue;
        avi_model *m = make_model(c->ini, c->width);
        at = (point){.width = c->width, .theta_draws = c->theta_draws};
        memcpy(at.x, c->x, sizeof c->x);
        memcpy(at.z, c->z, sizeof c->z);
        memcpy(at.theta, c->theta, sizeof c->theta);
        evaluate(m, &at, AVI_PRECISION_DOUBLE, &out);
        differences(c->label, m, &at, at.z, out.z_values, out.dz, "gradient of z");
        differences(c->label, m, &at, at.theta, out.theta_values, out.dtheta, "gradient of theta");
        avi_model_destroy(&m);
        seen++;
    }
    assert_true(seen >= 6);
}

/* The probabilities of all values that one value can have add up to 1, and have the mean that reconstruct gives. */
static void sums_to_one(const char *likelihood, int64_t count, double step)
{
    enum { THETA = 64, WIDTH = 4096 };
    static double x[WIDTH], theta_of[THETA];
    char text[256];
    snprintf(text, sizeof text, "[model]\nname = vae\nlatent = 1\nhidden =\nlikelihood = %s\n", likelihood);
    avi_config *config = parse(text);
    const avi_shape shape = {.rows = count, .width = 1, .height = 1, .columns = 1, .type = AVI_F64, .scale = step};
    avi_model *m;
    if (avi_model_create(config, &shape, &m) != AVI_OK) fail_msg("%s", avi_error_text());
    avi_config_destroy(&config);
    for (int64_t k = 0; k < count; k++) x[k] = (double)k * step;
    for (int trial = 0; trial < 5; trial++) {
        avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
        avi_node *theta[8];
        const double z_of = 0.7 * trial - 1.2;
        int64_t done = 0;
        avi_normal_f64(avi_stream_make(11, AVI_DRAW_TEST, (uint64_t)trial), 0, 1, 0, THETA, theta_of);
        for (int k = 0; k < m->theta.count;
             k++) { /* of many levels the values come again: other places, other logits */
            const int64_t n = m->theta.block[k].rows * m->theta.block[k].cols;
            theta[k] = avi_constant_new(t, m->theta.block[k].rows, m->theta.block[k].cols);
            for (int64_t i = 0; i < n; i++)
                avi_vector_set(AVI_PRECISION_DOUBLE, theta[k]->value, i, theta_of[(done + 7 * i) % THETA]);
            done += n;
        }
        avi_node *z = avi_constant_new(t, count, 1);
        for (int64_t k = 0; k < count; k++) avi_vector_set(AVI_PRECISION_DOUBLE, z->value, k, z_of);
        const avi_batch b = {.rows = count, .draws = 1, .x = constant(t, count, 1, x)};
        const double *log_p = m->ops->log_likelihood(m, t, &b, z, theta)->value,
                     *mean = m->ops->reconstruct(m, t, &b, z, theta)->value;
        double sum = 0, of_x = 0;
        for (int64_t k = 0; k < count; k++) {
            sum += exp(log_p[k]);
            of_x += exp(log_p[k]) * x[k];
        }
        close_to(text, "probabilities of trial", trial, sum, 1, 1e-11);
        close_to(text, "mean of trial", trial, mean[0], of_x, 1e-10);
        assert_int_equal(avi_tape_status(t), AVI_OK);
        avi_tape_destroy(&t);
    }
    avi_model_destroy(&m);
}

static void likelihoods_are_normalised(void **state)
{
    (void)state;
    sums_to_one("bernoulli", 2, 1);
    sums_to_one("poisson", 300, 1);
    sums_to_one("negative_binomial", 4000, 1);
    sums_to_one("categorical\nlevels = 5", 5, 1);
    sums_to_one("categorical", 256, 1 / 255.0);
    sums_to_one("discretised_logistic\nlevels = 7", 7, 1);
    sums_to_one("discretised_logistic", 256, 1 / 255.0);
}

/* The fused densities against their plain composition, on more rows than they take at a time. */
enum { LONG_ROWS = 7, LONG_DRAWS = 150, LONG = LONG_ROWS * LONG_DRAWS };

static avi_node *fused_or_plain(avi_tape *t, int kind, bool fused, avi_node *x, avi_node *z, avi_node *theta)
{
    static const avi_scalar_normal p = {.a = 0.8, .b = -0.6, .sd = 1.7};
    static const bool keep = false;
    if (fused) return kind ? avi_wave_lpdf(t, &keep, x, z, theta) : avi_scalar_normal_lpdf(t, &p, x, z, theta);
    if (!kind) return avi_normal_lpdf_sd(t, x, avi_add(t, avi_scale(t, z, p.a, 0), avi_scale(t, theta, p.b, 0)), p.sd);
    avi_node *mean = avi_add(t, avi_add(t, avi_mul(t, z, avi_map(t, z, AVI_SIN)), z), theta);
    return avi_normal_lpdf(t, x, mean, avi_map(t, z, AVI_COS));
}

/* Values, then gradients of x, z and theta: out (4, LONG), zero beyond the end of each. */
static void run_long(int kind, bool fused, int64_t draws, int64_t theta_rows, double (*out)[LONG])
{
    static double v[LONG], seeds[LONG];
    void *grad[3];
    const int64_t rows = LONG / draws, count[3] = {rows, LONG, theta_rows};
    avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
    avi_node *in[3];
    assert_non_null(t);
    memset(out, 0, 4 * sizeof *out);
    for (int i = 0; i < 3; i++) {
        avi_normal_f64(avi_stream_make(5, AVI_DRAW_TEST, (uint64_t)i), 0, 1, 0, count[i], v);
        in[i] = leaf(t, count[i], 1, v, &grad[i]);
    }
    for (int64_t r = 0; r < LONG; r++) seeds[r] = seed_of(r % 10);
    avi_node *y = fused_or_plain(t, kind, fused, in[0], in[1], in[2]);
    memcpy(out[0], y->value, sizeof *out);
    avi_tape_backward_rows(t, y, seeds);
    for (int i = 0; i < 3; i++) memcpy(out[i + 1], grad[i], (size_t)count[i] * sizeof(double));
    avi_tape_destroy(&t);
}

static void fused_densities_are_the_plain_ones(void **state)
{
    (void)state;
    static double fused[4][LONG], plain[4][LONG];
    static const int64_t draws[] = {LONG_DRAWS, LONG_DRAWS, LONG, 3, 1}, theta_rows[] = {LONG_DRAWS, 1, LONG, 3, 1};
    for (int kind = 0; kind < 2; kind++)
        for (size_t c = 0; c < sizeof draws / sizeof *draws; c++) {
            run_long(kind, true, draws[c], theta_rows[c], fused);
            run_long(kind, false, draws[c], theta_rows[c], plain);
            for (int64_t k = 0; k < 4 * (int64_t)LONG; k++)
                close_to(kind ? "wave" : "scalar_normal", "value", k, fused[k / LONG][k % LONG],
                         plain[k / LONG][k % LONG], 1e-11);
        }
}

/* loss = -ELBO + offset: the constants of 2 N + 1 Gaussian terms, by hand (Margossian & Blei's code leaves them out).
 */
static void offsets_are_the_papers(void **state)
{
    (void)state;
    avi_model *m = make_model("[model]\nname = saw\n", 0);
    close_to("saw", "ELBO", 0, -553.0139 + m->ops->loss_offset(m, 1000), -1471.0335, 1e-7);
    avi_model_destroy(&m);
    m = make_model("[model]\nname = linear\ntau = 1\nsigma = 2\n", 0);
    /* One datapoint at its mean: ELBO* = -1/2 log(2 pi 5) + 1/2 log(2 pi 4), loss* = 1/2 log(5/4) - 1/2 log 4. */
    close_to("linear", "loss", 0, 0.5 * log(5) - 0.5 * log(4) + m->ops->loss_offset(m, 1),
             0.5 * log(1.25) - 0.5 * log(4), 1e-12);
    avi_model_destroy(&m);
}

static void refused(const char *text, int64_t width, avi_status status, const char *words)
{
    avi_model *m;
    assert_int_equal(try_model(text, width, &m), status);
    if (!strstr(avi_error_text(), words)) fail_msg("the message is \"%s\", without \"%s\"", avi_error_text(), words);
    assert_null(m);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    refused("[model]\nname = linear\n", 3, AVI_ERR_DATA,
            "model linear: rows of the data hold 3 values; it explains rows of 1");
    refused("[model]\nname = saw\n", 2, AVI_ERR_DATA, "rows of 1");
    refused("[model]\nname = hier_logistic\ntrials = 3\ncovariates = 1\n", 7, AVI_ERR_DATA,
            "rows of 6 (model.trials outcomes");
    refused("[model]\nname = hmm\nA = 1, x\n", 1, AVI_ERR_CONFIG,
            "test.ini:3: [model] A = 1, x: not a matrix at character 4");
    refused("[model]\nname = hmm\nlatent = 2\nA = 1, 2; 3\n", 2, AVI_ERR_CONFIG, "not a matrix");
    refused("[model]\nname = hmm\nlatent = 2\nA = 1, 2\n", 2, AVI_ERR_CONFIG,
            "a matrix of 1 by 2; use 2 by 2, or one number");
    refused("[model]\nname = hmm\nC = 1; 2\n", 3, AVI_ERR_CONFIG, "a matrix of 2 by 1; use 3 by 1");
    refused("[model]\nname = hmm\nlatent = 2\nQ = 1, 2, 3\n", 2, AVI_ERR_CONFIG,
            "3 values; use 2 variances, or one for all");
    refused("[model]\nname = hmm\nR = 0\n", 1, AVI_ERR_CONFIG, "0 is not a variance");
    refused("[model]\nname = hmm\nA =\n", 1, AVI_ERR_CONFIG, "not a matrix");
    refused("[model]\nname = hmm\nQ = inf\n", 1, AVI_ERR_CONFIG, "not a matrix");
    /* Numbers are those of other keys: decimal, with one comma between them. */
    refused("[model]\nname = hmm\nA = 0x1\n", 1, AVI_ERR_CONFIG, "not a matrix at character 1");
    refused("[model]\nname = hmm\nA = 1,,2\n", 1, AVI_ERR_CONFIG, "not a matrix");
    refused("[model]\nname = hmm\nA = 1, 2, ; 3, 4\n", 1, AVI_ERR_CONFIG, "not a matrix");
}

static void one_number_is_a_multiple_of_the_identity(void **state)
{
    (void)state;
    static point at;
    static outcome one, full;
    avi_model *a = make_model("[model]\nname = hmm\nlatent = 2\nA = 0.5\nC = 2\nQ = 0.3\nR = 4\n", 0);
    avi_model *b =
        make_model("[model]\nname = hmm\nlatent = 2\nA = 0.5 0; 0 0.5\nC = 2 0; 0 2\nQ = 0.3 0.3\nR = 4, 4\n", 0);
    assert_int_equal(a->shape.width, 2);
    assert_int_equal(b->shape.width, 2);
    fill_point(a, 1, &at);
    evaluate(a, &at, AVI_PRECISION_DOUBLE, &one);
    evaluate(b, &at, AVI_PRECISION_DOUBLE, &full);
    assert_memory_equal(one.loglik, full.loglik, sizeof one.loglik);
    assert_memory_equal(one.prior, full.prior, sizeof one.prior);
    avi_model_destroy(&a);
    avi_model_destroy(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(densities_are_those_of_python),
        cmocka_unit_test(gradients_are_differences),
        cmocka_unit_test(likelihoods_have_their_gradients),
        cmocka_unit_test(likelihoods_are_normalised),
        cmocka_unit_test(fused_densities_are_the_plain_ones),
        cmocka_unit_test(offsets_are_the_papers),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(one_number_is_a_multiple_of_the_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
