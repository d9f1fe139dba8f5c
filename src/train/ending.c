#include "train/ending.h"
#include "session/values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Squared errors are in the units of the data. Of values beyond 1e150 they are infinite, however good the fit is. */
static bool squares_overflow(const avi_session *s)
{
    double smallest, largest;
    avi_column_stats_range(s->train->stats, &smallest, &largest);
    return fmax(fabs(smallest), fabs(largest)) > 1e150;
}

/* The name of the first value of an evaluation that should be finite and is not, NULL when all are. */
static const char *wrong_value(const avi_session *s, const double *row)
{
    const bool images = s->model->ops->reconstruct != NULL && !squares_overflow(s),
               test = avi_evaluation_has_test(s, true);
    if (!isfinite(row[AVI_EVAL_ELBO_TRAIN])) return "ELBO on training rows";
    if (test && !isfinite(row[AVI_EVAL_ELBO_TEST])) return "ELBO on test rows";
    if (images && !isfinite(row[AVI_EVAL_MSE_TRAIN])) return "squared error on training rows";
    if (images && test && !isfinite(row[AVI_EVAL_MSE_TEST])) return "squared error on test rows";
    return NULL;
}

/* Steps that are too long may leave an ELBO that is finite, and of no use. No fit that finds something loses a thousand
 * times what it began with. */
static bool fell_far(const avi_session *s, const avi_state *st, double elbo, double *first)
{
    *first = st->trace.rows > 0 ? st->trace.value[AVI_TRACE_ELBO_PER_ROW] : NAN;
    if (s->problem.notebook) return false; /* whose trace has another objective */
    return elbo < *first - 1000 * fmax(fabs(*first), (double)s->shape.width);
}

bool avi_ending_diverged(const avi_session *s, const avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                         char text[AVI_ENDING_TEXT])
{
    const char *value = evaluation ? wrong_value(s, evaluation) : NULL;
    double first;
    text[0] = '\0';
    if (st->step > 0 && st->skipped >= st->step)
        snprintf(text, AVI_ENDING_TEXT, "none of its %" PRId64 " steps was finite, so that no parameter has moved",
                 st->step);
    else if (st->skipped_in_a_row > 0)
        snprintf(text, AVI_ENDING_TEXT, "its last %" PRId64 " step%s not finite", st->skipped_in_a_row,
                 st->skipped_in_a_row == 1 ? " was" : "s were");
    else if (value)
        snprintf(text, AVI_ENDING_TEXT, "the %s of its last evaluation is not finite", value);
    else if (evaluation && fell_far(s, st, evaluation[AVI_EVAL_ELBO_TRAIN], &first))
        snprintf(text, AVI_ENDING_TEXT,
                 "the ELBO of its last evaluation, %.4g nats per row, is far below that of its first step, %.4g",
                 evaluation[AVI_EVAL_ELBO_TRAIN], first);
    return text[0] != '\0';
}

/* ---- the first step ---- */

enum { ROWS = 256 /* looked at together */ };
static const double large = 30; /* of standardised data no value is beyond */

typedef struct extreme {
    double value;        /* largest |x| */
    int64_t row, column; /* the given row */
} extreme;

/* Values of `rows` rows, of ragged ones of the largest. */
static int64_t most_values(const avi_data *d, int64_t rows)
{
    int64_t most = rows;
    for (int64_t r = 0; d->entry && r < d->count; r++) {
        const int64_t n = avi_data_entries(d, d->first + r, 1);
        most = n > most ? n : most;
    }
    return most * d->shape.width;
}

/* Of the rows that this rank holds. */
static avi_status find_own(const avi_session *s, extreme *e)
{
    const avi_data *d = s->train;
    const int64_t width = d->shape.width;
    const int64_t rows = d->entry ? 1 : ROWS, room = most_values(d, rows);
    double *x = malloc((size_t)room * sizeof *x);
    if (!x) return avi_fail_memory((size_t)room * sizeof *x, "a look at the data");
    for (int64_t at = 0; !d->feed && at < d->count; at += rows) {
        const int64_t n = d->count - at < rows ? d->count - at : rows;
        avi_data_fetch_f64(d, d->first + at, n, x);
        for (int64_t k = 0; k < avi_data_entries(d, d->first + at, n) * width; k++)
            if (fabs(x[k]) > e->value)
                *e = (extreme){fabs(x[k]),
                               avi_partition_original(&d->partition, d->first + at + (d->entry ? 0 : k / width)),
                               k % width};
    }
    free(x);
    return AVI_OK;
}

