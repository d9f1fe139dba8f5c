#include "output/console.h"
#include "output/fit_notes.h"
#include "state/convergence.h"
#include "session/sample.h"
#include "session/values.h"
#include "session/version.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool silent(const avi_session *s) { return avi_comm_rank(s->comm) != 0 || s->options->verbosity == 0; }

const char *avi_console_bytes(double bytes, char *text)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    int k = 0;
    for (; bytes >= 1000 && k < 4; k++) bytes /= 1000;
    snprintf(text, 32, k && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, unit[k]);
    return text;
}

const char *avi_console_time(double seconds, char *text)
{
    const int64_t t = (int64_t)seconds;
    if (seconds < 10)
        snprintf(text, 32, "%.1f s", seconds);
    else if (t < 60)
        snprintf(text, 32, "%" PRId64 " s", t);
    else if (t < 3600)
        snprintf(text, 32, "%" PRId64 " min %" PRId64 " s", t / 60, t % 60);
    else
        snprintf(text, 32, "%" PRId64 " h %" PRId64 " min", t / 3600, t / 60 % 60);
    return text;
}

static void describe_blocks(const avi_params *p, const char *what)
{
    printf("    %-12s %" PRId64 " values in %d blocks", what, avi_params_values(p), p->count);
    for (int i = 0; i < p->count && i < 6; i++)
        printf("%s%s (%" PRId64 ", %" PRId64 ")", i ? ", " : ": ", p->block[i].name, p->block[i].rows,
               p->block[i].cols);
    printf("%s\n", p->count > 6 ? ", ..." : "");
}

