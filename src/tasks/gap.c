/* Task gap: the gap ledger of a fit, on training and held-out rows. */
#include "gap/ledger.h"
#include "io/parts.h"
#include "plan/gap_plan.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"gap", "draws", AVI_KEY_INT, "200", 25, 65536, NULL, "draws",
     "importance weights of each row: log p(x), k-hat and, where no quadrature is exact, both ELBOs"},
    {"gap", "starts", AVI_KEY_INT, "0", 0, 1000, NULL, "starts",
     "of the refinement, for rows whose k-hat stays above 0.7; 1: no more; 0: 3 with up to 4 latent dimensions, else "
     "1, "
     "since starts from the prior find little in many dimensions"},
    {"gap", "passes", AVI_KEY_INT, "100", 1, 100000, NULL, "passes",
     "over a row to refine its own factor, at most; a row stops when it has converged"},
    {"gap", "tolerance", AVI_KEY_REAL, "1e-3", 1e-12, 1e3, NULL, "nats",
     "that the refinement of a row may leave when it counts as converged"},
    {"gap", "save", AVI_KEY_REAL, "10", 0, 1e9, NULL, "seconds",
     "after so long rows that are done are kept in run.output, to resume from; 0: after every block of rows"},
    {"gap", "data", AVI_KEY_CHOICE, "both", 0, 0, "both | train | test", NULL, "rows of which data"},
};

typedef struct gap {
    avi_fixed_theta problem;
    avi_gap_ledger train, test;
    bool has_train, has_test;
} gap;

static avi_status check(const avi_session *s)
{
    if (s->model->ops->coupling != AVI_INDEPENDENT)
        return avi_config_fail(s->config, "model", "name",
                               "%s couples its rows, so that a row has no gap of its own; use run.task = exact, which "
                               "has the gap of the whole series",
                               s->model->ops->name);
    return AVI_OK;
}

static void release(void *self)
{
    gap *g = self;
    if (!g) return;
    avi_fixed_theta_free(&g->problem);
    avi_gap_ledger_free(&g->train);
    avi_gap_ledger_free(&g->test);
    free(g);
}

/* What was kept to resume from: once the results are written nothing resumes from it. */
static void remove_parts(const avi_session *s, const avi_folder *folder)
{
    avi_parts_remove(folder, s->comm, "gap_train");
    avi_parts_remove(folder, s->comm, "gap_test");
}

static avi_status make(avi_session *s, avi_state *st, avi_folder *folder, avi_fields *fields, gap *g)
{
    const char *data = avi_config_get_string(s->config, "gap", "data");
    const avi_gap_settings settings = {.draws = (int)avi_config_get_int(s->config, "gap", "draws"),
                                       .starts = (int)avi_config_get_int(s->config, "gap", "starts"),
                                       .passes = (int)avi_config_get_int(s->config, "gap", "passes"),
                                       .tolerance = avi_config_get_real(s->config, "gap", "tolerance"),
                                       .folder = folder,
                                       .save = avi_config_get_real(s->config, "gap", "save")};
    g->has_train = strcmp(data, "test") != 0;
    g->has_test = s->test && strcmp(data, "train") != 0;
    if (!g->has_train && !g->has_test)
        return avi_config_fail(s->config, "gap", "data", "there are no test rows; use train, or give data.test_path");
    AVI_TRY(avi_agree(s->comm, avi_fixed_theta_create(s, st, settings.draws, &g->problem)));
    if (g->has_train) AVI_TRY(avi_gap_ledger_make(&g->problem, s->train, st->table, "train", &settings, &g->train));
    if (g->has_test) AVI_TRY(avi_gap_ledger_make(&g->problem, s->test, NULL, "test", &settings, &g->test));
    avi_status status = g->has_train ? avi_gap_ledger_fields(&g->train, fields) : AVI_OK;
    if (status == AVI_OK && g->has_test) status = avi_gap_ledger_fields(&g->test, fields);
    return avi_agree(s->comm, status);
}

static avi_status after_fit(avi_session *s, const avi_done_fit *fit, avi_fields *fields, void **self)
{
    gap *g = *self = calloc(1, sizeof *g);
    AVI_TRY(avi_agree(s->comm, g ? AVI_OK : avi_fail_memory(sizeof *g, "the gap ledger")));
    return make(s, fit->st, fit->folder, fields, g);
}

static void written(const avi_session *s, const avi_done_fit *fit, const void *self)
{
    (void)self;
    remove_parts(s, fit->folder);
}

static void print_ledgers(const gap *g)
{
    if (g->has_train) avi_gap_ledger_print(&g->train);
    if (g->has_test) avi_gap_ledger_print(&g->test);
}

static void print(const avi_session *s, const avi_done_fit *fit, const void *self)
{
    (void)fit;
    if (s->options->verbosity > 0 && avi_comm_rank(s->comm) == 0) print_ledgers(self);
}

const avi_task_ops avi_task_gap = {
    .name = "gap",
    .doc = "what amortization costs every row: amortization and approximation gap, log p(x), k-hat",
    .keys = keys,
    .key_count = 6,
    .check = check,
    .plan_after = avi_gap_plan,
    .follows_fit = true,
    .lengthy = true,
    .kept = "the rows that were kept stay: the same command resumes with the others",
    .after_fit = after_fit,
    .written = written,
    .print = print,
    .release = release,
};
