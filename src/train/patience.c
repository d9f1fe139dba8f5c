#include "train/patience.h"
#include "state/best.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

avi_status avi_patience_check(const avi_session *s)
{
    const avi_config *c = s->config;
    const int64_t every = avi_config_get_int(c, "log", "eval_every");
    if (!avi_best_wanted(s)) return AVI_OK;
    if (!s->test_source)
        return avi_config_fail(c, "stop", "patience",
                               "there are no test rows to judge the fit by; use data.holdout = 0.1 to keep a tenth of "
                               "the rows aside, or stop.patience = 0");
    if (!avi_evaluation_has_test(s, false))
        return avi_config_fail(c, "stop", "patience",
                               "model %s couples its rows, so that test rows have no factors of their own; use "
                               "inference.function = mlp, or stop.patience = 0",
                               s->model->ops->name);
    if (every < 0)
        return avi_config_fail(c, "log", "eval_every",
                               "%" PRId64 " makes no evaluation before the end, and stop.patience counts them; use 0, "
                               "or a number of steps",
                               every);
    return AVI_OK;
}

static const double *line(const avi_trace *t, int64_t row) { return t->value + row * (t->columns + t->extra); }

void avi_patience_note(const avi_session *s, avi_state *st)
{
    const avi_trace *t = &st->eval;
    if (!avi_best_wanted(s) || t->rows == 0) return;
    const double elbo = line(t, t->rows - 1)[AVI_EVAL_ELBO_TEST];
    /* An equal value is not better: the earlier parameters stay, whatever the rounding. */
    if (isfinite(elbo) && (st->best.step == 0 || elbo > st->best.elbo)) avi_best_keep(s, st, elbo);
}

bool avi_patience_spent(const avi_session *s, const avi_state *st)
{
    const avi_trace *t = &st->eval;
    int64_t after = 0;
    if (!avi_best_wanted(s) || st->best.step == 0) return false;
    /* Evaluations after the best one, counted in the trace: a resume finds the same number. */
    while (after < t->rows && line(t, t->rows - 1 - after)[AVI_EVAL_STEP] > (double)st->best.step) after++;
    return after >= avi_config_get_int(s->config, "stop", "patience");
}

void avi_patience_describe(const avi_session *s, char text[AVI_PATIENCE_TEXT])
{
    const int64_t patience = avi_config_get_int(s->config, "stop", "patience");
    snprintf(text, AVI_PATIENCE_TEXT, "no larger ELBO on test rows in %" PRId64 " evaluation%s", patience,
             patience == 1 ? "" : "s");
}