/* Groups of any number of entries: how many these are. */
static void print_ragged(const avi_session *s)
{
    const int64_t *first = s->train_source->first_entry, rows = s->counts.rows;
    int64_t least = INT64_MAX, most = 0;
    for (int64_t r = 0; r < rows; r++) {
        const int64_t n = first[r + 1] - first[r];
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    printf("  data         %s: %" PRId64 " groups with %" PRId64 " entries (%" PRId64 " to %" PRId64 " each)",
           s->train_source->label, rows, first[rows], least, most);
}

static void print_data(const avi_session *s)
{
    const avi_shape *d = &s->shape;
    if (d->ragged)
        print_ragged(s);
    else
        printf("  data         %s: %" PRId64 " rows", s->train_source->label, s->counts.rows);
    if (d->channels > 1)
        printf(d->channels_last ? " of %" PRId64 " x %" PRId64 " x %" PRId64 " (channels last)"
                                : " of %" PRId64 " x %" PRId64 " x %" PRId64 " (channels first)",
               d->channels_last ? d->height : d->channels, d->channels_last ? d->columns : d->height,
               d->channels_last ? d->channels : d->columns);
    else if (d->height > 1)
        printf(" of %" PRId64 " x %" PRId64, d->height, d->columns);
    else
        printf(" of %" PRId64 " value%s", d->width, d->width == 1 ? "" : "s");
    if (s->test) printf(", %" PRId64 " test %s", s->counts.test_rows, d->ragged ? "groups" : "rows");
    printf("%s%s\n", s->partition.shuffled ? ", shuffled" : "", s->train_source->streamed ? ", streamed" : "");
    char values[256];
    avi_values_describe(s, values, sizeof values);
    printf("    %-12s %s\n", "values", values);
    if (avi_values_note_codes(s, values, sizeof values)) printf("    %-12s %s\n", "note", values);
    if (s->train_source->may_be_turned && (d->height > 1 ? d->columns : d->width) > s->counts.rows)
        printf(
            "    %-12s a row has more values than there are rows; use data.transpose = yes where the last dimension of "
            "the file counts the rows\n",
            "note");
}

static void print_how_ranks_work(const avi_session *s)
{
    int hosts = 1;
    for (const char *at = s->hosts; (at = strchr(at, ',')); at++) hosts++;
    if (s->counts.partition.ranks == 1) return;
    if (hosts > 1) printf(" on %d hosts", hosts);
    if (avi_estimator_is_shared_out(s->train_elbo))
        printf(", gradients added and parameters moved in shared memory");
    else
        printf(avi_estimator_is_shared(s->train_elbo) ? ", gradients added in shared memory"
                                                      : ", gradients added by messages (MPI_Allreduce)");
}

/* The plan of evaluations (session.h): when, on how many rows, with how many draws. */
static void print_evaluations(const avi_session *s)
{
    const avi_evaluation_plan *e = &s->evaluation;
    printf("  evaluations  ");
    if (e->every > 0 && e->first < e->every) printf("after step %" PRId64 ", then ", e->first);
    if (e->every > 0) printf("every %" PRId64 " steps on %" PRId64 " rows; ", e->every, e->rows);
    printf("at the end on %" PRId64 " rows; ", e->last_rows);
    if (e->rule)
        printf("%s of %d points", s->model->ops->quadratic == 2 ? "closed form" : "quadrature", e->rule->count);
    else if (e->draws == e->last_draws || e->every <= 0)
        printf("%d draws per row", e->last_draws);
    else
        printf("%d draws per row, at the end %d", e->draws, e->last_draws);
    if (e->share > 0) printf("; about %.*f %% of the work of the steps", e->share < 0.1, 100 * e->share);
    printf("\n");
}

static void print_steps(const avi_session *s)
{
    const avi_partition *p = &s->counts.partition;
    const int64_t batch = s->counts.batch;
    printf("  steps        %" PRId64 " (%.6g epochs of %" PRId64 ") of %" PRId64 " rows%s, %s, learning rate %g",
           s->total_steps, (double)s->total_steps / (double)s->counts.epoch_steps, s->counts.epoch_steps, batch,
           batch == p->rows ? ", which are all" : "", s->optim.ops->name, s->schedule.learning_rate);
    if (s->infer->ops->local && (s->local_steps > 1 || s->local_rate != s->schedule.learning_rate))
        printf("; factors %d steps of %g per visit", s->local_steps, s->local_rate);
    printf("\n");
    print_evaluations(s);
    const int64_t patience = avi_config_get_int(s->config, "stop", "patience");
    if (patience > 0)
        printf("    %-12s after %" PRId64
               " evaluation%s without a larger ELBO on test rows; the best parameters are kept\n",
               "ends early", patience, patience == 1 ? "" : "s");
    printf("  ranks        %d", p->ranks);
    print_how_ranks_work(s);
    printf("; %" PRId64 " lanes of tiles of %" PRId64 " rows%s\n", p->lanes, p->tile,
           s->problem.reproducible ? "; reproducible sums: the same bits on any number of ranks" : "");
}

/* The state of the line on the terminal: when it was last drawn, and whether it is open. Each fit starts it anew with
 * its header. */
static struct {
    double last, start;
    int64_t start_step;
    bool open;
} display;

/* What run.time_limit = auto has found. */
static void print_time_limit(const avi_session *s)
{
    char left[32];
    const avi_time_limit *t = &s->time_limit;
    if (!t->of_job) return;
    if (t->seconds == 0)
        printf("    %-12s none: SLURM_JOB_END_TIME is not set, so this is no Slurm job\n", "time limit");
    else
        printf("    %-12s the end of the Slurm job, in %s\n", "time limit",
               avi_console_time(fmax(0, t->seconds), left));
}

void avi_console_header(const avi_session *s)
{
    char a[32], b[32];
    memset(&display, 0, sizeof display);
    if (silent(s)) return;
    const avi_version v = avi_version_of();
    printf("avi_mpi %s (%s)\n", v.version, v.revision);
    printf("  model        %s: %s\n", s->model->ops->name, s->model->ops->doc);
    printf("  inference    %s: %s\n", s->infer->named->name, s->infer->named->doc);
    if (s->infer->refine.steps)
        printf("    begins at    %s, then %d steps of rate %g for each row\n", s->infer->ops->name,
               s->infer->refine.steps, s->infer->refine.rate);
    print_data(s);
    describe_blocks(&s->model->theta, s->problem.global_gaussian ? "q(theta)" : "theta");
    if (s->infer->phi.count) describe_blocks(&s->infer->phi, "phi");
    if (s->infer->ops->local)
        printf("    %-12s %" PRId64 " local factors of %" PRId64 " values\n", "nu", s->counts.partition.rows,
               s->infer->outputs);
    print_steps(s);
    print_time_limit(s);
    if (s->problem.notebook)
        printf("  objective    entropy = notebook: steps and /trace have the published notebook's objective; /eval has "
               "the "
               "ELBO\n");
    printf("  memory       %s of data and %s of parameters and optimizer state on this rank, %s precision\n",
           avi_console_bytes(avi_session_data_bytes(s), a), avi_console_bytes(avi_session_state_bytes(s), b),
           s->precision == AVI_PRECISION_SINGLE ? "single" : "double");
    fflush(stdout);
}

void avi_console_break(void)
{
    if (display.open) printf("\n");
    display.open = false;
    fflush(stdout);
}

static void draw_bar(double part, char bar[33])
{
    const int full = (int)(part * 30);
    for (int i = 0; i < 30; i++) bar[i] = i < full ? '#' : '-';
    bar[30] = 0;
}

/* mpirun gives its ranks a terminal even when its own output goes to a file: what its parent process writes to decides.
 */
static bool on_terminal(void)
{
    char link[64], target[64];
    if (!isatty(STDOUT_FILENO)) return false;
    snprintf(link, sizeof link, "/proc/%ld/fd/1", (long)getppid());
    const ssize_t n = readlink(link, target, sizeof target - 1);
    return n > 0 && (!strncmp(target, "/dev/pts/", 9) || !strncmp(target, "/dev/tty", 8));
}

/* Of lines, that they are few enough to read however long the run is: 250 a day. */
static double pause_of(bool bar, double elapsed) { return bar ? 0.2 : fmin(fmax(5, elapsed / 20), 600); }

void avi_console_progress(const avi_session *s, const avi_state *st, double elbo_per_row, bool last)
{
    const char *style = avi_config_get_string(s->config, "log", "progress");
    if (silent(s) || !strcmp(style, "none")) return;
    const bool bar = !strcmp(style, "bar") || (!strcmp(style, "auto") && on_terminal());
    const double now = avi_seconds();
    if (display.start <= 0) {
        display.start = now;
        display.start_step = st->step;
    }
    if (!last && now - display.last < pause_of(bar, now - display.start)) return;
    display.last = now;
    char text[33], left[32];
    const double done = (double)(st->step - display.start_step), rate = done / fmax(now - display.start, 1e-9);
    const double to_go = rate > 0 ? (double)(s->total_steps - st->step) / rate : 0;
    draw_bar(s->total_steps ? (double)st->step / (double)s->total_steps : 1, text);
    if (bar)
        printf("\r  [%s] ", text);
    else
        printf("  ");
    printf("step %" PRId64 "/%" PRId64 "  ELBO %.4f nats per row", st->step, s->total_steps, elbo_per_row);
    if (rate > 0) printf("  %.3g steps/s  %s left", rate, avi_console_time(to_go, left));
    printf("%s", bar ? "   " : "\n");
    display.open = bar;
    if (bar && last) avi_console_break();
    fflush(stdout);
}

avi_stopwatch avi_console_start(void)
{
    return (avi_stopwatch){.clock = avi_seconds(), .processor = (double)clock() / CLOCKS_PER_SEC};
}

void avi_console_written(const avi_session *s, const avi_state *st, const char *what, avi_stopwatch start)
{
    const avi_stopwatch now = avi_console_start();
    if (silent(s) || s->options->verbosity < 2) return;
    avi_console_break();
    printf("  step %" PRId64 "  %s written in %.4f s, %.4f s of it this rank's work\n", st->step, what,
           now.clock - start.clock, now.processor - start.processor);
    fflush(stdout);
}

/* A value and its standard error with two of the error's digits, but never fewer than `digits` where there is none.
 * What would be a long row of digits is written with a power of ten. */
static void print_value(double value, double error, int digits)
{
    const double size = fmax(fabs(value), error > 0 ? error : 0);
    if (size >= 1e15 || (size > 0 && size < 1e-6)) {
        printf("%.6g", value);
        if (error > 0) printf(" +- %.2g", error);
        return;
    }
    if (!(error > 0)) {
        printf("%.*f", digits, value);
        return;
    }
    const int places = (int)fmin(fmax(1 - floor(log10(error)), 0), 9);
    printf("%.*f +- %.*f", places, value, places, error);
}

/* Values of training and test rows, which follow each other in a row of the eval table. */
static void print_both(const char *name, const double value[2], const double error[2], int digits, const char *units)
{
    printf("  %s", name);
    print_value(value[0], error[0], digits);
    printf(" %s on training data", units);
    if (isfinite(value[1])) {
        printf(", ");
        print_value(value[1], error[1], digits);
        printf(" on test data");
    }
    printf("\n");
}

/* A dimension is used where its factors differ from the prior: by more than USED nats per row. */
static const double USED = 0.01;

/* Returns how many, -1 where that is not known. */
static int print_dimensions(const avi_session *s, const double *kl, int dims, double *sum)
{
    int used = 0;
    *sum = 0;
    if (dims < 1 || dims != s->model->latent || !avi_estimator_kl_dimensions(&s->problem) || !isfinite(kl[0]))
        return -1;
    for (int d = 0; d < dims; d++) {
        used += kl[d] > USED;
        *sum += kl[d];
    }
    if (dims > 1)
        printf("  dimensions   %d of %d latent dimensions are used (KL above %g nats per row), %.4g nats per row in "
               "all\n",
               used, dims, USED, *sum);
    return used;
}

/* Where the ELBO of the test rows of a factorized run is from, or why there is none. */
static void print_test_factors(const avi_session *s, const avi_state *st)
{
    const avi_test_factors *t = &st->test_factors;
    if (!s->test_elbo || !s->infer->ops->local) return;
    printf("  test rows    ");
    if (t->rows > 0 && t->converged == t->rows)
        printf("have factors that were fitted to them with the model's parameters fixed\n");
    else if (t->rows > 0)
        printf("have factors that were fitted to them with the model's parameters fixed; %" PRId64 " of %" PRId64
               " are not at their optimum: use a larger rows.passes\n",
               t->rows - t->converged, t->rows);
    else if (s->model->ops->coupling == AVI_INDEPENDENT)
        printf("have no factors; use log.test_factors = yes to fit some to them with the model's parameters fixed\n");
    else
        printf("have no factors: %s couples its rows; use an amortized inference.function to evaluate them\n",
               s->model->ops->name);
}

/* Only what is beyond its error. */
static void print_second_start(const avi_second_start_result *r)
{
    if (!(r->rows > 0 && r->gain > r->error)) return;
    printf("  several modes  a second start gained ");
    print_value(r->gain, r->error, 4);
    printf(" nats per row on %" PRId64 " of %" PRId64 " sampled rows\n", r->better, r->rows);
}

void avi_console_summary(const avi_session *s, const avi_state *st, const char *folder, const char *why)
{
    char text[32];
    if (silent(s)) return;
    avi_console_break();
    printf("%s after %" PRId64 " steps, %s", why, st->step, avi_console_time(st->seconds, text));
    if (st->skipped) printf("; %" PRId64 " steps skipped because something was not finite", st->skipped);
    printf("\n");
    if (st->best.taken)
        printf("  best step    %" PRId64 ", by the ELBO on test rows (stop.patience): these are its parameters\n",
               st->best.step);
    if (st->eval.rows) {
        const double *row = st->eval.value + (st->eval.rows - 1) * (st->eval.columns + st->eval.extra);
        print_both("ELBO         ", row + AVI_EVAL_ELBO_TRAIN, row + AVI_EVAL_ELBO_TRAIN_ERROR, 4, "nats per row");
        if (isfinite(row[AVI_EVAL_MSE_TRAIN]))
            print_both("squared error ", row + AVI_EVAL_MSE_TRAIN, row + AVI_EVAL_MSE_TRAIN_ERROR, 5, "per value");
        print_test_factors(s, st);
        avi_convergence c;
        char words[AVI_CONVERGENCE_TEXT];
        if (avi_convergence_describe(s, st, why, &c, words)) printf("  convergence  %s\n", words);
        print_second_start(&st->second_start);
        avi_fit_notes_gradient(st);
        double kl;
        const int used = print_dimensions(s, row + st->eval.columns, st->eval.extra, &kl);
        const bool dead = why && !strncmp(why, "dead", strlen("dead")); /* which has its own warning */
        if (st->step > 0 && !dead) avi_fit_notes_print(s, st, used, kl);
    }
    printf("  results      %s/run.h5\n  to watch     %s/metrics.csv\n  pictures     analysis/plot_trace.py %s\n"
           "  report       analysis/report.py %s\n",
           folder, folder, folder, folder);
    fflush(stdout);
}
