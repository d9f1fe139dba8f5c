/* The datasets of posterior.nc. Every dimension is a coordinate in each group that has it: chain and draw are numbers,
 * rows and columns have the names that the data have, else numbers from 0. */
#include "idata/internal.h"
#include "output/names.h"
#include "source/holdout.h"

#include <stdlib.h>
#include <string.h>

typedef struct lister {
    const avi_session *s;
    const avi_idata_plan *p;
    avi_fields *l;
} lister;

static avi_status need(const void *p) { return p ? AVI_OK : avi_fail_memory(1, "posterior.nc"); }

/* ---- values ---- */

/* Adds a dataset whose rows are numbered over its first `leading` dimensions; *at becomes its number. */
static avi_status add(lister *m, avi_field f, int leading, int *at)
{
    f.leading = leading;
    f.distributed = true;
    *at = m->l->count;
    return avi_fields_add(m->l, f);
}

/* (chain, draw, row) and, where width is not 0, one more. */
static avi_status add_draws(lister *m, const char *path, bool typed, int64_t width, const char *units, const char *axes,
                            const char *description, int *at)
{
    return add(m,
               (avi_field){.path = path,
                           .type = typed ? avi_run_file_type(m->s) : AVI_F64,
                           .rank = width ? 4 : 3,
                           .dims = {1, m->p->draws, m->p->rows.total, width},
                           .description = description,
                           .units = units,
                           .axes = axes},
               3, at);
}

static avi_status add_rows(lister *m, const char *path, bool typed, int64_t width, const char *units, const char *axes,
                           const char *description, int *at)
{
    return add(m,
               (avi_field){.path = path,
                           .type = typed ? avi_run_file_type(m->s) : AVI_F64,
                           .rank = width ? 2 : 1,
                           .dims = {m->p->rows.total, width},
                           .description = description,
                           .units = units,
                           .axes = axes},
               1, at);
}

static avi_status add_theta_scalar(lister *m, const char *path, const char *description, int *at)
{
    return add(m,
               (avi_field){.path = path,
                           .type = AVI_F64,
                           .rank = 2,
                           .dims = {1, m->p->draws},
                           .description = description,
                           .units = "nats",
                           .axes = "chain, draw"},
               2, at);
}

static avi_status add_block_draws(lister *m, const avi_block *b)
{
    const bool matrix = b->rows > 1, scalar = b->rows * b->cols == 1;
    int at;
    const char *axes = avi_run_file_axes(m->l, b), *path = avi_fields_text(m->l, "/posterior/%s", b->name);
    AVI_TRY(need(axes && path ? path : NULL));
    const char *all = avi_fields_text(m->l, scalar ? "chain, draw" : "chain, draw, %s", axes),
               *text = avi_fields_text(m->l, "draws from q(theta): %s", b->description[0] ? b->description : b->name);
    AVI_TRY(need(all && text ? all : NULL));
    return add(m,
               (avi_field){.path = path,
                           .type = avi_run_file_type(m->s),
                           .rank = scalar   ? 2
                                   : matrix ? 4
                                            : 3,
                           .dims = {1, m->p->draws, matrix ? b->rows : b->cols, matrix ? b->cols : 0},
                           .description = text,
                           .units = "",
                           .axes = all},
               2, &at);
}

static avi_status add_block_point(lister *m, const avi_block *b, const void *points)
{
    const bool matrix = b->rows > 1, scalar = b->rows * b->cols == 1;
    const char *axes = avi_run_file_axes(m->l, b), *path = avi_fields_text(m->l, "/constant_data/%s", b->name);
    AVI_TRY(need(axes && path ? path : NULL));
    return avi_fields_add(m->l,
                          (avi_field){.path = path,
                                      .type = avi_run_file_type(m->s),
                                      .rank = scalar   ? 0
                                              : matrix ? 2
                                                       : 1,
                                      .dims = {matrix ? b->rows : b->cols, matrix ? b->cols : 0},
                                      .data = avi_vector_at(m->s->precision, (void *)(uintptr_t)points, b->offset),
                                      .description = b->description[0] ? b->description : b->name,
                                      .units = "",
                                      .axes = scalar ? "" : axes});
}

static avi_status list_posterior(lister *m, avi_idata_index *at)
{
    const avi_params *theta = &m->s->model->theta;
    AVI_TRY(add_draws(m, "/posterior/z", true, m->s->model->latent, "", "chain, draw, row, dimension",
                      "draws from q(z_n)", &at->z));
    at->theta = m->l->count;
    for (int k = 0; m->p->theta && k < theta->count; k++) AVI_TRY(add_block_draws(m, &theta->block[k]));
    return AVI_OK;
}

