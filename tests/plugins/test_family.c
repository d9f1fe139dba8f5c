/* What every variational family must hold, over the registry: draws, entropy, log q and moments describe one
 * distribution. */
#include "avi/family.h"
#include "avi/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

static int families(void) { return avi_registry_count(test_registry(), AVI_KIND_FAMILY); }
static const avi_family_ops *ops_at(int i) { return avi_registry_at(test_registry(), AVI_KIND_FAMILY, i); }

/* A family with its keys; more: lines of [inference]. */
static avi_family *make(const char *name, int64_t latent, const char *more)
{
    char text[128];
    avi_config *config = test_config_new();
    avi_family *f = NULL;
    snprintf(text, sizeof text, "[inference]\nfamily = %s\n%s", name, more);
    if (avi_config_parse(config, "test", text, 0, NULL) != AVI_OK) fail_msg("%s", avi_error_text());
    if (avi_family_create(config, latent, &f) != AVI_OK) fail_msg("%s", avi_error_text());
    avi_config_destroy(&config);
    return f;
}

enum { DRAWS = 200000, MOST_LATENT = 4, MOST_WIDTH = 64, MOST_BLOCKS = 4 };

typedef struct sample {
    avi_tape *t;
    avi_params shared;
    double nu[MOST_WIDTH], own[MOST_WIDTH], mean[MOST_LATENT], log_sd[MOST_LATENT];
    avi_node *factor, *z, *log_q, *eps; /* (1, width), (DRAWS, L), (DRAWS, 1), (DRAWS, L) */
} sample;

static void draw(avi_family *f, sample *s)
{
    const int64_t width = f->width, latent = f->latent;
    avi_node *leaf[MOST_BLOCKS];
    const double *own[MOST_BLOCKS];
    assert_in_range(width, latent, MOST_WIDTH);
    *s = (sample){.t = avi_tape_create(AVI_PRECISION_DOUBLE)};
    assert_non_null(s->t);
    assert_int_equal(avi_family_declare(f, &s->shared), AVI_OK);
    assert_in_range(f->count, 0, MOST_BLOCKS);
    assert_in_range(s->shared.size, 0, MOST_WIDTH);
    avi_uniform_f64(avi_stream_make(2, AVI_DRAW_TEST, (uint64_t)latent), 0, 1, 0, width, s->nu);
    avi_uniform_f64(avi_stream_make(2, AVI_DRAW_TEST, 99), 0, 1, 0, MOST_WIDTH, s->own);
    for (int64_t k = 0; k < width; k++) s->nu[k] -= 0.5;
    for (int k = 0; k < MOST_WIDTH; k++) s->own[k] -= 0.5;
    for (int k = 0; k < f->count; k++) {
        own[k] = s->own + s->shared.block[k].offset;
        leaf[k] = avi_constant(s->t, s->shared.block[k].rows, s->shared.block[k].cols, own[k]);
    }
    f->ops->moments(f, s->nu, f->count ? own : NULL, s->mean, s->log_sd);
    s->factor = avi_constant(s->t, 1, width, s->nu);
    s->eps = avi_constant_new(s->t, DRAWS, latent);
    avi_normal_f64(avi_stream_make(3, AVI_DRAW_TEST, 0), 0, DRAWS, 0, latent, s->eps->value);
    s->z = f->ops->draw(f, s->t, s->factor, leaf, s->eps, &s->log_q);
    assert_int_equal(s->z->rows, DRAWS);
    assert_int_equal(s->z->cols, latent);
    assert_int_equal(s->log_q->rows, DRAWS);
}

static void release(avi_family *f, sample *s)
{
    assert_int_equal(avi_tape_status(s->t), AVI_OK);
    avi_tape_destroy(&s->t);
    avi_params_free(&s->shared);
    avi_family_destroy(&f);
}

static double average(const double *v, int64_t n, int64_t stride)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i * stride];
    return sum / (double)n;
}

/* Standard deviation of values whose tails may be heavy: by what was drawn. */
static double spread(const double *v, int64_t n, int64_t stride)
{
    const double mean = average(v, n, stride);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (v[i * stride] - mean) * (v[i * stride] - mean);
    return sqrt(sum / (double)n);
}

