/* The optimizers against PyTorch (reference_optim.py) and against their formulas written out once more, over the
 * registry where it makes sense; the schedules. */
#include "avi/optim.h"
#include "plugins/reference_optim.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

enum { MOST = 64 };

static const avi_optim_ops *method(int i)
{
    return i < avi_registry_count(test_registry(), AVI_KIND_OPTIM) ? avi_registry_at(test_registry(), AVI_KIND_OPTIM, i)
                                                                   : NULL;
}

static const avi_optim_ops *next_method(const avi_optim_ops *o)
{
    int i = 0;
    while (method(i) != o) i++;
    return method(i + 1);
}

static avi_config *new_config(const char *method, const char *keys)
{
    char text[512];
    avi_config *config = test_config_new();
    snprintf(text, sizeof text, "[optim]\nmethod = %s\n%s\n", method, keys);
    if (avi_config_parse(config, "test", text, 0, NULL) != AVI_OK) fail_msg("%s", avi_error_text());
    return config;
}

/* Values and state of one run, in either precision. */
typedef struct state {
    avi_optim o;
    avi_precision p;
    double rate;
    double w[MOST], g[MOST], slot[AVI_OPTIM_SLOTS][MOST]; /* room for both precisions */
} state;

static void start(state *s, avi_precision p, const char *method, const char *keys)
{
    avi_config *config = new_config(method, keys);
    *s = (state){.p = p, .rate = avi_config_get_real(config, "optim", "learning_rate")};
    assert_int_equal(avi_optim_create(config, &s->o), AVI_OK);
    assert_string_equal(s->o.ops->name, method);
    avi_config_destroy(&config);
}

/* One step down sum a (w - c)^2 / 2; the gradient is given scaled by 4 and to be scaled by 1/4. */
static void step_down(state *s, int64_t n, const double *a, const double *c, int64_t count)
{
    for (int64_t k = 0; k < n; k++) avi_vector_set(s->p, s->g, k, 4 * a[k] * (avi_vector_get(s->p, s->w, k) - c[k]));
    const avi_optim_update u = {.learning_rate = s->rate, .scale = 0.25, .count = count};
    s->o.ops->update[s->p](&s->o, &u, n, s->w, s->g, (void *const[]){s->slot[0], s->slot[1]});
}

static void check_run(avi_precision p, int run)
{
    const double tolerance = p == AVI_PRECISION_SINGLE ? 2e-5 : 1e-13;
    state s;
    start(&s, p, reference_run[run].method, reference_run[run].keys);
    avi_vector_from_double(p, reference_start, REFERENCE_VALUES, s.w);
    for (int i = 0, count = 0; i < REFERENCE_STEPS; i++) {
        while (count < reference_step[i])
            step_down(&s, REFERENCE_VALUES, reference_curvature, reference_centre, ++count);
        for (int k = 0; k < REFERENCE_VALUES; k++)
            if (!(fabs(avi_vector_get(p, s.w, k) - reference_run[run].w[i][k]) < tolerance))
                fail_msg("%s (%s), step %d, value %d: %.17g, PyTorch has %.17g", reference_run[run].method,
                         reference_run[run].keys, count, k, avi_vector_get(p, s.w, k), reference_run[run].w[i][k]);
    }
}

static void steps_are_those_of_pytorch(void **unused)
{
    (void)unused;
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < (int)(sizeof reference_run / sizeof reference_run[0]); i++) check_run((avi_precision)p, i);
}

/* Kingma & Ba 2015, algorithm 1, line by line, for gradients that have nothing to do with w. */
static void adam_is_the_algorithm(void **unused)
{
    (void)unused;
    state s;
    start(&s, AVI_PRECISION_DOUBLE, "adam", "learning_rate = 0.01");
    double w[MOST] = {0}, m[MOST] = {0}, v[MOST] = {0};
    for (int t = 1; t <= 50; t++) {
        for (int k = 0; k < MOST; k++) s.g[k] = sin(t * (k + 1.0)) * exp(k - 32.0);
        for (int k = 0; k < MOST; k++) {
            m[k] = 0.9 * m[k] + (1 - 0.9) * s.g[k];
            v[k] = 0.999 * v[k] + (1 - 0.999) * s.g[k] * s.g[k];
            const double mh = m[k] / (1 - pow(0.9, t)), vh = v[k] / (1 - pow(0.999, t));
            w[k] -= 0.01 * mh / (sqrt(vh) + 1e-8);
        }
        const avi_optim_update u = {.learning_rate = 0.01, .scale = 1, .count = t};
        s.o.ops->update[1](&s.o, &u, MOST, s.w, s.g, (void *const[]){s.slot[0], s.slot[1]});
        for (int k = 0; k < MOST; k++) assert_true(fabs(w[k] - s.w[k]) <= 1e-12 * (1 + fabs(w[k])));
    }
}

static double height(const state *s, int64_t n, const double *a, const double *c)
{
    double f = 0;
    for (int64_t k = 0; k < n; k++) f += 0.5 * a[k] * pow(avi_vector_get(s->p, s->w, k) - c[k], 2);
    return f;
}

/* Every method of the registry that works value by value gets down a convex quadratic; n is odd, so that loops have
 * tails. */
