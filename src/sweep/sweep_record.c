/* One run of a sweep as its run.h5 tells it. */
#include "sweep/sweep_table.h"
#include "state/trace.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

const char *avi_sweep_status_text(int64_t status)
{
    switch ((avi_sweep_status)status) {
    case AVI_SWEEP_WAITING:
        return "waiting";
    case AVI_SWEEP_DONE:
        return "done";
    case AVI_SWEEP_STOPPED:
        return "stopped";
    case AVI_SWEEP_DIVERGED:
        return "diverged";
    case AVI_SWEEP_FAILED:
        return "failed";
    }
    return "unknown";
}

avi_sweep_record avi_sweep_record_empty(void)
{
    return (avi_sweep_record){.seconds = NAN,
                              .elbo_train = NAN,
                              .elbo_test = NAN,
                              .mse_train = NAN,
                              .mse_test = NAN,
                              .elbo_train_error = NAN,
                              .elbo_test_error = NAN,
                              .mse_train_error = NAN,
                              .mse_test_error = NAN,
                              .elbo = NAN,
                              .elbo_error = NAN,
                              .gap_fit = NAN,
                              .gap_fit_error = NAN,
                              .slope = NAN,
                              .slope_error = NAN,
                              .loss = NAN,
                              .best_elbo = NAN};
}

/* A column of /trace or /eval, or a number of /exact (*n = 1); *n = 0 when it is empty or not there. Owner: caller. */
static avi_status read_column(avi_comm *comm, avi_store *store, const char *path, double **out, int64_t *n)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    *out = NULL;
    *n = 0;
    if (avi_store_shape(store, path, &type, &rank, dims) != AVI_OK || type != AVI_F64 || rank > 1) {
        avi_error_clear(); /* a task without a trace is a run all the same */
        return AVI_OK;
    }
    if (rank == 0) dims[0] = 1;
    double *value = malloc((size_t)(dims[0] + 1) * sizeof *value);
    avi_status status =
        avi_agree(comm, value ? AVI_OK : avi_fail_memory((size_t)dims[0] * sizeof *value, "the results of a run"));
    if (status == AVI_OK && dims[0] > 0) status = avi_store_read(store, path, AVI_F64, rank, dims, false, value);
    if (status != AVI_OK) {
        free(value);
        return status;
    }
    *out = value;
    *n = dims[0];
    return AVI_OK;
}

typedef enum pick { LAST, LARGEST } pick;

static avi_status read_value(avi_comm *comm, avi_store *store, const char *path, pick which, double *out)
{
    double *value;
    int64_t n;
    AVI_TRY(read_column(comm, store, path, &value, &n));
    if (n > 0 && which == LAST) *out = value[n - 1];
    for (int64_t i = 0; which == LARGEST && i < n; i++)
        if (isfinite(value[i]) && !(*out >= value[i])) *out = value[i];
    free(value);
    return AVI_OK;
}

static const struct {
    const char *path;
    size_t offset;
} last[] = {
    {"/eval/elbo_train", offsetof(avi_sweep_record, elbo_train)},
    {"/eval/elbo_test", offsetof(avi_sweep_record, elbo_test)},
    {"/eval/mse_train", offsetof(avi_sweep_record, mse_train)},
    {"/eval/mse_test", offsetof(avi_sweep_record, mse_test)},
    {"/eval/elbo_train_error", offsetof(avi_sweep_record, elbo_train_error)},
    {"/eval/elbo_test_error", offsetof(avi_sweep_record, elbo_test_error)},
    {"/eval/mse_train_error", offsetof(avi_sweep_record, mse_train_error)},
    {"/eval/mse_test_error", offsetof(avi_sweep_record, mse_test_error)},
    {"/exact/gap_fit", offsetof(avi_sweep_record, gap_fit)},
    {"/exact/gap_fit_error", offsetof(avi_sweep_record, gap_fit_error)},
};

avi_status avi_sweep_record_read(avi_comm *comm, avi_store *store, avi_sweep_record *r)
{
    double steps = 0, evaluated = 0, offset = NAN;
    AVI_TRY(read_value(comm, store, "/trace/step", LAST, &steps));
    AVI_TRY(read_value(comm, store, "/eval/step", LAST, &evaluated));
    AVI_TRY(read_value(comm, store, "/trace/elbo_per_row", LARGEST, &r->best_elbo));
    for (size_t i = 0; i < sizeof last / sizeof last[0]; i++)
        AVI_TRY(read_value(comm, store, last[i].path, LAST, (double *)(void *)((char *)r + last[i].offset)));
    r->steps = (int64_t)fmax(steps, evaluated);
    if (avi_store_attribute_real(store, "/provenance", "seconds", &r->seconds) != AVI_OK) avi_error_clear();
    if (avi_store_attribute_real(store, "/trace", "slope", &r->slope) != AVI_OK) avi_error_clear();
    if (avi_store_attribute_real(store, "/trace", "slope_error", &r->slope_error) != AVI_OK) avi_error_clear();
    if (avi_store_attribute_int(store, "/", "rows", &r->rows) != AVI_OK) avi_error_clear();
    if (avi_store_attribute_real(store, "/", "loss_offset", &offset) != AVI_OK) avi_error_clear();
    r->elbo = r->elbo_train * (double)r->rows;
    r->elbo_error = r->elbo_train_error * (double)r->rows;
    r->loss = offset - r->elbo_train * (double)r->rows;
    return AVI_OK;
}
