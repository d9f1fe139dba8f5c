#include "plan/diagnose_plan.h"

#include "diagnose/diagnose.h"
#include "session/sample.h"

enum { TRIED = 256 };

avi_status avi_diagnose_plan(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_fixed_theta f = {0};
    avi_diagnosis d = {0};
    const int64_t rows = avi_plan_least(avi_config_get_int(s->config, "diagnose", "rows"), s->counts.partition.rows);
    const avi_diagnose_settings settings = {.sample = {.rows = avi_plan_least(rows, TRIED),
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
