/* Every operation of ops.def by central differences in double, and single precision against double. */
#include "gradient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef double values[MAX_VALUES];

static struct {
    values x[MAX_LEAVES];
    outcome exact, single, up, down;
} work; /* large: not on the stack */

static double distance(double a, double b, double scale) { return fabs(a - b) / fmax(scale, fmax(fabs(a), fabs(b))); }

static void report(const gradient_case *c, int w, int i, int64_t k, double got, double want)
{
    fail_msg("%s (%s), wiring %d: gradient %d[%lld] is %.12g, expected %.12g", c->op ? c->op->name : "custom", c->label,
             w, i, (long long)k, got, want);
}

/* (f(x + h) - f(x - h)) / 2h, extrapolated once (Richardson), so that neither rounding nor curvature shows at 1e-6. */
static double difference(const gradient_case *c, wiring w, int i, int64_t k)
{
    const double h = 1e-3, x = work.x[i][k];
    double slope[2];
    for (int half = 0; half < 2; half++) {
        const double step = half ? h / 2 : h;
        work.x[i][k] = x + step;
        gradient_run(c, AVI_PRECISION_DOUBLE, w, work.x, false, &work.up);
        work.x[i][k] = x - step;
        gradient_run(c, AVI_PRECISION_DOUBLE, w, work.x, false, &work.down);
        slope[half] = (work.up.value - work.down.value) / (2 * step);
    }
    work.x[i][k] = x;
    return (4 * slope[1] - slope[0]) / 3;
}

static void check_case(const gradient_case *c, wiring w)
{
    gradient_values(c, work.x);
    gradient_run(c, AVI_PRECISION_DOUBLE, w, work.x, true, &work.exact);
    if (!work.exact.has_op) fail_msg("the case '%s' does not contain %s", c->label, c->op->name);
    for (int i = 0; i < MAX_LEAVES && c->leaf[i].rows; i++)
        for (int64_t k = 0; !c->leaf[i].fixed && k < c->leaf[i].rows * c->leaf[i].cols; k++) {
            const double want = difference(c, w, i, k);
            if (!(distance(work.exact.grad[i][k], want, 1) < 1e-6)) report(c, w, i, k, work.exact.grad[i][k], want);
        }
}

static void gradients_agree_with_differences(void **state)
{
    (void)state;
    for (int i = 0; i < gradient_case_count; i++)
        for (int w = 0; w < WIRINGS; w++) check_case(&gradient_cases[i], (wiring)w);
}

static void every_operation_has_a_case(void **state)
{
    (void)state;
    static const avi_op *const all[] = {
#define AVI_OP(name) &avi_op_##name,
#include "tape/ops.def"
#undef AVI_OP
    };
    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
        int cases = 0;
        for (int i = 0; i < gradient_case_count; i++) cases += gradient_cases[i].op == all[k];
        if (!cases) fail_msg("operation %s has no case in tests/tape/cases.c", all[k]->name);
    }
}

static void compare_precisions(const gradient_case *c, wiring w)
{
    gradient_values(c, work.x);
    gradient_run(c, AVI_PRECISION_DOUBLE, w, work.x, true, &work.exact);
    gradient_run(c, AVI_PRECISION_SINGLE, w, work.x, true, &work.single);
    if (!(distance(work.single.value, work.exact.value, 1) < 1e-4))
        fail_msg("%s (%s): %.9g in single, %.9g in double", c->op ? c->op->name : "custom", c->label, work.single.value,
                 work.exact.value);
    for (int i = 0; i < MAX_LEAVES && c->leaf[i].rows; i++)
        for (int64_t k = 0; !c->leaf[i].fixed && k < c->leaf[i].rows * c->leaf[i].cols; k++)
            if (!(distance(work.single.grad[i][k], work.exact.grad[i][k], 1) < 1e-4))
                report(c, w, i, k, work.single.grad[i][k], work.exact.grad[i][k]);
}

static void single_agrees_with_double(void **state)
{
    (void)state;
    for (int i = 0; i < gradient_case_count; i++)
        for (int w = 0; w < WIRINGS; w++) compare_precisions(&gradient_cases[i], (wiring)w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_has_a_case),
        cmocka_unit_test(gradients_agree_with_differences),
        cmocka_unit_test(single_agrees_with_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
