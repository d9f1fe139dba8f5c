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
static const avi_family *family(int i) { return avi_registry_at(test_registry(), AVI_KIND_FAMILY, i); }
static const avi_family *find(const char *name) { return avi_registry_find(test_registry(), AVI_KIND_FAMILY, name); }

enum { DRAWS = 200000, MOST_LATENT = 4, MOST_WIDTH = 64 };

typedef struct sample {
    avi_tape *t;
    double nu[MOST_WIDTH], mean[MOST_LATENT], log_sd[MOST_LATENT];
    avi_node *factor, *z; /* (1, width), (DRAWS, L) */
} sample;

static void draw(const avi_family *f, int64_t latent, sample *s)
{
    const int64_t width = f->width(latent);
    assert_in_range(width, latent, MOST_WIDTH);
    *s = (sample){.t = avi_tape_create(AVI_PRECISION_DOUBLE)};
    assert_non_null(s->t);
    avi_uniform_f64(avi_stream_make(2, AVI_DRAW_TEST, (uint64_t)latent), 0, 1, 0, width, s->nu);
    for (int64_t k = 0; k < width; k++) s->nu[k] -= 0.5;
    f->moments(s->nu, latent, s->mean, s->log_sd);
    s->factor = avi_constant(s->t, 1, width, s->nu);
    avi_node *eps = avi_constant_new(s->t, DRAWS, latent);
    avi_normal_f64(avi_stream_make(3, AVI_DRAW_TEST, 0), 0, DRAWS, 0, latent, eps->value);
    s->z = f->draw(s->t, s->factor, eps);
    assert_int_equal(s->z->rows, DRAWS);
    assert_int_equal(s->z->cols, latent);
}

static double average(const double *v, int64_t n, int64_t stride)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i * stride];
    return sum / (double)n;
}

/* Five standard errors. */
static double noise(double sd) { return 5 * sd / sqrt((double)DRAWS); }

static void check_moments(const avi_family *f, const sample *s, int64_t latent)
{
    const double *z = s->z->value;
    for (int64_t l = 0; l < latent; l++) {
        const double sd = exp(s->log_sd[l]), mean = average(z + l, DRAWS, latent);
        double square = 0;
        for (int64_t i = 0; i < DRAWS; i++)
            square += (z[i * latent + l] - s->mean[l]) * (z[i * latent + l] - s->mean[l]) / DRAWS;
        if (!(fabs(mean - s->mean[l]) < noise(sd)))
            fail_msg("%s: mean %g of draws, %g in moments", f->name, mean, s->mean[l]);
        if (!(fabs(square / (sd * sd) - 1) < noise(sqrt(2.0))))
            fail_msg("%s: sd %g of draws, %g in moments", f->name, sqrt(square), sd);
    }
}

/* -E log q = entropy, and E (log q - log N(0, 1)) = KL where it is known. The variance of log q is L / 2. */
static void check_expectations(const avi_family *f, const sample *s, int64_t latent)
{
    const avi_node *logq = f->logq(s->t, s->factor, s->z), *prior = avi_std_normal_lpdf(s->t, s->z);
    const double mean = average(logq->value, DRAWS, 1), entropy = *(const double *)f->entropy(s->t, s->factor)->value;
    if (!(fabs(mean + entropy) < noise(sqrt(0.5 * (double)latent))))
        fail_msg("%s: entropy %g, -E log q = %g", f->name, entropy, -mean);
    if (!f->kl_std) return;
    const double kl = *(const double *)f->kl_std(s->t, s->factor)->value,
                 sampled = mean - average(prior->value, DRAWS, 1);
    if (!(fabs(kl - sampled) < noise(4 * sqrt((double)latent))))
        fail_msg("%s: KL %g, by draws %g", f->name, kl, sampled);
}

/* (1/n) sum of exp(log p - log q) over draws from q is 1 for a normalised p: log q has its constants. p is narrower
 * than q. */
static void check_normalisation(const avi_family *f, const sample *s, int64_t latent)
{
    const double *z = s->z->value, *logq = f->logq(s->t, s->factor, s->z)->value;
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
    if (!(fabs(sum - 1) < noise(sqrt(square)))) fail_msg("%s: q has mass %g", f->name, 1 / sum);
}

static void draws_entropy_density_and_moments_agree(void **state)
{
    (void)state;
    for (int i = 0; i < families(); i++)
        for (int64_t latent = 1; latent <= MOST_LATENT; latent++) {
            sample s;
            draw(family(i), latent, &s);
            check_moments(family(i), &s, latent);
            check_expectations(family(i), &s, latent);
            check_normalisation(family(i), &s, latent);
            assert_int_equal(avi_tape_status(s.t), AVI_OK);
            avi_tape_destroy(&s.t);
        }
}

/* nu is (mean, log_sd) for the one, the Cholesky factor row by row for the other. */
static void moments_in_closed_form(void **state)
{
    (void)state;
    static const double nu[] = {1, 2, 0.25, -0.5}, full[] = {1, 2, 0.25, 3, -0.5};
    double mean[2], log_sd[2];
    find("gaussian")->moments(nu, 2, mean, log_sd);
    assert_true(mean[0] == 1 && mean[1] == 2 && log_sd[0] == 0.25 && log_sd[1] == -0.5);
    find("gaussian_full")->moments(full, 2, mean, log_sd);
    assert_true(mean[0] == 1 && mean[1] == 2 && fabs(log_sd[0] - 0.25) < 1e-15);
    assert_true(fabs(log_sd[1] - 0.5 * log(9 + exp(-1.0))) < 1e-15);
}

static void families_are_found_and_described(void **state)
{
    (void)state;
    assert_true(families() > 0);
    assert_null(find("no such family"));
    for (int i = 0; i < families(); i++) {
        assert_ptr_equal(find(family(i)->name), family(i));
        assert_true(strlen(family(i)->doc) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_entropy_density_and_moments_agree),
        cmocka_unit_test(moments_in_closed_form),
        cmocka_unit_test(families_are_found_and_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
