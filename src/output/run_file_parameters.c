/* /global and /inference of run.h5: parameters of the model and of the inference function. */
#include "output/run_file.h"

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

/* Names of the axes of a block as it is stored: those that were declared, of a single row the last one; else names made
 * of the block's own. */
static const char *axes_of(avi_fields *l, const avi_block *b)
{
    const char *last = strrchr(b->axes, ',');
    if (b->axes[0]) return b->rows > 1 || !last ? b->axes : last + 1 + (last[1] == ' ');
    char *made = b->rows > 1 ? avi_fields_text(l, "%s_output, %s_input", b->name, b->name)
                             : avi_fields_text(l, b->cols > 1 ? "%s_value" : "value", b->name);
    for (char *c = made; c && *c; c++)
        if (*c == '.') *c = '_';
    return made;
}

/* Blocks of a flat vector as datasets of their own shape, written from where they are. first: index of the vector's
 * first value in st->params; what and after: about the description of the block. */
static avi_status add_blocks(const avi_session *s, const avi_state *st, avi_fields *l, const avi_params *p,
                             const char *format, int64_t first, bool exponential, const char *what, const char *after)
{
    for (int k = 0; k < p->count; k++) {
        const avi_block *b = &p->block[k];
        char *path = avi_fields_memory(l, 128);
        const char *axes = axes_of(l, b),
                   *text = avi_fields_text(l, "%s%s%s", what, b->description[0] ? b->description : b->name, after);
        const void *typed = avi_vector_at(s->precision, st->params, first + b->offset);
        if (!path || !axes || !text) return avi_fail_memory(1, "results");
        snprintf(path, 128, format[1] == 'g' ? "/global/%s/%s" : "/inference/%s", b->name, exponential ? "sd" : "mean");
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
    AVI_TRY(add_blocks(s, st, l, &s->model->theta, "/global", 0, false, gaussian ? "mean of q(theta): " : "", ""));
    if (gaussian)
        AVI_TRY(add_blocks(s, st, l, &s->model->theta, "/global", s->layout.theta, true,
                           "standard deviation of q(theta): ", ""));
    AVI_TRY(add_features(s, l));
    return add_blocks(s, st, l, &s->infer->phi, "/inference", avi_parameter_layout_phi(&s->problem, &s->layout), false,
                      "", standardised);
}