static avi_status find(const avi_session *s, extreme *e)
{
    *e = (extreme){.value = -1};
    AVI_TRY(avi_agree(s->comm, find_own(s, e)));
    double largest = e->value;
    AVI_TRY(avi_comm_max_double(s->comm, &largest, 1));
    int64_t place = e->value >= largest && largest >= 0 ? s->shape.rows - e->row : 0, column = -1;
    AVI_TRY(avi_comm_max_int64(s->comm, &place, 1)); /* of equal values, that in the first row */
    if (place > 0 && e->value >= largest && s->shape.rows - e->row == place) column = e->column;
    AVI_TRY(avi_comm_max_int64(s->comm, &column, 1));
    *e = (extreme){largest, s->shape.rows - place, column};
    return AVI_OK;
}

/* Grey values and counts up to 255 have a scale of their own. */
static bool may_be_grey(const avi_session *s)
{
    double smallest, largest;
    avi_column_stats_range(s->train->stats, &smallest, &largest);
    return smallest >= 0 && largest > 1 && largest <= 255 && s->shape.scale == 1;
}

/* The keys that bring large data to a scale that a model starts from. False, where the data are not large. */
static bool advise_scale(const avi_session *s, char text[AVI_ENDING_TEXT], extreme e)
{
    const bool scales = !strcmp(avi_config_get_string(s->config, "data", "source"), "hdf5"),
               standardises = avi_values_are_real(s) && !s->train->mean;
    const double now = scales ? avi_config_get_real(s->config, "data", "scale") : 0;
    if (!(e.value > large)) return false;
    double smallest, largest;
    avi_column_stats_range(s->train->stats, &smallest, &largest);
    if (!isfinite(e.value)) e.value = fmax(fabs(smallest), fabs(largest)); /* beyond single precision */
    int used =
        snprintf(text, AVI_ENDING_TEXT, "The data are large: |x| is up to %.6g (row %" PRId64 ", column %" PRId64 "). ",
                 e.value, e.row, e.column);
    if (standardises) used += snprintf(text + used, (size_t)(AVI_ENDING_TEXT - used), "Use data.standardise = yes");
    if (standardises && scales && may_be_grey(s))
        (void)snprintf(text + used, (size_t)(AVI_ENDING_TEXT - used),
                       ", or data.scale = %.17g (1/255) where they are grey values", 1.0 / 255);
    if (!standardises)
        (void)snprintf(text + used, (size_t)(AVI_ENDING_TEXT - used), "%s%.3g%s",
                       scales ? "Use data.scale = " : "Multiply them by ", (now != 0 ? now : 1) / e.value,
                       scales ? "" : " in the file");
    return true;
}

avi_status avi_ending_first_step(const avi_session *s, char text[AVI_ENDING_TEXT])
{
    extreme e;
    AVI_TRY(find(s, &e));
    if (!advise_scale(s, text, e))
        snprintf(text, AVI_ENDING_TEXT,
                 "No parameter has moved yet, so a lower learning rate, clipping or rollback cannot help. Use "
                 "run.precision = double, or other scales of the model ([model])");
    return AVI_OK;
}

avi_status avi_ending_advice(const avi_session *s, const avi_state *st, char text[AVI_ENDING_TEXT])
{
    extreme e;
    if (st->step <= st->skipped) return avi_ending_first_step(s, text);
    AVI_TRY(find(s, &e));
    if (advise_scale(s, text, e)) return AVI_OK;
    const bool clips = avi_config_get_real(s->config, "optim", "clip_norm") > 0,
               rolls = !strcmp(avi_config_get_string(s->config, "nan", "policy"), "rollback");
    snprintf(text, AVI_ENDING_TEXT, "Use a lower optim.learning_rate%s%s%s",
             clips   ? ""
             : rolls ? " or "
                     : ", ",
             clips ? "" : "optim.clip_norm",
             rolls   ? ""
             : clips ? " or nan.policy = rollback"
                     : ", or nan.policy = rollback");
    return AVI_OK;
}