/* Five standard errors of a mean over the draws, and of one over the draws that moments were made of. */
static double noise(double sd) { return 5 * sd / sqrt((double)DRAWS); }
static double moment_noise(const avi_family *f, double sd)
{
    return noise(sd) + (f->ops->moment_draws ? 5 * sd / sqrt((double)f->ops->moment_draws) : 0);
}

static void check_moments(const avi_family *f, const sample *s)
{
    const double *z = s->z->value;
    const int64_t latent = f->latent;
    for (int64_t l = 0; l < latent; l++) {
        const double sd = exp(s->log_sd[l]), mean = average(z + l, DRAWS, latent);
        double square = 0, fourth = 0;
        for (int64_t i = 0; i < DRAWS; i++) {
            const double u = (z[i * latent + l] - mean) / sd;
            square += sd * sd * u * u / DRAWS;
            fourth += u * u * u * u / DRAWS;
        }
        if (!(fabs(mean - s->mean[l]) < moment_noise(f, sd)))
            fail_msg("%s: mean %g of draws, %g in moments", f->ops->name, mean, s->mean[l]);
        if (!(fabs(square / (sd * sd) - 1) < moment_noise(f, sqrt(fmax(2, fourth - 1)))))
            fail_msg("%s: sd %g of draws, %g in moments", f->ops->name, sqrt(square), sd);
    }
}

/* log q of the draws is that of any z; -E log q = entropy, and E (log q - log N(0, 1)) = KL, where they are known. */
static void check_expectations(const avi_family *f, const sample *s)
{
    const avi_node *prior = avi_std_normal_lpdf(s->t, s->z);
    const double mean = average(s->log_q->value, DRAWS, 1), latent = (double)f->latent;
    if (f->ops->log_q) {
        const avi_node *again = f->ops->log_q(f, s->t, s->factor, s->z);
        assert_memory_equal(again->value, s->log_q->value, DRAWS * sizeof(double));
    }
    if (f->ops->entropy && !f->ops->draw_after) {
        const double entropy = *(const double *)f->ops->entropy(f, s->t, s->factor)->value;
        if (!(fabs(mean + entropy) < noise(spread(s->log_q->value, DRAWS, 1))))
            fail_msg("%s: entropy %g, -E log q = %g", f->ops->name, entropy, -mean);
    }
    if (!f->ops->kl_std) return;
    const double kl = *(const double *)f->ops->kl_std(f, s->t, s->factor)->value,
                 sampled = mean - average(prior->value, DRAWS, 1);
    if (!(fabs(kl - sampled) < noise(4 * sqrt(latent)))) fail_msg("%s: KL %g, by draws %g", f->ops->name, kl, sampled);
}

/* A family with an entropy has draws that are affine in eps, so that log q is a function of |eps|^2 and the entropy. */
static void check_density_at_draws(const avi_family *f, const sample *s)
{
    if (!f->ops->entropy || f->ops->draw_after) return;
    const double entropy = *(const double *)f->ops->entropy(f, s->t, s->factor)->value, *eps = s->eps->value,
                 *logq = s->log_q->value;
    for (int64_t i = 0; i < DRAWS; i++) {
        double expected = 0.5 * (double)f->latent - entropy;
        for (int64_t l = 0; l < f->latent; l++) expected -= 0.5 * eps[i * f->latent + l] * eps[i * f->latent + l];
        if (!(fabs(logq[i] - expected) < 1e-9 * (1 + fabs(expected))))
            fail_msg("%s: log q %.12g of a draw, expected %.12g", f->ops->name, logq[i], expected);
    }
}

/* (1/n) sum of exp(log p - log q) over draws from q is 1 for a normalised p: log q has its constants. p is narrower
 * than q. */
static void check_normalisation(const avi_family *f, const sample *s)
{
    const double *z = s->z->value, *logq = s->log_q->value;
    const int64_t latent = f->latent;
    double sum = 0, square = 0;
    for (int64_t i = 0; i < DRAWS; i++) {
        double logp = 0;
        for (int64_t l = 0; l < latent; l++) {
            const double sd = 0.4, u = (z[i * latent + l] - s->mean[l]) / sd;
            logp += -0.5 * u * u - log(sd) - 0.5 * log(2 * acos(-1.0));
        }
        const double w = exp(logp - logq[i]);
        sum += w / DRAWS;
        square += w * w / DRAWS;
    }
    if (!(fabs(sum - 1) < noise(sqrt(square)))) fail_msg("%s: q has mass %g", f->ops->name, 1 / sum);
}

