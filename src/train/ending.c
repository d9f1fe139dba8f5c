#include "train/ending.h"
#include "session/values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of the first value of an evaluation that should be finite and is not, NULL when all are. */
static const char *wrong_value(const avi_session *s, const double *row)
{
    const bool images = s->model->ops->reconstruct != NULL, test = s->test_elbo && !s->infer->ops->local;
    if (!isfinite(row[AVI_EVAL_ELBO_TRAIN])) return "ELBO on training rows";
    if (test && !isfinite(row[AVI_EVAL_ELBO_TEST])) return "ELBO on test rows";
    if (images && !isfinite(row[AVI_EVAL_MSE_TRAIN])) return "squared error on training rows";
    if (images && test && !isfinite(row[AVI_EVAL_MSE_TEST])) return "squared error on test rows";
    return NULL;
}

bool avi_ending_diverged(const avi_session *s, const avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                         char text[AVI_ENDING_TEXT])
{
    const char *value = evaluation ? wrong_value(s, evaluation) : NULL;
    text[0] = '\0';
    if (st->step > 0 && st->skipped >= st->step)
        snprintf(text, AVI_ENDING_TEXT, "none of its %" PRId64 " steps was finite, so that no parameter has moved",
                 st->step);
    else if (st->skipped_in_a_row > 0)
        snprintf(text, AVI_ENDING_TEXT, "its last %" PRId64 " step%s not finite", st->skipped_in_a_row,
                 st->skipped_in_a_row == 1 ? " was" : "s were");
    else if (value)
        snprintf(text, AVI_ENDING_TEXT, "the %s of its last evaluation is not finite", value);
    return text[0] != '\0';
}

/* ---- the first step ---- */

enum { ROWS = 256 /* looked at together */ };
static const double large = 30; /* of standardised data no value is beyond */

typedef struct extreme {
    double value;        /* largest |x| */
    int64_t row, column; /* the given row */
} extreme;

/* Of the rows that this rank holds. */
static avi_status find_own(const avi_session *s, extreme *e)
{
    const avi_data *d = s->train;
    const int64_t width = d->shape.width;
    double *x = malloc((size_t)(ROWS * width) * sizeof *x);
    if (!x) return avi_fail_memory((size_t)(ROWS * width) * sizeof *x, "a look at the data");
    for (int64_t at = 0; !d->feed && at < d->count; at += ROWS) {
        const int64_t n = d->count - at < ROWS ? d->count - at : ROWS;
        avi_data_fetch_f64(d, d->first + at, n, x);
        for (int64_t k = 0; k < n * width; k++)
            if (fabs(x[k]) > e->value)
                *e = (extreme){fabs(x[k]), avi_partition_original(&d->partition, d->first + at + k / width), k % width};
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

avi_status avi_ending_first_step(const avi_session *s, char text[AVI_ENDING_TEXT])
{
    extreme e;
    AVI_TRY(find(s, &e));
    const bool scales = !strcmp(avi_config_get_string(s->config, "data", "source"), "hdf5");
    const double now = scales ? avi_config_get_real(s->config, "data", "scale") : 0;
    if (e.value > large && avi_values_are_real(s) && !s->train->mean)
        snprintf(text, AVI_ENDING_TEXT,
                 "The data are large: |x| is up to %.6g (row %" PRId64 ", column %" PRId64
                 "). Use data.standardise = yes",
                 e.value, e.row, e.column);
    else if (e.value > large)
        snprintf(text, AVI_ENDING_TEXT,
                 "The data are large: |x| is up to %.6g (row %" PRId64 ", column %" PRId64 "). %s%.3g%s", e.value,
                 e.row, e.column, scales ? "Use data.scale = " : "Multiply them by ", (now != 0 ? now : 1) / e.value,
                 scales ? "" : " in the file");
    else
        snprintf(text, AVI_ENDING_TEXT,
                 "No parameter has moved yet, so a lower learning rate, clipping or rollback cannot help. Use "
                 "run.precision = double, or other scales of the model ([model])");
    return AVI_OK;
}
