/* What the ledger says: datasets of run.h5, and lines on the screen. */
#include "gap/ledger.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const struct {
    const char *name, *description, *units;
} columns[AVI_GAP_COLUMNS] = {
    [AVI_GAP_ELBO_AVI] = {"elbo_avi", "ELBO of the row with the inference function's factor, theta fixed",
                          "nats per row"},
    [AVI_GAP_ELBO_FVI] = {"elbo_fvi", "ELBO of the row with its own factor at its optimum, theta fixed",
                          "nats per row"},
    [AVI_GAP_AMORTIZATION] = {"amortization_gap", "elbo_fvi - elbo_avi, over the same draws", "nats per row"},
    [AVI_GAP_AMORTIZATION_ERROR] = {"amortization_gap_error",
                                    "Monte Carlo standard error of amortization_gap; 0: exact", "nats per row"},
    [AVI_GAP_LOG_P] = {"log_p", "log p(x) of the row by importance weighting of its own factor, theta fixed",
                       "nats per row"},
    [AVI_GAP_LOG_P_ERROR] = {"log_p_error", "standard error of log_p by the delta method", "nats per row"},
    [AVI_GAP_APPROXIMATION] = {"approximation_gap", "log_p - elbo_fvi", "nats per row"},
    [AVI_GAP_KHAT_AVI] = {"khat_avi", "Pareto k-hat of the weights of the inference function's factor", ""},
    [AVI_GAP_KHAT] = {"khat", "Pareto k-hat of the weights of the row's own factor: reliable below 0.7", ""},
    [AVI_GAP_ESS] = {"ess", "effective sample size of the weights of the row's own factor", "draws"},
    [AVI_GAP_KHAT_SERVED] = {"khat_served", "Pareto k-hat of the weights on the rung of the row", ""},
    [AVI_GAP_RUNG] =
        {"rung",
         "what the row needs for k-hat of at most 0.7: 0 the inference function's factor, 1 its own factor, 2 a full "
         "covariance, 3 more starts, 4 importance resampling from a wider factor, 5 nothing serves; log_p, ess and "
         "approximation_gap are of that rung, on rung 0 and 5 of the own factor",
         ""},
    [AVI_GAP_STEPS] = {"steps", "steps of the refinement of the row's factor", "steps"},
    [AVI_GAP_CONVERGED] = {"converged", "1: the refinement has less than gap.tolerance left; 0: it was cut off", ""},
};

static avi_status add_totals(const avi_gap_ledger *l, const char *group, avi_fields *fields)
{
    const avi_gap_totals *t = &l->total;
    const struct {
        const char *name;
        double value;
    } real[] = {{"total_elbo_avi", t->elbo_avi},
                {"total_elbo_fvi", t->elbo_fvi},
                {"total_amortization_gap", t->amortization},
                {"error_amortization_gap", t->amortization_error},
                {"total_log_p", t->log_p},
                {"error_log_p", t->log_p_error},
                {"total_approximation_gap", t->approximation},
                {"largest_amortization_gap", t->worst},
                {"half_share", t->half_share}};
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        AVI_TRY(avi_fields_attribute(
            fields, (avi_attribute){.group = group, .name = real[i].name, .is_real = true, .real = real[i].value}));
    const struct {
        const char *name;
        int64_t value;
    } count[] = {{"rows", t->rows},
                 {"rows_converged", t->converged},
                 {"rows_not_finite", t->bad},
                 {"rows_unserved", t->rung[AVI_RUNG_NONE]}};
    for (size_t i = 0; i < sizeof count / sizeof count[0]; i++)
        AVI_TRY(avi_fields_attribute(
            fields, (avi_attribute){.group = group, .name = count[i].name, .integer = count[i].value}));
    return AVI_OK;
}