/* Families of chains: given the row before a draw has the moments of the marginal, and -E log q is the entropy. */
static void check_draws_after(const avi_family *f, sample *s)
{
    if (!f->ops->draw_after) return;
    const int64_t latent = f->latent;
    avi_node *before = avi_constant_new(s->t, DRAWS, latent);
    avi_normal_f64(avi_stream_make(3, AVI_DRAW_TEST, 1), 0, DRAWS, 0, latent, before->value);
    s->z = f->ops->draw_after(f, s->t, s->factor, NULL, s->eps, before, &s->log_q);
    check_moments(f, s);
    const double entropy = *(const double *)f->ops->entropy(f, s->t, s->factor)->value,
                 mean = average(s->log_q->value, DRAWS, 1);
    if (!(fabs(mean + entropy) < noise(spread(s->log_q->value, DRAWS, 1))))
        fail_msg("%s: entropy %g given the row before, -E log q = %g", f->ops->name, entropy, -mean);
}

/* As they are, and with other settings of the families that have them. */
static const struct {
    const char *key, *text;
} settings[] = {{NULL, ""}, {"flow_parameters", "flow_parameters = shared\n"}, {"rank", "rank = 3\n"}};

static bool has_key(const avi_family_ops *ops, int setting)
{
    if (!settings[setting].key) return true;
    for (int i = 0; i < ops->key_count; i++)
        if (!strcmp(ops->keys[i].name, settings[setting].key)) return true;
    return false;
}

/* What scale_of says, where there is one: the factor of another unit per dimension has the moments of that unit, and
 * with every value 0 the factor is N(0, I). */
static void check_scales(const avi_family *f, const sample *s)
{
    double nu[MOST_WIDTH] = {0}, mean[MOST_LATENT], log_sd[MOST_LATENT];
    if (!f->ops->scale_of || f->count) return;
    f->ops->moments(f, nu, NULL, mean, log_sd);
    for (int64_t l = 0; l < f->latent; l++)
        if (mean[l] != 0 || fabs(log_sd[l]) > 1e-14)
            fail_msg("%s: mean %g, log sd %g of values 0", f->ops->name, mean[l], log_sd[l]);
    for (int64_t k = 0; k < f->width; k++) {
        const int64_t scale = f->ops->scale_of(f, k);
        assert_true(scale >= -1 && scale < f->width && (scale < 0 || f->ops->scale_of(f, scale) == scale));
        const double unit = 0.1 * (double)(scale + 1);
        nu[k] = scale < 0 ? s->nu[k] : scale == k ? s->nu[k] + unit : s->nu[k] * exp(unit);
    }
    f->ops->moments(f, nu, NULL, mean, log_sd);
    for (int64_t l = 0; l < f->latent; l++) {
        const double unit = 0.1 * (double)(f->ops->scale_of(f, l) + 1);
        if (fabs(mean[l] - s->mean[l] * exp(unit)) > 1e-13 || fabs(log_sd[l] - s->log_sd[l] - unit) > 1e-13)
            fail_msg("%s: dimension %d has not the scale that scale_of says", f->ops->name, (int)l);
    }
}

static void draws_entropy_density_and_moments_agree(void **state)
{
    (void)state;
    for (int i = 0; i < families(); i++)
        for (int64_t latent = 1; latent <= MOST_LATENT; latent++)
            for (int more = 0; more < 3; more++) {
                sample s;
                if (!has_key(ops_at(i), more)) continue;
                avi_family *f = make(ops_at(i)->name, latent, settings[more].text);
                draw(f, &s);
                check_moments(f, &s);
                check_expectations(f, &s);
                check_density_at_draws(f, &s);
                check_normalisation(f, &s);
                check_draws_after(f, &s);
                check_scales(f, &s);
                release(f, &s);
            }
}

