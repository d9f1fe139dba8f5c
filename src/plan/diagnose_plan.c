#include "plan/diagnose_plan.h"

#include "diagnose/diagnose.h"
#include "session/sample.h"

enum { TRIED = 256 };

/* The ELBOs of a block of rows that follow each other. Of a part of the rows the sample is scattered, and its blocks
 * are smaller than those of a run that takes them all. more: bytes that the diagnosis takes beside. */
static avi_status try_block(const avi_session *s, const avi_state *st, const avi_fixed_theta *f, double more,
                            avi_plan *p)
{
    avi_estimator *weigh = NULL;
    avi_row_ranges job = {0};
    double sums[AVI_SUMS];
    const int64_t rows = f->weigh_function.block_rows * avi_comm_size(s->comm);
    avi_status status = avi_estimator_create(&f->weigh_function, s->comm, s->train, &weigh);
    if (status == AVI_OK) status = avi_row_ranges_pass(&s->partition, avi_comm_rank(s->comm), rows, &job);
    status = avi_agree(s->comm, status);
    const avi_row_values none = {.set = 1};
    if (status == AVI_OK)
        status = avi_estimator_evaluate(weigh, f->params_function, st->table, &job, false, sums, &none);
    avi_plan_keep_peak(p);
    avi_plan_hold(p, more); /* a diagnosis keeps its estimators until it ends */
    avi_row_ranges_free(&job);
    avi_estimator_destroy(&weigh);
    return status;
}

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
    if (status == AVI_OK) status = try_block(s, st, &f, (double)avi_diagnosis_bytes(s, rows), p);
    const double tried = (double)(d.rows > 0 ? d.rows : 1);
    avi_diagnosis_free(&d);
    avi_fixed_theta_free(&f);
    AVI_TRY(status);
    AVI_TRY(avi_comm_max_double(s->comm, &seconds, 1));
    avi_plan_add(p, "diagnose", seconds * (double)rows / tried);
    return AVI_OK;
}
