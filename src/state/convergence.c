#include "state/convergence.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* LEAST_EPOCHS: with fewer spans the error itself is not known; MOST_SPANS: more are less independent. */
enum { LEAST_SPANS = 4, PARTS_OF_EPOCH = 8, LEAST_EPOCHS = 5, MOST_SPANS = 20, LEAST_TO_USE_EPOCHS = 10 };
/* What is less than this in as many steps again is no rise worth more epochs, nats per row. */
static const double SMALL = 1e-3;
/* What is known less well than to a hundredth of the ELBO (the criterion of the paper), or to a tenth of a nat per row,
 * is not called converged. */
static const double PART = 0.01, LEAST_DOUBT = 0.1;

/* ---- a straight line ---- */

/* 97.5 % of Student's t. */
static double quantile(int freedom)
{
    static const double t[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
    enum { KNOWN = sizeof t / sizeof t[0] };
    if (freedom < 1) return INFINITY; /* two points: any line */
    return freedom <= KNOWN ? t[freedom - 1] : 1.96 + 2.5 / (double)freedom;
}

static void fit_line(int n, const double *x, const double *y, avi_convergence *c)
{
    double mean_x = 0, mean_y = 0, sxx = 0, sxy = 0, rest = 0;
    for (int i = 0; i < n; i++) {
        mean_x += x[i] / n;
        mean_y += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        sxx += (x[i] - mean_x) * (x[i] - mean_x);
        sxy += (x[i] - mean_x) * (y[i] - mean_y);
    }
    c->spans = n;
    c->level = mean_y;
    c->slope = sxy / sxx;
    for (int i = 0; i < n; i++) rest += pow(y[i] - mean_y - c->slope * (x[i] - mean_x), 2);
    c->error = sqrt(rest / ((n - 2) * sxx));
    c->bound = quantile(n - 2) * c->error;
}

/* ---- what the trace says of a step ---- */

static const double *line(const avi_trace *t, int64_t row) { return t->value + row * (t->columns + t->extra); }

/* The first line that is not before the step; t->rows when there is none. */
static int64_t find_line(const avi_trace *t, double step)
{
    int64_t from = 0, to = t->rows;
    while (from < to) {
        const int64_t middle = from + (to - from) / 2;
        if (line(t, middle)[AVI_TRACE_STEP] < step)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* A column that changes smoothly, between the lines on both sides; steps are counted from 1 in the trace. */
static double at_step(const avi_trace *t, int column, double step)
{
    const int64_t after = find_line(t, step + 1);
    if (t->rows == 0) return 0;
    if (after == 0 || after == t->rows) return line(t, after == 0 ? 0 : t->rows - 1)[column];
    const double *a = line(t, after - 1), *b = line(t, after);
    const double part = (step + 1 - a[AVI_TRACE_STEP]) / (b[AVI_TRACE_STEP] - a[AVI_TRACE_STEP]);
    return a[column] + part * (b[column] - a[column]);
}

static double largest_rate(const avi_trace *t)
{
    double rate = 0;
    for (int64_t r = 0; r < t->rows; r++) rate = fmax(rate, line(t, r)[AVI_TRACE_RATE]);
    return rate;
}

/* ---- spans ---- */

/* `spans` spans of `width` bins each, the last one before bin `end`. */
typedef struct window {
    int64_t end, width, spans;
} window;

static int64_t filled(const avi_elbo_bins *b, int64_t first, int64_t end)
{
    int64_t n = 0;
    for (int64_t i = first; i < end; i++) n += b->value[i][AVI_BIN_STEPS] > 0;
    return n;
}

/* units: of so many bins, that are complete; the last `last` of them in spans of equally many units. */
static window divide(int64_t units, int64_t last, int64_t bins)
{
    const int64_t each = last > MOST_SPANS ? (last + MOST_SPANS - 1) / MOST_SPANS : 1;
    return (window){.end = units * bins, .width = each * bins, .spans = last / each};
}

static window choose(const avi_elbo_bins *b, int64_t steps)
{
    const int64_t bins = avi_elbo_bins_place(b, steps), of_epoch = avi_elbo_bins_of_epoch(b), epochs = bins / of_epoch;
    int64_t last = epochs / 10 > LEAST_EPOCHS ? epochs / 10 : LEAST_EPOCHS;
    if (epochs >= LEAST_TO_USE_EPOCHS) return divide(epochs, last, of_epoch);
    last = (bins + 9) / 10;
    while (last < bins && filled(b, bins - last, bins) < PARTS_OF_EPOCH) last++;
    return divide(bins, last, 1);
}

static void add_bins(const avi_elbo_bins *b, int64_t first, int64_t width, double sum[AVI_BIN_COLUMNS])
{
    memset(sum, 0, AVI_BIN_COLUMNS * sizeof *sum);
    for (int64_t i = first; i < first + width && i < b->count; i++)
        for (int c = 0; c < AVI_BIN_COLUMNS; c++) sum[c] += b->value[i][c];
}

void avi_convergence_of(const avi_elbo_bins *b, int64_t steps, const avi_trace *trace, double rows, avi_convergence *c)
{
    double x[AVI_ELBO_BINS], y[AVI_ELBO_BINS], sum[AVI_BIN_COLUMNS], first = 0, middle = 0;
    int n = 0;
    *c = (avi_convergence){0};
    if (b->count == 0) return;
    const window w = choose(b, steps);
    for (int64_t k = 0; k < w.spans; k++) {
        add_bins(b, w.end - (w.spans - k) * w.width, w.width, sum);
        if (sum[AVI_BIN_STEPS] <= 0) continue;
        const double step = sum[AVI_BIN_STEP_SUM] / sum[AVI_BIN_STEPS];
        if (n == 0) first = step;
        middle = 0.5 * (first + step);
        c->steps += (int64_t)sum[AVI_BIN_STEPS];
        x[n] = step / (double)b->epoch_steps;
        y[n++] = sum[AVI_BIN_ELBO] / sum[AVI_BIN_ROWS] - at_step(trace, AVI_TRACE_KL_GLOBAL, step) / rows;
    }
    if (n < LEAST_SPANS) {
        c->steps = 0;
        return;
    }
    fit_line(n, x, y, c);
    c->epochs = (double)c->steps / (double)b->epoch_steps;
    const double largest = largest_rate(trace);
    c->rate = largest > 0 ? at_step(trace, AVI_TRACE_RATE, middle) / largest : 1;
    if (!isfinite(c->slope) || !isfinite(c->error)) *c = (avi_convergence){0};
}

/* ---- in words ---- */

/* What helps a fit that is not done; nothing where [stop] decides. */
static const char *advice(const avi_session *s, bool rises)
{
    const avi_config *c = s->config;
    if (avi_config_get_real(c, "stop", "mse") > 0 || avi_config_get_real(c, "stop", "elbo_per_row") < 1e300 ||
        avi_config_get_int(c, "stop", "patience") > 0)
        return "";
    if (!rises) return "; use a lower optim.learning_rate";
    return avi_config_get_int(c, "optim", "steps") > 0 ? "; use more optim.steps" : "; use more optim.epochs";
}

/* Digits after the point that show two of the error's; of a slope without an error three of its own. */
static int places(double value, double error)
{
    const double unit = error > 0 ? error : fabs(value) * 0.1;
    return unit > 0 && isfinite(unit) ? (int)fmin(fmax(1 - floor(log10(unit)), 0), 12) : 4;
}

/* Whether the data may be standardised, and are not. */
static bool standardisable(const avi_session *s)
{
    const avi_model *m = s->model;
    return !s->train->mean && !s->shape.ragged && (!m->ops->support || m->ops->support(m, 0) == AVI_SUPPORT_REAL);
}

/* L-BFGS ends by its tolerance, or where rounding of the ELBO hides what a step gains: with a small gradient that is
 * the optimum as far as it can be told, a large one (values far beyond the scales of the model) says that there is
 * more. */
static void describe_end(const avi_session *s, const avi_state *st, bool stalled, char text[AVI_CONVERGENCE_TEXT])
{
    const char *what = s->problem.notebook ? "objective" : "ELBO";
    const bool single = s->precision == AVI_PRECISION_SINGLE;
    const char *precision = single ? "single" : "double";
    const double left = at_step(&st->trace, AVI_TRACE_GRAD_NORM, (double)st->step),
                 asked = fmax(s->optim.number[1], single ? 1e-5 : 0) * sqrt((double)s->layout.size);
    if (stalled)
        snprintf(text, AVI_CONVERGENCE_TEXT,
                 "no step raises the %s any more, but a gradient of %.2g nats per row is left: %s precision does not "
                 "tell such values apart; use %s%s",
                 what, left, precision, single ? "run.precision = double, or " : "",
                 standardisable(s) ? "data.standardise = yes" : "other scales of the model ([model])");
    else if (left > asked)
        snprintf(text, AVI_CONVERGENCE_TEXT,
                 "the %s has converged as far as %s precision tells: a gradient of %.2g nats per row is left", what,
                 precision, left);
    else
        snprintf(text, AVI_CONVERGENCE_TEXT, "the %s has converged: optim.tolerance is reached", what);
}

bool avi_convergence_describe(const avi_session *s, const avi_state *st, const char *why, avi_convergence *c,
                              char text[AVI_CONVERGENCE_TEXT])
{
    const char *what = s->problem.notebook ? "objective" : "ELBO";
    char rate[80] = "";
    text[0] = '\0';
    avi_convergence_of(&st->bins, st->step, &st->trace, (double)s->partition.rows, c);
    if (why && (!strcmp(why, "converged") || !strcmp(why, AVI_STALLED))) {
        describe_end(s, st, !strcmp(why, AVI_STALLED), text);
        return true;
    }
    /* A dead network sits still without having arrived. */
    if (c->spans == 0 || (why && !strncmp(why, "dead", strlen("dead")))) return false;
    const int digits = places(c->slope, c->error);
    const bool rises = c->slope > c->bound && c->slope * c->epochs > SMALL,
               falls = -c->slope > c->bound && -c->slope * c->epochs > SMALL;
    const double within = (fabs(c->slope) + c->bound) * c->epochs;
    if (c->rate < 0.2) snprintf(rate, sizeof rate, ", at a learning rate of %.2g times its height", c->rate);
    if (rises || falls)
        snprintf(text, AVI_CONVERGENCE_TEXT,
                 "the %s %s by %.*f +- %.*f nats per row and epoch (last %" PRId64 " steps%s)%s", what,
                 rises ? "still rises" : "falls", digits, fabs(c->slope), digits, c->error, c->steps, rate,
                 advice(s, rises));
    else if (within > fmax(PART * fabs(c->level), LEAST_DOUBT))
        snprintf(text, AVI_CONVERGENCE_TEXT,
                 "the last steps do not tell whether the %s has converged: its slope is %.*f +- %.*f nats per row and "
                 "epoch (last %" PRId64 " steps%s)%s",
                 what, digits, c->slope, digits, c->error, c->steps, rate, advice(s, true));
    else
        snprintf(text, AVI_CONVERGENCE_TEXT,
                 "the %s has converged to within %.2g nats per row (slope %.*f +- %.*f per epoch, last %" PRId64
                 " steps%s)",
                 what, within, digits, c->slope, digits, c->error, c->steps, rate);
    return true;
}