/* nu is (mean, log_sd) for the one, the Cholesky factor row by row for the other. */
static void moments_in_closed_form(void **state)
{
    (void)state;
    static const double nu[] = {1, 2, 0.25, -0.5}, full[] = {1, 2, 0.25, 3, -0.5},
                        lowrank[] = {1, 2, 0.25, -0.5, 0, 0.75, 0, 0};
    double mean[2], log_sd[2];
    avi_family *f = make("gaussian", 2, "");
    f->ops->moments(f, nu, NULL, mean, log_sd);
    avi_family_destroy(&f);
    assert_true(mean[0] == 1 && mean[1] == 2 && log_sd[0] == 0.25 && log_sd[1] == -0.5);
    f = make("gaussian_full", 2, "");
    f->ops->moments(f, full, NULL, mean, log_sd);
    avi_family_destroy(&f);
    assert_true(mean[0] == 1 && mean[1] == 2 && fabs(log_sd[0] - 0.25) < 1e-15);
    assert_true(fabs(log_sd[1] - 0.5 * log(9 + exp(-1.0))) < 1e-15);
    /* Of rank 1 the covariance is D (I + v v') D with v = (1, 0.75), D = diag(exp(0.25) / sqrt(2), exp(-0.5)); of rank
     * 2 the square of the second map, v = (0, 1), comes on top: the second row of the product is sqrt(2) times the
     * first's. */
    double c[4];
    f = make("gaussian_lowrank", 2, "");
    f->ops->covariance(f, lowrank, c);
    f->ops->moments(f, lowrank, NULL, mean, log_sd);
    avi_family_destroy(&f);
    const double d0 = exp(0.25) / sqrt(2.0), d1 = exp(-0.5);
    assert_true(fabs(c[0] - 2 * d0 * d0) < 1e-14 && fabs(c[1] - 0.75 * d0 * d1) < 1e-14 && c[1] == c[2]);
    assert_true(fabs(c[3] - (1 + 0.5625) * d1 * d1) < 1e-14 && fabs(log_sd[1] - 0.5 * log(c[3])) < 1e-14);
    f = make("gaussian_lowrank", 2, "rank = 2\n");
    f->ops->covariance(f, lowrank, c);
    avi_family_destroy(&f);
    assert_true(fabs(c[0] - 2 * d0 * d0) < 1e-14 && fabs(c[1] - 0.75 * d0 * d1) < 1e-14);
    assert_true(fabs(c[3] - (1 + 0.5625) * d1 * d1) < 1e-14); /* sqrt(2) of the map, 1 / sqrt(2) of D */
    f = make("student_t", 2, "degrees = 4\n");                /* variance 4 / (4 - 2) */
    f->ops->moments(f, nu, NULL, mean, log_sd);
    avi_family_destroy(&f);
    assert_true(mean[1] == 2 && fabs(log_sd[0] - (0.25 + 0.5 * log(2.0))) < 1e-15);
}

/* Quantiles of Student's distribution with 4 degrees of freedom, of the probabilities that a standard normal has below
 * these e by bisection of 1 - F(t) = (1 - x)^2 (2 + x) / 4 with x = t / sqrt(4 + t^2) in Python. */
static void quantiles_of_student(void **state)
{
    (void)state;
    static const double e[] = {0.503, 1.007, 2.02, 3.01, 4.03},
                        t[] = {0.5446053407622344, 1.150781783011733, 2.916768387924506, 6.678935840634038,
                               18.018051240053005},
                        nu[] = {0, 0};
    avi_tape *tape = avi_tape_create(AVI_PRECISION_DOUBLE);
    avi_family *f = make("student_t", 1, "degrees = 4\n");
    avi_node *z = f->ops->draw(f, tape, avi_constant(tape, 1, 2, nu), NULL, avi_constant(tape, 5, 1, e), NULL);
    for (int i = 0; i < 5; i++)
        if (!(fabs(((const double *)z->value)[i] / t[i] - 1) < 1e-9))
            fail_msg("t(%g) = %.15g, expected %.15g", e[i], ((const double *)z->value)[i], t[i]);
    avi_family_destroy(&f);
    avi_tape_destroy(&tape);
}

static void families_are_found_and_described(void **state)
{
    (void)state;
    assert_true(families() > 0);
    assert_null(avi_registry_find(test_registry(), AVI_KIND_FAMILY, "no such family"));
    for (int i = 0; i < families(); i++) {
        assert_ptr_equal(avi_registry_find(test_registry(), AVI_KIND_FAMILY, ops_at(i)->name), ops_at(i));
        assert_true(strlen(ops_at(i)->doc) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_entropy_density_and_moments_agree),
        cmocka_unit_test(moments_in_closed_form),
        cmocka_unit_test(quantiles_of_student),
        cmocka_unit_test(families_are_found_and_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