/* The rows with the largest gaps, and what the model makes of them. */
static avi_status add_worst(const avi_gap_ledger *l, const char *group, avi_fields *fields)
{
    static const struct {
        const char *name, *description;
    } pictures[AVI_WORST_PICTURES] = {
        [AVI_WORST_ORIGINAL] = {"worst_original", "the rows with the largest amortization gaps"},
        [AVI_WORST_FUNCTION] = {"worst_function", "E[x] of these rows with the inference function's factor"},
        [AVI_WORST_OWN] = {"worst_own", "E[x] of these rows with their own factor"}};
    char *path = avi_fields_text(fields, "%s/worst_row", group);
    if (!path) return avi_fail_memory(64, "the gap ledger");
    if (!l->worst_rows) return AVI_OK;
    AVI_TRY(avi_fields_add(fields, (avi_field){.path = path,
                                               .type = AVI_I64,
                                               .rank = 1,
                                               .dims = {l->worst_rows},
                                               .data = l->worst_row,
                                               .description = "rows with the largest amortization gaps, the largest "
                                                              "first",
                                               .units = "number of the row, from 0",
                                               .axes = "place"}));
    for (int k = 0; k < AVI_WORST_PICTURES && l->worst[0]; k++) {
        if (!(path = avi_fields_text(fields, "%s/%s", group, pictures[k].name)))
            return avi_fail_memory(64, "the gap ledger");
        AVI_TRY(avi_fields_add(fields, (avi_field){.path = path,
                                                   .type = AVI_F64,
                                                   .rank = 2,
                                                   .dims = {l->worst_rows, l->values},
                                                   .data = l->worst[k],
                                                   .description = pictures[k].description,
                                                   .units = "data units",
                                                   .axes = "place, column"}));
    }
    AVI_TRY(avi_fields_attribute(fields, (avi_attribute){.group = group, .name = "height", .integer = l->height}));
    return avi_fields_attribute(fields, (avi_attribute){.group = group, .name = "columns", .integer = l->columns});
}

avi_status avi_gap_ledger_fields(const avi_gap_ledger *l, avi_fields *fields)
{
    char *group = avi_fields_text(fields, "/gap/%s", l->name);
    if (!group) return avi_fail_memory(64, "the gap ledger");
    for (int c = 0; c < AVI_GAP_COLUMNS; c++) {
        char *path = avi_fields_text(fields, "%s/%s", group, columns[c].name);
        if (!path) return avi_fail_memory(64, "the gap ledger");
        AVI_TRY(avi_fields_add(fields, (avi_field){.path = path,
                                                   .type = AVI_F64,
                                                   .rank = 1,
                                                   .dims = {l->all},
                                                   .data = l->column[c],
                                                   .distributed = true,
                                                   .description = columns[c].description,
                                                   .units = columns[c].units,
                                                   .axes = "row"}));
    }
    AVI_TRY(add_worst(l, group, fields));
    return add_totals(l, group, fields);
}

static double percent(int64_t part, int64_t all) { return all ? 100 * (double)part / (double)all : 0; }

/* What gives the rows a k-hat below 0.7, in words; a rung that does so for no row is not named. */
static void print_rungs(const avi_gap_totals *t)
{
    static const char *const words[AVI_RUNGS] = {[AVI_RUNG_FUNCTION] =
                                                     "have a k-hat below 0.7 by the inference function",
                                                 [AVI_RUNG_FACTOR] = "need their own factor",
                                                 [AVI_RUNG_FULL] = "need a full covariance",
                                                 [AVI_RUNG_STARTS] = "need more starts",
                                                 [AVI_RUNG_RESAMPLING] = "need importance resampling"};
    printf("    k-hat      ");
    for (int k = 0, n = 0; k < AVI_RUNG_NONE; k++) {
        if (!t->rung[k]) continue;
        printf("%s%.1f %%%s %s", n ? ", " : "", percent(t->rung[k], t->rows), n ? "" : " of the rows", words[k]);
        n++;
    }
    const int64_t none = t->rung[AVI_RUNG_NONE];
    if (none) {
        printf("; %" PRId64 " row%s above 0.7 by all of these:", none, none == 1 ? " stays" : "s stay");
        for (int64_t i = 0; i < none && i < AVI_GAP_NAMED; i++) printf(" %" PRId64, t->unserved[i]);
        if (none > AVI_GAP_NAMED) printf(" ...");
    }
    printf("\n");
}

void avi_gap_ledger_print(const avi_gap_ledger *l)
{
    const avi_gap_totals *t = &l->total;
    const double n = (double)(t->rows - t->bad > 0 ? t->rows - t->bad : 1);
    const char *what = l->name[1] == 'r' ? "training" : "held-out";
    if (isfinite(t->amortization))
        printf(
            "  gap          %.4f +- %.4f nats per row on %s data; the largest is %.3f, and %.1f %% of the rows carry "
            "half of it\n",
            t->amortization / n, t->amortization_error / n, what, t->worst, 100 * t->half_share);
    printf("    %-9s  ELBO %.4f with own factors, log p(x) %.4f +- %.4f: approximation gap %.4f nats per row\n", what,
           t->elbo_fvi / n, t->log_p / n, t->log_p_error / n, t->approximation / n);
    print_rungs(t);
    if (t->converged < t->rows)
        printf("    refined    %" PRId64 " of %" PRId64 " rows converged; raise gap.passes for the others\n",
               t->converged, t->rows);
    if (t->bad) printf("    not finite %" PRId64 " rows, which the sums leave out\n", t->bad);
}
