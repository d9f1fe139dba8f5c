#include "tasks/diagnose_plan.h"

#include "diagnose/diagnose.h"
#include "session/sample.h"

enum { TRIED = 256 };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static avi_status plan_diagnosis(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_fixed_theta f = {0};
    avi_diagnosis d = {0};
    const int64_t rows = least(avi_config_get_int(s->config, "diagnose", "rows"), s->counts.partition.rows);
    const avi_diagnose_settings settings = {.sample = {.rows = least(rows, TRIED),
                                                       .passes = (int)avi_config_get_int(s->config, "gap", "passes"),
                                                       .tolerance = avi_config_get_real(s->config, "gap", "tolerance")},
                                            .tolerance = avi_config_get_real(s->config, "diagnose", "tolerance")};
    const double from = avi_plan_clock();
    avi_status status =
        avi_agree(s->comm, avi_fixed_theta_create(s, st, (int)avi_config_get_int(s->config, "diagnose", "draws"), &f));
    if (status == AVI_OK) status = avi_diagnosis_make(&f, st->table, &settings, &d);
    double seconds = avi_plan_clock() - from;
    const double tried = (double)(d.rows > 0 ? d.rows : 1);
    avi_diagnosis_free(&d);
    avi_fixed_theta_free(&f);
    AVI_TRY(status);
    AVI_TRY(avi_comm_max_double(s->comm, &seconds, 1));
    avi_plan_hold(p, (double)avi_diagnosis_bytes(s, rows));
    avi_plan_add(p, "diagnose", seconds * (double)rows / tried);
    return AVI_OK;
}

/* The fit is read, and its results are written again. */
avi_status avi_diagnose_plan(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_plan_take_parameters(s, st);
    AVI_TRY(plan_diagnosis(s, st, p));
    AVI_TRY(avi_plan_try_evaluation(s, st, true, &p->last_seconds_per_row));
    avi_plan_keep_peak(p);
    avi_plan_add(p, "evaluation",
                 p->last_seconds_per_row *
                     (double)avi_plan_evaluated_rows(s, avi_config_get_int(s->config, "log", "last_rows")));
    avi_plan_restore(p);
    avi_plan_results(p);
    return AVI_OK;
}

avi_status avi_diagnose_plan_after(avi_session *s, avi_state *st, avi_plan *p) { return plan_diagnosis(s, st, p); }
