#include "output/run_file_ending.h"
#include "state/best.h"
#include "state/convergence.h"

static int list_second_start(const avi_second_start_result *r, avi_attribute *a)
{
    if (r->rows == 0) return 0;
    a[0] = (avi_attribute){.group = "/eval", .name = "second_start_rows", .integer = r->rows};
    a[1] = (avi_attribute){.group = "/eval", .name = "second_start_better", .integer = r->better};
    a[2] = (avi_attribute){.group = "/eval", .name = "second_start_gain", .is_real = true, .real = r->gain};
    a[3] = (avi_attribute){.group = "/eval", .name = "second_start_error", .is_real = true, .real = r->error};
    return 4;
}

static int list_best(const avi_state *st, avi_attribute *a)
{
    if (st->best.step == 0) return 0;
    a[0] = (avi_attribute){.group = "/eval", .name = "best_step", .integer = st->best.step};
    a[1] = (avi_attribute){.group = "/eval", .name = "best_elbo_test", .is_real = true, .real = st->best.elbo};
    return 2;
}

/* Attributes of /trace. */
static int list_convergence(const avi_session *s, const avi_state *st, const char *why, avi_fields *l, avi_attribute *a)
{
    avi_convergence c;
    char words[AVI_CONVERGENCE_TEXT];
    int n = 0;
    if (!avi_convergence_describe(s, st, why, &c, words)) return 0;
    const char *text = avi_fields_text(l, "%s", words);
    a[n++] = (avi_attribute){.group = "/trace", .name = "convergence", .text = text ? text : ""};
    if (c.spans == 0) return n;
    a[n++] = (avi_attribute){.group = "/trace", .name = "slope", .is_real = true, .real = c.slope};
    a[n++] = (avi_attribute){.group = "/trace", .name = "slope_error", .is_real = true, .real = c.error};
    a[n++] = (avi_attribute){.group = "/trace", .name = "slope_steps", .integer = c.steps};
    return n;
}

int avi_run_file_ending_attributes(const avi_session *s, const avi_state *st, bool whole, const char *why,
                                   avi_fields *l, avi_attribute a[AVI_ENDING_ATTRIBUTES])
{
    int n = 0;
    a[n++] = (avi_attribute){.group = "/", .name = "steps", .integer = st->step};
    a[n++] = (avi_attribute){.group = "/", .name = "parameters_step", .integer = avi_best_step_of(st)};
    n += list_best(st, a + n);
    if (!whole) return n;
    n += list_second_start(&st->second_start, a + n);
    if (st->test_factors.rows > 0) {
        a[n++] = (avi_attribute){.group = "/eval", .name = "test_factors", .integer = st->test_factors.rows};
        a[n++] =
            (avi_attribute){.group = "/eval", .name = "test_factors_converged", .integer = st->test_factors.converged};
    }
    return n + list_convergence(s, st, why, l, a + n);
}