static avi_status list_statistics(lister *m, avi_idata_index *at)
{
    static const char axes[] = "chain, draw, row", nats[] = "nats";
    if (m->p->weights)
        AVI_TRY(add_draws(m, "/sample_stats/log_p", false, 0, nats, axes,
                          "log p(x_n, z_n | theta) of the draws; of a chain log p(x_n | z_n) + log p(z_n | z_{n-1})",
                          &at->log_p));
    if (m->p->densities)
        AVI_TRY(add_draws(m, "/sample_stats/log_q", false, 0, nats, axes,
                          "log q(z_n) of the draws: log_p - log_q are the log importance weights of the row",
                          &at->log_q));
    if (m->s->problem.global_gaussian) {
        AVI_TRY(add_theta_scalar(m, "/sample_stats/log_p_theta",
                                 "log p(theta) of the draws (0 of a flat prior); the weight of a draw of everything "
                                 "has log_p_theta - log_q_theta and the sum over all rows of log_p - log_q",
                                 &at->log_p_theta));
        AVI_TRY(add_theta_scalar(m, "/sample_stats/log_q_theta", "log q(theta) of the draws", &at->log_q_theta));
    }
    return add_draws(m, "/log_likelihood/x", false, 0, nats, axes,
                     "log p(x_n | z_n, theta) of the draws, of the values that the model sees", &at->loglik);
}

static avi_status list_data(lister *m, avi_idata_index *at)
{
    if (m->p->predictive)
        AVI_TRY(add_draws(m, "/posterior_predictive/x", true, m->s->shape.width, "data units",
                          "chain, draw, row, column", "draws from p(x_n | z_n, theta), in the units of the data",
                          &at->x));
    if (!m->p->observed) return AVI_OK;
    return add_rows(m, "/observed_data/x", false, m->s->shape.width, "data units", "row, column",
                    "the data in their units; NaN where a value is missing", &at->observed);
}

static avi_status list_constants(lister *m, const void *points, avi_idata_index *at)
{
    static const struct {
        const char *path, *units, *description;
    } score[AVI_IDATA_SCORES] = {
        {"/constant_data/elbo", "nats per row", "mean of log_p - log_q over the draws"},
        {"/constant_data/log_p", "nats per row",
         "log p(x_n | theta) by importance weighting with the draws; of draws of theta its mean over q(theta)"},
        {"/constant_data/log_p_error", "nats per row", "its standard error by the delta method"},
        {"/constant_data/khat", "", "Pareto k-hat of these weights: log_p is reliable below 0.7"},
        {"/constant_data/ess", "draws", "effective sample size of these weights"}};
    const avi_params *theta = &m->s->model->theta;
    AVI_TRY(add_rows(m, "/constant_data/mean", true, m->s->model->latent, "", "row, dimension",
                     "mean of q(z_n), not of the draws", &at->mean));
    AVI_TRY(add_rows(m, "/constant_data/log_sd", true, m->s->model->latent, "", "row, dimension",
                     "log standard deviation of q(z_n)", &at->log_sd));
    for (int k = 0; m->p->scores && k < AVI_IDATA_SCORES; k++)
        AVI_TRY(add_rows(m, score[k].path, false, 0, score[k].units, "row", score[k].description, &at->score[k]));
    for (int k = 0; !m->s->problem.global_gaussian && k < theta->count; k++)
        AVI_TRY(add_block_point(m, &theta->block[k], points));
    return AVI_OK;
}

/* ---- coordinates ---- */

/* Whether dimension d of the field is called `axis`. */
static bool is_called(const avi_field *f, int d, const char *axis)
{
    const char *at = f->axes;
    for (; d > 0 && at; d--) at = (at = strchr(at, ',')) ? at + 1 + strspn(at + 1, " ") : NULL;
    const size_t n = strlen(axis);
    return at && !strncmp(at, axis, n) && (at[n] == ',' || !at[n]);
}

/* The first `count` fields: whether one of the group has that axis, of that size. */
static bool has_axis(const avi_fields *l, int count, const char *group, const char *axis, int64_t size)
{
    const size_t n = strlen(group);
    for (int i = 0; i < count; i++) {
        const avi_field *f = &l->field[i];
        if (f->path[0] != '/' || strncmp(f->path + 1, group, n) != 0 || f->path[n + 1] != '/') continue;
        for (int d = 0; d < f->rank; d++)
            if (f->dims[d] == size && is_called(f, d, axis)) return true;
    }
    return false;
}

/* names or numbers: (size). */
static avi_status add_coordinate(lister *m, const char *axis, int64_t size, const char *const *names,
                                 const int64_t *numbers, const char *description)
{
    static const char *const group[] = {"posterior",     "sample_stats", "log_likelihood", "posterior_predictive",
                                        "observed_data", "constant_data"};
    const int count = m->l->count;
    for (size_t g = 0; g < sizeof group / sizeof group[0]; g++) {
        if (!has_axis(m->l, count, group[g], axis, size)) continue;
        const char *path = avi_fields_text(m->l, "/%s/%s", group[g], axis);
        AVI_TRY(need(path));
        AVI_TRY(avi_fields_add(m->l, (avi_field){.path = path,
                                                 .type = AVI_I64,
                                                 .rank = 1,
                                                 .dims = {size},
                                                 .names = names,
                                                 .data = names ? NULL : numbers,
                                                 .description = description,
                                                 .units = "",
                                                 .axes = axis}));
    }
    return AVI_OK;
}

