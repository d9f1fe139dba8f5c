#include "cli/run_status.h"
#include "io/folder_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    COLUMNS = 11,
    STEP = 0,
    EPOCH = 1,
    SECONDS = 2,
    ELBO_ALL = 3,
    ELBO = 4,
    KL = 6,
    KL_GLOBAL = 7,
    LOGGED = 4096 /* lines that are kept */
};

/* The logged steps of metrics.csv, the last LOGGED of them. */
typedef struct history {
    int count;
    double value[LOGGED][COLUMNS];
    double age; /* seconds since the last line */
} history;

typedef struct report {
    const char *folder;
    avi_folder_state at;
    char model[64], function[64];
    int64_t steps;             /* that the run is to have; 0: unknown */
    double rate;               /* steps per second; NAN: unknown */
    double slope, slope_error; /* of the ELBO per row over the last tenth of the lines, per epoch */
    double last[COLUMNS];      /* the last logged step; step -1: none */
    double age;
} report;

/* ---- reading ---- */

static void read_line(history *h, const char *line)
{
    double *out = h->value[h->count % LOGGED];
    const char *at = line;
    for (int c = 0; c < COLUMNS; c++) {
        char *end;
        out[c] = strtod(at, &end);
        if (end == at || (*end != ',' && c + 1 < COLUMNS)) return; /* the header, or a line that is being written */
        at = end + 1;
    }
    h->count++;
}

static void read_metrics(const char *folder, history *h)
{
    char path[4096], line[1024];
    struct stat info;
    h->count = 0;
    snprintf(path, sizeof path, "%s/metrics.csv", folder);
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    h->age = difftime(time(NULL), info.st_mtime);
    while (fgets(line, sizeof line, file)) read_line(h, line);
    fclose(file);
}

static const double *logged(const history *h, int back) { return h->value[(h->count - 1 - back) % LOGGED]; }

/* The value of a key in config.ini, as the run wrote it there: "key = value ; where it comes from". */
static void read_key(const char *folder, const char *section, const char *key, char *out, size_t size)
{
    char path[4096], line[4096], here[64] = "", name[64], value[1024];
    struct stat info;
    out[0] = '\0';
    snprintf(path, sizeof path, "%s/config.ini", folder);
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, " [%63[^]]]", here) == 1) continue;
        if (!strcmp(here, section) && sscanf(line, " %63[^= ] = %1023[^;\n]", name, value) == 2 && !strcmp(name, key)) {
            const size_t length = strcspn(value, " ");
            if (length < size) snprintf(out, size, "%.*s", (int)length, value);
        }
    }
    fclose(file);
}

/* Least squares through the last tenth of the lines, ten at least: the slope with its standard error. */
static void fit_slope(const history *h, report *r)
{
    const int kept = h->count < LOGGED ? h->count : LOGGED, n = kept / 10 > 10 ? kept / 10 : kept < 10 ? kept : 10;
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, rest = 0;
    r->slope = r->slope_error = NAN;
    if (n < 3) return;
    for (int i = 0; i < n; i++) {
        mean_x += logged(h, i)[EPOCH] / n;
        mean_y += logged(h, i)[ELBO] / n;
    }
    for (int i = 0; i < n; i++) {
        const double x = logged(h, i)[EPOCH] - mean_x;
        xx += x * x;
        xy += x * (logged(h, i)[ELBO] - mean_y);
    }
    const double slope = xy / xx;
    for (int i = 0; i < n; i++) {
        const double off = logged(h, i)[ELBO] - mean_y - slope * (logged(h, i)[EPOCH] - mean_x);
        rest += off * off;
    }
    r->slope = slope;
    r->slope_error = sqrt(rest / (n - 2) / xx);
}

static avi_status read_report(const char *folder, report *r)
{
    static history h; /* large, and of one folder at a time */
    char text[64];
    *r = (report){.folder = folder, .rate = NAN, .last = {[STEP] = -1}};
    AVI_TRY(avi_folder_state_read(folder, &r->at));
    read_metrics(folder, &h);
    read_key(folder, "model", "name", r->model, sizeof r->model);
    read_key(folder, "inference", "function", r->function, sizeof r->function);
    read_key(folder, "optim", "steps", text, sizeof text);
    r->steps = strtoll(text, NULL, 10);
    fit_slope(&h, r);
    if (!h.count) return AVI_OK;
    memcpy(r->last, logged(&h, 0), sizeof r->last);
    r->age = h.age;
    if (r->steps <= 0 && r->last[EPOCH] > 0) {
        read_key(folder, "optim", "epochs", text, sizeof text);
        r->steps = llround(strtod(text, NULL) * r->last[STEP] / r->last[EPOCH]);
    }
    const int back = h.count - 1 < 10 ? h.count - 1 : 10;
    const double *before = logged(&h, back);
    if (back && r->last[SECONDS] > before[SECONDS])
        r->rate = (r->last[STEP] - before[STEP]) / (r->last[SECONDS] - before[SECONDS]);
    return AVI_OK;
}

