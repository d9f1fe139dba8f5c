/* The program's step loop on a simulated cluster:
 *
 *   smpirun ... scale SCENARIOS
 *
 * a file with a line for each run: COSTS PLAN RANKS_OF_A_NODE STEPS CONFIG.ini [section.key=value ...]. Starting a
 * thousand simulated ranks takes longer than their steps, so that many runs share a start.
 *
 * Configuration, model, partition, estimator, reduction and avi_step are the program's; seconds of work come from COSTS
 * (README.md). Prints a line of JSON for each. Ends with status 1 when the sums that went around are not those of the
 * rows of a step. */
#include "scale.h"

#include "avi/fixed_point.h"
#include "session/keys.h"
#include "train/step.h"

#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 64, MAX_LINE = 4096 };

static const char *const plan_names[] = {"allreduce", "shard", "leader", "slices"};

typedef struct simulation {
    avi_comm *comm;
    avi_registry *registry;
    avi_config *config;
    avi_session *session;
    avi_state *state;
    avi_row_ranges job;
    int steps, node;
    plan_kind plan;
    avi_optim_ops counted; /* the optimizer's, with work that is only counted */
    rank_state rank;
} simulation;

static int find_plan(const char *name)
{
    for (int i = 0; i < (int)(sizeof plan_names / sizeof plan_names[0]); i++)
        if (!strcmp(name, plan_names[i])) return i;
    return -1;
}

#define AVI_SOURCE(name)    extern const avi_source_ops avi_source_##name;
#define AVI_MODEL(name)     extern const avi_model_ops avi_model_##name;
#define AVI_INFER(name)     extern const avi_infer_ops avi_infer_##name;
#define AVI_FAMILY(name)    extern const avi_family_ops avi_family_##name;
#define AVI_OBJECTIVE(name) extern const avi_objective_ops avi_objective_##name;
#define AVI_OPTIM(name)     extern const avi_optim_ops avi_optim_##name;
#include "avi/registry.def"

/* What a simulated step can choose: no tasks and no closed forms, which would bring HDF5 and ScaLAPACK. */
static avi_status make_registry(avi_registry **out)
{
    AVI_TRY(avi_registry_create(out));
    avi_registry *r = *out;
    AVI_TRY(avi_session_register_keys(r));
    AVI_TRY(avi_data_register_keys(r));
    AVI_TRY(avi_model_register_keys(r));
    AVI_TRY(avi_infer_register_keys(r));
    AVI_TRY(avi_objective_register_keys(r));
    AVI_TRY(avi_optim_register_keys(r));
#define AVI_SOURCE(name)    AVI_TRY(avi_source_register(r, &avi_source_##name));
#define AVI_MODEL(name)     AVI_TRY(avi_model_register(r, &avi_model_##name));
#define AVI_INFER(name)     AVI_TRY(avi_infer_register(r, &avi_infer_##name));
#define AVI_FAMILY(name)    AVI_TRY(avi_family_register(r, &avi_family_##name));
#define AVI_OBJECTIVE(name) AVI_TRY(avi_objective_register(r, &avi_objective_##name));
#define AVI_OPTIM(name)     AVI_TRY(avi_optim_register(r, &avi_optim_##name));
#include "avi/registry.def"
    return AVI_OK;
}

static avi_status open_all(simulation *s, const char *file, int overrides, const char *const *override,
                           const avi_options *options)
{
    AVI_TRY(make_registry(&s->registry));
    AVI_TRY(avi_registry_config(s->registry, &s->config));
    AVI_TRY(avi_config_read(s->config, s->comm, file, overrides, override));
    AVI_TRY(avi_session_open(s->comm, s->config, options, &s->session));
    AVI_TRY(avi_state_create(s->session, &s->state));
    s->rank.params = s->state->params;
    s->counted = *s->session->optim.ops;
    s->counted.update[0] = s->counted.update[1] = scale_update;
    s->session->optim.ops = &s->counted;
    return AVI_OK;
}

/* Rows of a step over all ranks. */
static double rows_of_step(const avi_session *s, int64_t step)
{
    int64_t rows = 0;
    for (int64_t lane = 0; lane < s->partition.lanes; lane++) {
        const int64_t tile = avi_partition_step_tile(&s->partition, lane, step / s->epoch_steps, step % s->epoch_steps);
        if (tile >= 0) rows += avi_partition_tile_rows(&s->partition, tile);
    }
    return (double)rows;
}

/* The message of a logged step, as fit.c sends it: shares of every rank, and that all is well. */
static avi_status log_step(simulation *s, double *shares)
{
    const double own[AVI_SHARES] = {0};
    AVI_TRY(avi_comm_allgather(s->comm, own, sizeof own, shares));
    return avi_agree(s->comm, AVI_OK);
}

