/* /global and /inference of run.h5: parameters of the model and of the inference function. */
#include "output/run_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

avi_dtype avi_run_file_type(const avi_session *s) { return s->precision == AVI_PRECISION_SINGLE ? AVI_F32 : AVI_F64; }

/* exp of n values, in the precision of the run, into memory of the fields. */
static avi_status exponentials(const avi_session *s, avi_fields *l, int64_t n, const void *from, const void **to)
{
    void *typed = avi_fields_memory(l, (size_t)n * avi_real_size(s->precision));
    if (!typed) return avi_fail_memory((size_t)n * avi_real_size(s->precision), "results");
    for (int64_t i = 0; i < n; i++) avi_vector_set(s->precision, typed, i, exp(avi_vector_get(s->precision, from, i)));
    *to = typed;
    return AVI_OK;
}

const char *avi_run_file_axes(avi_fields *l, const avi_block *b)
{
    const char *last = strrchr(b->axes, ',');
    if (b->axes[0]) return b->rows > 1 || !last ? b->axes : last + 1 + (last[1] == ' ');
    char *made = b->rows > 1 ? avi_fields_text(l, "%s_output, %s_input", b->name, b->name)
                             : avi_fields_text(l, b->cols > 1 ? "%s_value" : "value", b->name);
    for (char *c = made; c && *c; c++)
        if (*c == '.') *c = '_';
    return made;
}

/* "covariance of q(theta), .. in this order: /global/alpha (1), /global/beta (3)". */
static const char *describe_order(avi_fields *l, const avi_params *theta)
{
    const char *text = "covariance of q(theta), both triangles, values in this order:";
    for (int k = 0; k < theta->count && text; k++) {
        const avi_block *b = &theta->block[k];
        text = avi_fields_text(l, "%s%s /global/%s (%" PRId64 ")", text, k ? "," : "", b->name, b->rows * b->cols);
    }
    return text;
}

/* Of a q(theta) that is a family's: sds laid out like the means, and the covariance, in memory of the fields. */
static avi_status add_joint(const avi_session *s, const avi_state *st, avi_fields *l, void **sds)
{
    const avi_family *f = s->problem.global_family;
    const avi_params *theta = &s->model->theta;
    const int64_t n = f->latent;
    double *nu = avi_fields_memory(l, (size_t)(f->width + 2 * n) * sizeof *nu), *mean = nu + f->width,
           *log_sd = mean + n;
    *sds = avi_fields_memory(l, (size_t)s->layout.theta * avi_real_size(s->precision));
    if (!nu || !*sds) return avi_fail_memory((size_t)(f->width + 2 * n) * sizeof *nu, "results");
    avi_theta_nu(&s->problem, st->params, nu);
    f->ops->moments(f, nu, NULL, mean, log_sd);
    for (int k = 0; k < theta->count; k++)
        for (int64_t i = 0; i < theta->block[k].rows * theta->block[k].cols; i++)
            avi_vector_set(s->precision, *sds, theta->block[k].offset + i, exp(*log_sd++));
    if (n > AVI_MOST_COVARIANCE) return AVI_OK;
    double *covariance = avi_fields_memory(l, (size_t)(n * n) * sizeof *covariance);
    if (!covariance) return avi_fail_memory((size_t)(n * n) * sizeof *covariance, "results");
    f->ops->covariance(f, nu, covariance);
    const char *text = describe_order(l, theta);
    if (!text) return avi_fail_memory(1, "results");
    return avi_fields_add(l, (avi_field){.path = "/theta/covariance",
                                         .type = AVI_F64,
                                         .rank = 2,
                                         .dims = {n, n},
                                         .data = covariance,
                                         .description = text,
                                         .units = "",
                                         .axes = "theta_value, theta_value_2"});
}

/* Blocks of a flat vector as datasets of their own shape, written from where they are. name: of the dataset of each
 * block; what and after: about the description of the block. */
static avi_status add_blocks(const avi_session *s, const void *vector, avi_fields *l, const avi_params *p,
                             const char *format, const char *name, bool exponential, const char *what,
                             const char *after)
{
    for (int k = 0; k < p->count; k++) {
        const avi_block *b = &p->block[k];
        char *path = avi_fields_memory(l, 128);
        const char *axes = avi_run_file_axes(l, b),
                   *text = avi_fields_text(l, "%s%s%s", what, b->description[0] ? b->description : b->name, after);
        const void *typed = (const char *)vector + (size_t)b->offset * avi_real_size(s->precision);
        if (!path || !axes || !text) return avi_fail_memory(1, "results");
        snprintf(path, 128, format[1] == 'g' ? "/global/%s/%s" : "/inference/%s", b->name, name);
        if (exponential) AVI_TRY(exponentials(s, l, b->rows * b->cols, typed, &typed));
        const bool matrix = b->rows > 1;
        AVI_TRY(avi_fields_add(l, (avi_field){.path = path,
                                              .type = avi_run_file_type(s),
                                              .rank = matrix ? 2 : 1,
                                              .dims = {matrix ? b->rows : b->cols, matrix ? b->cols : 0},
                                              .data = typed,
                                              .description = text,
                                              .units = "",
                                              .axes = axes}));
    }
    return AVI_OK;
}

/* The function sees (value - feature_mean) / feature_sd of each column, of every row of its domain alike. */
static avi_status add_features(const avi_session *s, avi_fields *l)
{
    if (!s->problem.features) return AVI_OK;
    avi_field f = {.path = "/inference/feature_mean",
                   .type = AVI_F64,
                   .rank = 1,
                   .dims = {s->moments->width},
                   .data = s->moments->mean,
                   .description = "mean of each column over training rows, taken off before the inference function",
                   .units = "data units",
                   .axes = "column"};
    AVI_TRY(avi_fields_add(l, f));
    f.path = "/inference/feature_sd";
    f.data = s->moments->sd;
    f.description = "standard deviation of each column over training rows, divided by before the inference function; "
                    "0: the column is constant and is only centred";
    return avi_fields_add(l, f);
}

avi_status avi_run_file_parameters(const avi_session *s, const avi_state *st, avi_fields *l)
{
    const bool gaussian = s->problem.global_gaussian;
    const char *standardised =
        s->problem.features ? "; of values standardised by /inference/feature_mean and feature_sd" : "";
    const avi_precision p = s->precision;
    void *sds = avi_vector_at(p, st->params, avi_parameter_layout_log_sd(&s->problem, &s->layout));
    AVI_TRY(add_blocks(s, st->params, l, &s->model->theta, "/global", "mean", false,
                       gaussian ? "mean of q(theta): " : "", ""));
    if (s->problem.global_family) AVI_TRY(add_joint(s, st, l, &sds));
    if (gaussian)
        AVI_TRY(add_blocks(s, sds, l, &s->model->theta, "/global", "sd", !s->problem.global_family,
                           "standard deviation of q(theta): ", ""));
    AVI_TRY(add_features(s, l));
    return add_blocks(s, avi_vector_at(p, st->params, avi_parameter_layout_phi(&s->problem, &s->layout)), l,
                      &s->infer->phi, "/inference", "", false, "", standardised);
}