/* ---- printing ---- */

static const char *state_of(const report *r)
{
    if (r->at.held) return "running";
    if (!strcmp(r->at.status, "running")) return "interrupted";
    if (r->at.status[0]) return r->at.status;
    return r->at.is_run ? "interrupted" : "no run";
}

/* Seconds in the unit that people say. */
static const char *duration(double seconds, char text[32])
{
    if (!(seconds >= 0) || seconds > 1e9)
        snprintf(text, 32, "-");
    else if (seconds < 120)
        snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 7200)
        snprintf(text, 32, "%.0f min", seconds / 60);
    else
        snprintf(text, 32, "%.1f h", seconds / 3600);
    return text;
}

static double seconds_left(const report *r)
{
    return r->at.held && r->steps > 0 ? ((double)r->steps - r->last[STEP]) / r->rate : NAN;
}

static void print_one(const report *r)
{
    char text[32];
    printf("%s: %s", r->folder, state_of(r));
    if (r->at.why[0] && !r->at.held && strcmp(r->at.why, state_of(r)) != 0) printf(" (%s)", r->at.why);
    printf("\n");
    if (r->model[0]) printf("  model        %s, inference %s\n", r->model, r->function);
    if (r->at.held) printf("  process      %ld on %s since %s\n", r->at.pid, r->at.host, r->at.since);
    if (r->last[STEP] >= 0) {
        printf("  step         %.0f", r->last[STEP]);
        if (r->steps > 0) printf(" of %" PRId64 " (%.0f %%)", r->steps, 100 * r->last[STEP] / (double)r->steps);
        printf(", epoch %.4g, logged %s ago\n", r->last[EPOCH], duration(r->age, text));
        printf("  ELBO         %.6g nats per row, over the rows of that step", r->last[ELBO]);
        if (r->last[KL_GLOBAL] == 0 && r->last[ELBO_ALL] != 0)
            printf("; KL of z %.4g", r->last[KL] * r->last[ELBO] / r->last[ELBO_ALL]);
        printf("\n");
    }
    if (isfinite(r->slope))
        printf("  trend        %+.3g +- %.2g nats per row and epoch, over the last logged steps\n", r->slope,
               r->slope_error);
    if (isfinite(r->rate)) printf("  rate         %.4g steps/s", r->rate);
    if (isfinite(seconds_left(r))) printf(", %s left", duration(seconds_left(r), text));
    if (isfinite(r->rate)) printf("\n");
    if (r->at.checkpoint_step >= 0)
        printf("  checkpoint   step %" PRId64 ", written %s ago\n", r->at.checkpoint_step,
               duration(r->at.checkpoint_age, text));
    if (!strcmp(state_of(r), "interrupted")) printf("  to resume    start the same command again\n");
}

static void print_row(const report *r)
{
    char step[64] = "-", elbo[32] = "-", rate[32] = "-", saved[32] = "-", left[32];
    if (r->last[STEP] >= 0) {
        snprintf(step, sizeof step, r->steps > 0 ? "%.0f/%" PRId64 : "%.0f", r->last[STEP], r->steps);
        snprintf(elbo, sizeof elbo, "%.6g", r->last[ELBO]);
    }
    if (isfinite(r->rate)) snprintf(rate, sizeof rate, "%.4g", r->rate);
    if (r->at.checkpoint_step >= 0) snprintf(saved, sizeof saved, "%" PRId64, r->at.checkpoint_step);
    printf("%-12s %-20s %14s %10s %9s %11s  %s\n", state_of(r), step, elbo, rate, duration(seconds_left(r), left),
           saved, r->folder);
}

avi_status avi_run_status(int count, char **folder)
{
    int others = 0;
    if (count == 0) return avi_fail(AVI_ERR_USAGE, "--status needs the folder of a run; use --status runs/vae");
    if (count > 1)
        printf("%-12s %-20s %14s %10s %9s %11s  folder\n", "state", "step", "ELBO per row", "steps/s", "left",
               "checkpoint");
    for (int i = 0; i < count; i++) {
        report r;
        const avi_status status = read_report(folder[i], &r);
        const bool run = status == AVI_OK && r.at.is_run;
        if (count == 1) {
            AVI_TRY(status);
            if (!run)
                return avi_fail(AVI_ERR_NOINPUT,
                                "%s: no run has written there; use the run.output of a run, or %s/* for a sweep",
                                folder[i], folder[i]);
            print_one(&r);
        } else if (run)
            print_row(&r);
        else
            others++;
    }
    if (others) printf("%d of the %d paths are no folders of runs\n", others, count);
    return AVI_OK;
}
