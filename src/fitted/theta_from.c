#include "fitted/theta_from.h"
#include "avi/store.h"
#include "fitted/fitted.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

avi_status avi_theta_from_open(avi_session *s)
{
    const char *from = avi_config_get_string(s->config, "model", "theta_from");
    if (!*from) {
        if (!avi_config_get_bool(s->config, "model", "theta_fixed")) return AVI_OK;
        return avi_config_fail(
            s->config, "model", "theta_fixed",
            "yes keeps the global parameters of another run; give it, as in model.theta_from=runs/vae");
    }
    s->theta_from = calloc(1, sizeof *s->theta_from);
    AVI_TRY(avi_agree(s->comm, s->theta_from ? AVI_OK : avi_fail_memory(sizeof *s->theta_from, "a fit")));
    AVI_TRY(avi_fitted_open(s->comm, from, s->theta_from));
    AVI_TRY(avi_agree(s->comm, avi_fitted_check_model(s->theta_from, s->config)));
    AVI_TRY(avi_agree(s->comm, avi_fitted_check_columns(s->theta_from, s->train_source)));
    /* What theta says is of columns in the units that it was fitted to. */
    if (s->theta_from->like->mean) s->train_source->like = s->theta_from->like;
    return AVI_OK;
}

avi_status avi_theta_from_check(avi_session *s)
{
    if (!s->theta_from) return AVI_OK;
    if (!s->model->theta.count)
        return avi_config_fail(s->config, "model", "theta_from",
                               "model %s has no global parameters; leave the key empty", s->model->ops->name);
    if (avi_config_get_bool(s->config, "model", "theta_fixed"))
        s->fixed = avi_parameter_layout_phi(&s->problem, &s->layout);
    return AVI_OK;
}

static avi_status read_whole(avi_store *store, const char *vector, avi_dtype type, int64_t n, avi_comm *comm,
                             double *out)
{
    const avi_precision p = type == AVI_F32 ? AVI_PRECISION_SINGLE : AVI_PRECISION_DOUBLE;
    void *stored = malloc((size_t)n * avi_real_size(p) + 64);
    avi_status status = avi_agree(comm, stored ? AVI_OK : avi_fail_memory((size_t)n * avi_real_size(p), "a fit"));
    if (status == AVI_OK) status = avi_store_read(store, vector, type, 1, (int64_t[4]){n}, false, stored);
    if (status == AVI_OK) avi_vector_to_double(p, stored, n, out);
    free(stored);
    return status;
}

/* theta comes first in the vector of every run; what q(theta) has beside its means comes after it, and is taken where
 * theirs is of the same form. */
static void take(const avi_session *s, bool same_form, const double *theirs, void *params)
{
    const int64_t theta = s->layout.theta;
    avi_vector_from_double(s->precision, theirs, theta, params);
    if (!s->problem.global_gaussian || !same_form) return;
    avi_vector_from_double(s->precision, theirs + theta, s->layout.beside,
                           avi_vector_at(s->precision, params, avi_parameter_layout_log_sd(&s->problem, &s->layout)));
}

avi_status avi_theta_from_take(const avi_session *s, void *params)
{
    return s->theta_from ? avi_theta_from_read(s->theta_from, s, params) : AVI_OK;
}

avi_status avi_theta_from_read(const avi_fitted *f, const avi_session *s, void *params)
{
    avi_store *store = NULL;
    avi_dtype type;
    int rank;
    int64_t dims[4];
    AVI_TRY(avi_store_open(s->comm, f->path, &store));
    avi_status status = avi_store_shape(store, avi_fitted_vector(f), &type, &rank, dims);
    const bool same_form = avi_fitted_same_global(f, s->config);
    const int64_t needed = s->layout.theta + (same_form ? s->layout.beside : 0);
    if (status == AVI_OK && (rank != 1 || dims[0] < needed || (type != AVI_F32 && type != AVI_F64)))
        status = avi_fail(AVI_ERR_DATA,
                          "%s: has %" PRId64 " parameters, and the global ones of model %s are %" PRId64
                          "; use a run of the same model",
                          f->path, rank == 1 ? dims[0] : 0, s->model->ops->name, needed);
    double *theirs = status == AVI_OK ? malloc((size_t)(dims[0] + 1) * sizeof *theirs) : NULL;
    if (status == AVI_OK)
        status = avi_agree(s->comm, theirs ? AVI_OK : avi_fail_memory((size_t)dims[0] * sizeof *theirs, "a fit"));
    if (status == AVI_OK) status = read_whole(store, avi_fitted_vector(f), type, dims[0], s->comm, theirs);
    if (status == AVI_OK) take(s, same_form, theirs, params);
    free(theirs);
    avi_store_close(&store);
    return status;
}

void avi_theta_from_close(avi_session *s)
{
    if (!s->theta_from) return;
    avi_fitted_close(s->theta_from);
    free(s->theta_from);
    s->theta_from = NULL;
}