static void every_method_goes_down(void **unused)
{
    (void)unused;
    enum { N = 37 };
    double a[N], c[N];
    for (int k = 0; k < N; k++) {
        a[k] = 0.5 + 0.1 * k;
        c[k] = sin(k);
    }
    for (const avi_optim_ops *o = method(0); o; o = next_method(o))
        for (int p = 0; p < 2 && o->update[p]; p++) {
            state s;
            start(&s, (avi_precision)p, o->name, "learning_rate = 0.01");
            const double top = height(&s, N, a, c);
            for (int t = 1; t <= 2000; t++) step_down(&s, N, a, c, t);
            if (!(height(&s, N, a, c) < 1e-3 * top))
                fail_msg("%s went from %g to %g only", o->name, top, height(&s, N, a, c));
            for (int k = N; k < MOST - N / 2; k++)
                assert_true(avi_vector_get(s.p, s.w, k) == 0); /* wrote only its n values */
        }
}

/* An update of a vector is that of its pieces: local rows and global parameters may be cut anywhere. */
static void values_do_not_depend_on_each_other(void **unused)
{
    (void)unused;
    for (const avi_optim_ops *o = method(0); o; o = next_method(o)) {
        if (!o->update[0]) continue;
        state whole, cut;
        start(&whole, AVI_PRECISION_SINGLE, o->name, "learning_rate = 0.01");
        start(&cut, AVI_PRECISION_SINGLE, o->name, "learning_rate = 0.01");
        for (int t = 1; t <= 3; t++) {
            for (int k = 0; k < MOST; k++) avi_vector_set(whole.p, whole.g, k, cos(k + 1.0) * t);
            const avi_optim_update u = {.learning_rate = 0.01, .scale = 0.5, .count = t};
            o->update[0](&whole.o, &u, MOST, whole.w, whole.g, (void *const[]){whole.slot[0], whole.slot[1]});
            for (int64_t first = 0, n = 1; first < MOST; first += n, n = n + 4 < MOST - first ? n + 4 : MOST - first)
                o->update[0](&cut.o, &u, n, avi_vector_at(cut.p, cut.w, first), avi_vector_at(whole.p, whole.g, first),
                             (void *const[]){avi_vector_at(cut.p, cut.slot[0], first),
                                             avi_vector_at(cut.p, cut.slot[1], first)});
        }
        assert_memory_equal(whole.w, cut.w, MOST * sizeof(float));
    }
}

static void methods_are_found_and_described(void **unused)
{
    (void)unused;
    assert_non_null(method(0));
    assert_null(avi_registry_find(test_registry(), AVI_KIND_OPTIM, "no such method"));
    for (const avi_optim_ops *o = method(0); o; o = next_method(o)) {
        assert_ptr_equal(avi_registry_find(test_registry(), AVI_KIND_OPTIM, o->name), o);
        assert_true(strlen(o->doc) > 0);
        assert_in_range(o->slots, 0, AVI_OPTIM_SLOTS);
        for (int k = 0; k < o->slots; k++) assert_non_null(o->slot_name[k]);
    }
}

static avi_schedule schedule(const char *keys, int64_t total)
{
    avi_schedule s;
    avi_config *config = new_config("adam", keys);
    avi_schedule_read(config, total, &s);
    avi_config_destroy(&config);
    return s;
}

static void assert_rate(const avi_schedule *s, int64_t step, double want)
{
    const double got = avi_schedule_at(s, step);
    if (!(fabs(got - want) <= 1e-14)) fail_msg("step %lld: %.17g, expected %.17g", (long long)step, got, want);
}

static void schedules_follow_their_formulas(void **unused)
{
    (void)unused;
    avi_schedule s = schedule("learning_rate = 0.5", 100);
    assert_rate(&s, 0, 0.5);
    assert_rate(&s, 1000000, 0.5);
    s = schedule("learning_rate = 0.5\nschedule = step\nschedule_every = 10\nschedule_factor = 0.1", 100);
    assert_rate(&s, 9, 0.5);
    assert_rate(&s, 10, 0.05);
    assert_rate(&s, 25, 0.005);
    s = schedule("learning_rate = 0.5\nschedule = cosine", 100);
    assert_rate(&s, 0, 0.5);
    assert_rate(&s, 25, 0.25 * (1 + sqrt(0.5)));
    assert_rate(&s, 50, 0.25);
    assert_rate(&s, 100, 0);
    assert_rate(&s, 150, 0); /* does not come up again */
    s = schedule("learning_rate = 0.5\nschedule = cosine\nwarmup = 20", 100);
    assert_rate(&s, 0, 0.025);
    assert_rate(&s, 9, 0.25);
    assert_rate(&s, 19, 0.5);
    assert_rate(&s, 20, 0.5);
    assert_rate(&s, 60, 0.25);
    s = schedule("learning_rate = 0.5\nschedule = cosine\nwarmup = 20", 10); /* a run shorter than its warm-up */
    assert_rate(&s, 9, 0.25);
    assert_rate(&s, 30, 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),      cmocka_unit_test(adam_is_the_algorithm),
        cmocka_unit_test(every_method_goes_down),          cmocka_unit_test(values_do_not_depend_on_each_other),
        cmocka_unit_test(methods_are_found_and_described), cmocka_unit_test(schedules_follow_their_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
