#include "plan/plan.h"

#include "avi/store.h"
#include "output/console.h"
#include "output/run_file.h"
#include "session/sample.h"
#include "train/evaluation.h"
#include "factors/test_factors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What no trial can tell, since nothing is written: what a file takes that is small, and bytes that a rank's processor
 * sums, writes and reads back in a second, those that it brings into the order of the data, and those of rows of a few
 * bytes each in a file of many pieces. The disk is not in it.
 */
static const double FILE_SECONDS = 0.012, RATE = 1.3e9, SHUFFLED_RATE = 1.1e9, ROW_FILE_RATE = 0.65e9;

/* A line of /proc/self/status, in bytes. */
static double status_line(const char *name)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), ": %lf", &kilobytes) == 1) break;
    fclose(file);
    return 1024 * kilobytes;
}

double avi_memory_now(void) { return status_line("VmRSS"); }

double avi_memory_most(void) { return status_line("VmHWM"); }

double avi_plan_clock(void)
{
    struct timespec now = {0};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return avi_seconds();
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void avi_plan_add(avi_plan *p, const char *what, double seconds)
{
    int i = 0;
    while (i < p->parts && strcmp(p->part[i].what, what)) i++;
    if (i == AVI_PLAN_PARTS) i--; /* the last one takes what comes after */
    if (i == p->parts) p->part[p->parts++].what = what;
    p->part[i].seconds += seconds;
}

void avi_plan_keep_peak(avi_plan *p) { p->peak = fmax(p->peak, avi_memory_most() + avi_session_bytes_left_out(p->s)); }

/* What was freed before is taken again before the process grows: only trying tells how much of it fits. */
void avi_plan_hold(avi_plan *p, double more)
{
    enum { PARTS = 4, MOST = 32 << 20 };
    const double tried = fmin(more, (double)MOST);
    const size_t part = (size_t)(tried / PARTS);
    void *held[PARTS] = {0};
    for (int i = 0; part && i < PARTS; i++)
        if ((held[i] = malloc(part))) memset(held[i], 1, part);
    p->peak = fmax(p->peak, avi_memory_now() + avi_session_bytes_left_out(p->s) + more - tried);
    for (int i = 0; i < PARTS; i++) free(held[i]);
}

/* ---- files ---- */

static double longest_slab(const avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    return (double)((s->counts.partition.rows + ranks - 1) / ranks);
}

/* A piece of rows on their way to a file: the rows as written, and what avi_file_order holds for them where they are
 * brought into the order of the data (packed: bytes of a row). */
static double piece(const avi_session *s, double row_bytes, double packed, double others)
{
    const double most = (double)avi_row_producer_piece((int64_t)row_bytes), longest = longest_slab(s),
                 rows = most < longest ? most : longest;
    double each = row_bytes + others;
    if (packed > 0 && s->partition.shuffled) each += 8 + (avi_comm_size(s->comm) > 1 ? 2 * 8 + packed + 8 + packed : 0);
    return rows * each;
}

static double real_bytes(const avi_session *s) { return (double)avi_real_size(s->precision); }

static double factor_bytes(const avi_session *s) { return (double)s->infer->outputs * real_bytes(s); }

static bool writes_local(const avi_session *s)
{
    const char *local = avi_config_get_string(s->config, "output", "local");
    return strcmp(local, "no") && (s->infer->ops->local || !strcmp(local, "yes"));
}

double avi_plan_file_seconds(const avi_comm *comm, double bytes)
{
    return FILE_SECONDS + bytes / avi_comm_size(comm) / RATE;
}

double avi_plan_row_file_seconds(const avi_comm *comm, double bytes)
{
    return FILE_SECONDS + bytes / avi_comm_size(comm) / ROW_FILE_RATE;
}

static double file_seconds(const avi_session *s, double global, double local, bool reordered)
{
    return FILE_SECONDS + (global + local / avi_comm_size(s->comm)) / RATE +
           (reordered && s->partition.shuffled ? local / avi_comm_size(s->comm) / SHUFFLED_RATE : 0);
}

double avi_plan_checkpoint_bytes(const avi_session *s)
{
    const double values = (double)s->layout.size +
                          (s->infer->ops->local ? (double)s->counts.partition.rows * (double)s->infer->outputs : 0);
    return (1 + s->optim.ops->slots) * values * real_bytes(s);
}

/* Ranks that share parameters touch all of them and of the optimizer's state, to compare them before they are saved. */
static double touched(const avi_session *s)
{
    const double ranks = avi_comm_size(s->comm), slots = s->optim.ops->slots;
    if (!avi_estimator_is_shared_out(s->train_elbo)) return 0;
    return (1 - 1 / ranks) * (1 + slots) * (double)s->layout.size * real_bytes(s);
}

void avi_plan_checkpoints(avi_plan *p, int64_t times)
{
    const avi_session *s = p->s;
    const double columns = 1 + s->optim.ops->slots, row = factor_bytes(s),
                 local = s->infer->ops->local ? columns * row * (double)s->counts.partition.rows : 0;
    const double held = s->infer->ops->local ? piece(s, columns * row, 0, 0) : 0;
    avi_plan_hold(p, AVI_PLAN_FIRST_FILE + touched(s) + held);
    avi_plan_add(p, "files",
                 (double)times * file_seconds(s, columns * (double)s->layout.size * real_bytes(s), local, false));
}

/* The file that checkpoint/latest names, "" when there is none. */
static void newest_checkpoint(const char *folder, char *path, size_t size)
{
    char name[256] = "", latest[4096];
    path[0] = '\0';
    if (snprintf(latest, sizeof latest, "%s/checkpoint/latest", folder) >= (int)sizeof latest) return;
    FILE *file = fopen(latest, "r");
    if (!file) return;
    if (fscanf(file, "%255s", name) == 1 && !strchr(name, '/') &&
        snprintf(path, size, "%s/checkpoint/%s", folder, name) >= (int)size)
        path[0] = '\0';
    fclose(file);
}

void avi_plan_take_parameters(avi_session *s, avi_state *st)
{
    static const char vector[] = "/state/global/value";
    const avi_dtype type = s->precision == AVI_PRECISION_SINGLE ? AVI_F32 : AVI_F64;
    char path[4096] = "";
    avi_store *store = NULL;
    avi_dtype found;
    int rank;
    int64_t dims[4] = {0};
    if (avi_comm_rank(s->comm) == 0)
        newest_checkpoint(avi_config_get_string(s->config, "run", "output"), path, sizeof path);
    avi_status status = avi_comm_bcast(s->comm, path, sizeof path, 0);
    if (status != AVI_OK || !path[0]) return;
    status = avi_store_open(s->comm, path, &store);
    if (status == AVI_OK) status = avi_agree(s->comm, avi_store_shape(store, vector, &found, &rank, dims));
    if (status == AVI_OK && found == type && rank == 1 && dims[0] == s->layout.size)
        (void)avi_store_read(store, vector, type, 1, dims, false, st->params);
    if (store) avi_store_close(&store);
    avi_error_clear();
}

void avi_plan_restore(avi_plan *p)
{
    const avi_session *s = p->s;
    avi_plan_hold(p, AVI_PLAN_FIRST_FILE + (s->infer->ops->local ? longest_slab(s) * factor_bytes(s) : 0));
    avi_plan_add(p, "checkpoint", FILE_SECONDS + avi_plan_checkpoint_bytes(s) / RATE);
}

void avi_plan_results(avi_plan *p)
{
    const avi_session *s = p->s;
    const double width = (double)s->infer->outputs, local = (double)avi_local_values(s) * real_bytes(s),
                 real = real_bytes(s), rows = (double)s->counts.partition.rows;
    const bool table = s->infer->ops->local;
    const int64_t n = s->problem.global_family ? s->problem.global_family->latent : 0;
    double bytes = s->problem.global_gaussian ? (double)s->layout.theta * real : 0; /* standard deviations */
    if (n) bytes += (double)(n + s->layout.beside) * sizeof(double); /* nu, and the covariance where it is written */
    if (n && n <= AVI_MOST_COVARIANCE) bytes += (double)(n * n) * sizeof(double);
    if (writes_local(s)) {
        if (!table) {
            bytes += (double)(s->train->count + avi_session_rows_left_out(s)) * width * sizeof(double);
            avi_plan_add(p, "files", p->last_seconds_per_row * rows / avi_evaluation_passes(s, true));
        }
        const double held = width * (table ? real : sizeof(double));
        bytes += piece(s, local, held, held);
    }
    avi_plan_hold(p, AVI_PLAN_FIRST_FILE + touched(s) + bytes);
    avi_plan_add(p, "files", file_seconds(s, (double)s->layout.size * real, writes_local(s) ? rows * local : 0, true));
}

/* ---- evaluations ---- */

int64_t avi_plan_least(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t avi_plan_evaluated_rows(const avi_session *s, int64_t limit)
{
    const int64_t train = s->counts.partition.rows, test = s->infer->ops->local ? 0 : s->counts.test_rows;
    return limit > 0 ? avi_plan_least(limit, train) + avi_plan_least(limit, test) : train + test;
}

/* Rows of one data set that a trial takes: enough for two of the largest blocks of rows that a rank passes at once,
 * whose memory is that of a whole evaluation. */
static int64_t trial_rows(const avi_session *s, int64_t asked)
{
    const int64_t block = 2 * s->problem.block_rows * avi_comm_size(s->comm),
                  rows = block > s->batch ? block : s->batch;
    return asked > 0 && asked < rows ? asked : rows;
}

avi_status avi_plan_try_evaluation(avi_session *s, avi_state *st, bool last, double *seconds_per_row)
{
    double row[AVI_EVAL_COLUMNS], shortest = HUGE_VAL;
    const bool fitted = s->evaluation.test_factors[last];
    const int64_t limit = trial_rows(s, avi_config_get_int(s->config, "log", last ? "last_rows" : "eval_rows"));
    const int64_t rows = avi_plan_least(limit, s->partition.rows) +
                         (s->test && !s->infer->ops->local ? avi_plan_least(limit, s->test->partition.rows) : 0);
    for (int i = 0; i < 3; i++) {
        AVI_TRY(avi_comm_barrier(s->comm));
        const double from = avi_plan_clock();
        s->evaluation.test_factors[last] = false; /* counted apart */
        const avi_status status = avi_evaluation(s, st, limit, last, row);
        s->evaluation.test_factors[last] = fitted;
        AVI_TRY(status);
        shortest = fmin(shortest, avi_plan_clock() - from);
    }
    AVI_TRY(avi_comm_max_double(s->comm, &shortest, 1));
    *seconds_per_row = shortest / (double)rows;
    if (s->model->ops->coupling == AVI_DENSE) /* a solve with the matrix of all rows */
        *seconds_per_row *= (double)s->counts.partition.rows / (double)s->partition.rows;
    return AVI_OK;
}

avi_status avi_plan_add_test_factors(avi_session *s, const avi_state *st, avi_plan *p, int64_t limit, double times)
{
    enum { TRIED = 64 /* rows of a rank */ };
    avi_test_factors count;
    void *table = NULL;
    if (!s->infer->ops->local || !avi_evaluation_has_test(s, true) || times <= 0) return AVI_OK;
    const int64_t all = limit > 0 ? avi_plan_least(limit, s->counts.test_rows) : s->counts.test_rows,
                  tried = avi_plan_least(avi_plan_least(all, s->test->partition.rows), TRIED * avi_comm_size(s->comm));
    AVI_TRY(avi_comm_barrier(s->comm));
    double seconds = avi_plan_clock();
    const avi_status status = avi_test_factors_fit(s, st, tried, &table, &count);
    seconds = avi_plan_clock() - seconds;
    free(table);
    AVI_TRY(status);
    AVI_TRY(avi_comm_max_double(s->comm, &seconds, 1));
    avi_plan_add(p, "factors of test rows", times * seconds * (double)all / (double)tried);
    return AVI_OK;
}

/* ---- on the screen ---- */

avi_status avi_plan_print(avi_plan *p)
{
    char a[32];
    double all = 0;
    AVI_TRY(avi_comm_max_double(p->comm, &p->peak, 1));
    if (avi_comm_rank(p->comm)) return AVI_OK;
    printf("  peak memory  about %s a rank, with the last evaluation, results and all that the program needs\n",
           avi_console_bytes(p->peak, a));
    printf("  the run      ");
    for (int i = 0; i < p->parts; i++) {
        printf("%s%s %.3g s", i ? ", " : "", p->part[i].what, p->part[i].seconds);
        all += p->part[i].seconds;
    }
    printf(": about %.3g s in all", all);
    if (all >= 100) printf(" (%s)", avi_console_time(all, a));
    printf(", on ranks with cores of their own, without waiting for a disk\n");
    return AVI_OK;
}