static avi_status one_step(simulation *s, double *shares)
{
    avi_step_result r = {.bad_value = -1};
    const int64_t step = s->state->step;
    /* Ranks are not alike in every step: an exponential variable, a pure function of rank and step. */
    const double u = (double)(avi_mix64((uint64_t)avi_comm_rank(s->comm), (uint64_t)step) >> 11) * 0x1p-53;
    s->rank.jitter = 1 - scale_cost.jitter * log1p(-u);
    scale_owe(scale_cost.fixed * s->rank.jitter);
    AVI_TRY(avi_step(s->session, s->state, &s->job, &r));
    scale_pay();
    if (avi_comm_rank(s->comm) == 0) {
        const double rows = rows_of_step(s->session, step);
        if (!r.finite || fabs(r.sums[AVI_SUM_ROWS] - rows) > 0 || fabs(r.sums[AVI_SUM_ELBO] + rows) > 1e-6 * rows) {
            (void)fprintf(stderr,
                          "scale: step %lld: %.9g rows and an ELBO of %.9g came back, %.9g and %.9g were sent\n",
                          (long long)step, r.sums[AVI_SUM_ROWS], r.sums[AVI_SUM_ELBO], rows, -rows);
            MPI_Abort(MPI_COMM_WORLD, 1);
        }
    }
    return (step + 1) % avi_config_get_int(s->config, "log", "every") ? AVI_OK : log_step(s, shares);
}

static avi_status run(simulation *s)
{
    double *shares = malloc((size_t)(AVI_SHARES * avi_comm_size(s->comm)) * sizeof *shares);
    if (!shares) return avi_fail_memory(1, "the shares of ranks");
    plan_start(s->plan, s->node, AVI_SUMS * AVI_DIGITS, s->session->layout.gradient);
    avi_status status = one_step(s, shares); /* the first one finds nobody waiting */
    s->rank.message = 0;
    const double from = avi_seconds();
    for (int i = 0; i < s->steps && status == AVI_OK; i++) status = one_step(s, shares);
    double seconds[2] = {avi_seconds() - from, s->rank.message};
    plan_finish();
    free(shares);
    AVI_TRY(status);
    AVI_TRY(avi_comm_sum_double(s->comm, seconds, 2));
    const double parts = (double)s->steps * avi_comm_size(s->comm);
    if (avi_comm_rank(s->comm) == 0)
        (void)printf("{\"ranks\": %d, \"plan\": \"%s\", \"steps\": %d, \"step\": %.9g, \"message\": %.9g, \"values\": "
                     "%lld, \"batch\": %lld}\n",
                     avi_comm_size(s->comm), plan_names[s->plan], s->steps, seconds[0] / parts, seconds[1] / parts,
                     (long long)s->session->layout.gradient, (long long)s->session->batch);
    return AVI_OK;
}

static void usage(const char *what)
{
    (void)fprintf(stderr,
                  "scale: %s; a line is COSTS allreduce|shard|leader|slices RANKS_OF_A_NODE STEPS CONFIG.ini "
                  "[section.key=value ...]\n",
                  what);
    exit(64);
}

/* One line of the file. */
static avi_status scenario(avi_comm *comm, char *line)
{
    char *word[MAX_WORDS], *rest = NULL;
    int words = 0;
    for (char *w = strtok_r(line, " \n", &rest); w && words < MAX_WORDS; w = strtok_r(NULL, " \n", &rest))
        word[words++] = w;
    const int plan = words >= 5 ? find_plan(word[1]) : -1;
    if (plan < 0 || atoi(word[2]) < 1 || atoi(word[3]) < 1) usage("a line does not serve");
    simulation s = {.comm = comm, .plan = (plan_kind)plan, .node = atoi(word[2]), .steps = atoi(word[3])};
    const avi_options options = {.file = word[4]};
    /* The table of costs is the process's: no rank may still be in the run before. */
    AVI_TRY(avi_comm_barrier(comm));
    cost_read(word[0], &scale_cost);
    smpi_process_set_user_data(&s.rank);
    avi_status status = avi_agree(comm, open_all(&s, word[4], words - 5, (const char *const *)word + 5, &options));
    if (status == AVI_OK) status = run(&s);
    avi_row_ranges_free(&s.job);
    avi_state_destroy(&s.state);
    avi_session_close(&s.session);
    avi_config_destroy(&s.config);
    smpi_process_set_user_data(NULL);
    return status;
}

int main(int argc, char **argv)
{
    char line[MAX_LINE];
    avi_comm *comm = NULL;
    FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!f) usage("the file of runs cannot be read");
    avi_status status = avi_comm_start(&argc, &argv, &comm);
    while (status == AVI_OK && fgets(line, sizeof line, f))
        if (line[0] != '#' && line[0] != '\n') status = scenario(comm, line);
    (void)fclose(f);
    if (status != AVI_OK && comm && avi_comm_rank(comm) == 0) {
        (void)fprintf(stderr, "scale: %s\n", avi_error_text());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    if (comm) avi_comm_finish(&comm);
    return status == AVI_OK ? 0 : 1;
}