/* 0, 1, ... */
static avi_status add_numbers(lister *m, const char *axis, int64_t size, const char *description)
{
    int64_t *number = avi_fields_memory(m->l, (size_t)size * sizeof *number);
    AVI_TRY(need(number));
    for (int64_t i = 0; i < size; i++) number[i] = i;
    return add_coordinate(m, axis, size, NULL, number, description);
}

/* Names as UTF-8 that readers take, in one block of memory of the list. */
static avi_status keep_names(avi_fields *l, int64_t count, char *const *name, const char **kept)
{
    size_t bytes = 1;
    for (int64_t i = 0; i < count; i++) bytes += strlen(name[i]) + 1;
    char *at = avi_fields_memory(l, bytes);
    AVI_TRY(need(at));
    for (int64_t i = 0; i < count; i++) {
        const size_t n = strlen(name[i]);
        avi_names_put(name[i], n, (int64_t)n + 1, at);
        kept[i] = at;
        at += n + 1;
    }
    return AVI_OK;
}

/* Rank 0 reads the names of the chosen rows, range by range. */
static avi_status read_row_names(lister *m, const char **names)
{
    enum { PIECE = 4096 };
    avi_source *source = m->s->train_source;
    const avi_idata_rows *rows = &m->p->rows;
    char *name[PIECE];
    for (int k = 0; k < rows->ranges; k++)
        for (int64_t i = rows->before[k], n; i < rows->before[k + 1]; i += n) {
            n = rows->before[k + 1] - i < PIECE ? rows->before[k + 1] - i : PIECE;
            AVI_TRY(source->row_names(source, avi_idata_row(rows, i), n, name));
            const avi_status status = keep_names(m->l, n, name, names + i);
            for (int64_t j = 0; j < n; j++) free(name[j]);
            AVI_TRY(status);
        }
    return AVI_OK;
}

/* Rank 0's alone are written, and may be many. */
static avi_status add_row_coordinate(lister *m)
{
    const avi_idata_rows *rows = &m->p->rows;
    const avi_holdout *held = avi_holdout_of(m->s->train_source);
    const int64_t here = avi_comm_rank(m->s->comm) == 0 ? rows->total : 0;
    void *memory = avi_fields_memory(m->l, (size_t)(here + 1) * sizeof(int64_t));
    AVI_TRY(need(memory));
    if (m->s->train_source->row_names) {
        if (here) AVI_TRY(read_row_names(m, memory));
        return add_coordinate(m, "row", rows->total, memory, NULL, "names of the rows");
    }
    int64_t *number = memory;
    for (int64_t i = 0; i < here; i++) {
        const int64_t row = avi_idata_row(rows, i);
        number[i] = held ? avi_holdout_other(held, row) : row;
    }
    return add_coordinate(m, "row", rows->total, NULL, number, "numbers of the rows in the data, from 0");
}

static avi_status add_column_coordinate(lister *m)
{
    const int64_t width = m->s->shape.width;
    char *const *of_source = m->s->train_source->column_name;
    if (!of_source) return add_numbers(m, "column", width, "numbers of the columns, from 0");
    const char **names = avi_fields_memory(m->l, (size_t)width * sizeof *names);
    AVI_TRY(need(names));
    AVI_TRY(keep_names(m->l, width, of_source, names));
    return add_coordinate(m, "column", width, names, NULL, "names of the columns");
}

avi_status avi_idata_fields(const avi_session *s, const avi_idata_plan *p, const void *points, avi_fields *l,
                            avi_idata_index *at)
{
    lister m = {s, p, l};
    *at = (avi_idata_index){-1, -1, -1, -1, -1, -1, -1, -1, {-1, -1, -1, -1, -1}, -1, -1, -1};
    AVI_TRY(list_posterior(&m, at));
    AVI_TRY(list_statistics(&m, at));
    AVI_TRY(list_data(&m, at));
    AVI_TRY(list_constants(&m, points, at));
    AVI_TRY(add_numbers(&m, "chain", 1, "number of the chain: a run is one; the runs of a sweep are joined as chains"));
    AVI_TRY(add_numbers(&m, "draw", p->draws, "number of the draw"));
    AVI_TRY(add_row_coordinate(&m));
    AVI_TRY(add_numbers(&m, "dimension", s->model->latent, "number of the dimension of z"));
    return add_column_coordinate(&m);
}
