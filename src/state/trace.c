#include "state/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const avi_column avi_trace_columns[] = {
    {"step", "steps", "steps done"},
    {"epoch", "epochs", "passes over the data done"},
    {"seconds", "s",
     "time in seconds since the first step, without evaluations and checkpoints; of resumed runs together"},
    {"elbo", "nats", "estimate of the ELBO of the whole data set at this step's rows and draws"},
    {"elbo_per_row", "nats per row", "mean over the rows of the step, less kl_global / number of rows"},
    {"log_likelihood", "nats", "E_q log p(x | z, theta), whole data set"},
    {"kl_local", "nats", "sum of KL(q(z_n) || p(z_n)), whole data set"},
    {"kl_global", "nats", "KL(q(theta) || p(theta)), or -log p(theta) of a point"},
    {"grad_norm", "nats per row", "norm of the gradient of -ELBO/N over all parameters, local ones included"},
    {"learning_rate", "", "in force at this step"},
    {"skipped", "steps", "steps skipped so far because something was not finite"},
    {NULL, NULL, NULL},
};

const avi_column avi_eval_columns[] = {
    {"step", "steps", "steps done"},
    {"elbo_train", "nats per row", "ELBO of the training rows used"},
    {"elbo_test", "nats per row",
     "ELBO of the test rows used; of factorized runs at factors that are fitted to them (log.test_factors), else NaN"},
    {"mse_train", "data units squared", "mean squared reconstruction error of a value (log.mse_at), training rows"},
    {"mse_test", "data units squared", "mean squared reconstruction error of a value (log.mse_at), test rows"},
    {"elbo_train_error", "nats per row",
     "standard error of elbo_train by its draws; 0 where it is in closed form or by quadrature"},
    {"elbo_test_error", "nats per row",
     "standard error of elbo_test by its draws; 0 where it is in closed form or by quadrature"},
    {"mse_train_error", "data units squared", "standard error of mse_train by its draws; 0 where there are none"},
    {"mse_test_error", "data units squared", "standard error of mse_test by its draws; 0 where there are none"},
    {NULL, NULL, NULL},
};

#define SQUARE "(nats per row)^2"
const avi_column avi_variance_columns[] = {
    {"step", "steps", "steps done"},
    {"total", SQUARE,
     "trace of the covariance of a step's gradient of -ELBO/N by the parameters that rows share, over minibatches and "
     "draws, at the parameters of this step"},
    {"total_error", SQUARE, "standard error of total"},
    {"theta", SQUARE, "of it, the parameters of the model, or of q(theta)"},
    {"theta_error", SQUARE, "standard error of theta"},
    {"inference", SQUARE, "of it, the parameters of the inference function"},
    {"inference_error", SQUARE, "standard error of inference"},
    {"mean_square", SQUARE, "estimate of the squared norm of the mean gradient, by products of independent gradients"},
    {NULL, NULL, NULL},
};
#undef SQUARE

void avi_trace_create(avi_trace *t, const avi_column *columns)
{
    *t = (avi_trace){.column = columns};
    while (columns[t->columns].name) t->columns++;
}

void avi_trace_free(avi_trace *t)
{
    free(t->value);
    t->value = NULL;
    t->rows = t->capacity = 0;
}

static avi_status reserve(avi_trace *t, int64_t rows, int extra)
{
    if (rows <= t->capacity && extra <= t->extra) return AVI_OK;
    const int64_t capacity = rows > t->capacity ? 2 * rows + 64 : t->capacity;
    const int wide = extra > t->extra ? extra : t->extra, width = t->columns + wide, old = t->columns + t->extra;
    double *value = malloc((size_t)capacity * (size_t)width * sizeof *value);
    if (!value) return avi_fail_memory((size_t)capacity * (size_t)width * sizeof *value, "the trace");
    for (int64_t r = 0; r < t->rows; r++)
        for (int c = 0; c < width; c++) value[r * width + c] = c < old ? t->value[r * old + c] : NAN;
    free(t->value);
    t->value = value;
    t->capacity = capacity;
    t->extra = wide;
    return AVI_OK;
}

avi_status avi_trace_add(avi_trace *t, const double *row, int extra, const double *shares)
{
    AVI_TRY(reserve(t, t->rows + 1, extra));
    double *to = t->value + t->rows++ * (t->columns + t->extra);
    memcpy(to, row, (size_t)t->columns * sizeof *row);
    for (int i = 0; i < t->extra; i++) to[t->columns + i] = i < extra ? shares[i] : NAN;
    return AVI_OK;
}

double *avi_trace_column(const avi_trace *t, int column)
{
    double *out = malloc((size_t)(t->rows + 1) * sizeof *out);
    for (int64_t r = 0; out && r < t->rows; r++) out[r] = t->value[r * (t->columns + t->extra) + column];
    return out;
}
