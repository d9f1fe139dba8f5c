#include "rows/row_results.h"

#include <stdlib.h>
#include <string.h>

static void add(avi_row_results *r, const char *name, int64_t cols, int rank, bool typed, const char *units,
                const char *axes, const char *description)
{
    r->result[r->count++] = (avi_row_result){.name = name,
                                             .description = description,
                                             .units = units,
                                             .axes = axes,
                                             .cols = cols,
                                             .rank = rank,
                                             .typed = typed};
}

static void list(avi_row_results *r, int64_t k)
{
    const avi_session *s = r->s;
    const int64_t l = s->model->latent;
    static const char nats[] = "nats per row", row[] = "row";
    if (r->what & AVI_ROWS_DRAWS) {
        add(r, "/posterior/z", k * l, 3, true, "", "row, draw, dimension", "draws from q(z_n)");
        r->result[0].last = l;
        add(r, "/posterior/x", k * s->shape.width, 3, true, "data units", "row, draw, column",
            "draws from p(x | z, theta) for these z, in the units of the data: the posterior predictive");
        r->result[1].last = s->shape.width;
        return;
    }
    add(r, "/mean", l, 2, true, "", "row, dimension", "mean of q(z_n), rows in the order of the data as given");
    add(r, "/log_sd", l, 2, true, "", "row, dimension", "log standard deviation of q(z_n)");
    if (s->family->ops->covariance)
        add(r, "/covariance", l * l, 3, true, "", "row, dimension, dimension_2",
            "covariance of q(z_n), both triangles");
    r->result[r->count - 1].last = l;
    if (s->infer->ops->local)
        add(r, "/converged", 1, 1, false, "", row,
            "1: the row's own factor is at its optimum (rows.tolerance); 0: not");
    if (r->what & AVI_ROWS_RECONSTRUCTIONS)
        add(r, "/reconstruction", s->shape.width, 2, true, "data units", "row, column",
            "mean of E[x | z, theta] with z from q(z_n), in the units of the data");
    if (!(r->what & AVI_ROWS_SCORES)) return;
    add(r, "/elbo", 1, 1, false, nats, row,
        "ELBO of the row, without the KL of q(theta), which is of all rows together");
    add(r, "/elbo_error", 1, 1, false, nats, row, "its standard error by the draws; 0: there are none");
    add(r, "/log_likelihood", 1, 1, false, nats, row, "of it, E_q log p(x_n | z_n, theta)");
    add(r, "/kl", 1, 1, false, nats, row, "of it, KL(q(z_n) || p(z_n)), which is taken off");
    if (s->model->ops->coupling != AVI_INDEPENDENT) return;
    add(r, "/log_p", 1, 1, false, nats, row,
        "log p(x_n | theta) by importance weighting; of a Gaussian q(theta) its mean over q(theta), log p(x_n | data)");
    add(r, "/log_p_error", 1, 1, false, nats, row, "its standard error by the delta method");
    add(r, "/khat", 1, 1, false, "", row, "Pareto k-hat of the importance weights: log_p is reliable below 0.7");
    add(r, "/ess", 1, 1, false, "draws", row, "effective sample size of the importance weights");
}

static double *values_of(const avi_row_results *r, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (!strcmp(r->result[i].name, name)) return r->result[i].values;
    return NULL;
}

avi_status avi_row_results_create(const avi_session *s, int what, int draws, int64_t rows, avi_row_results *r)
{
    int64_t widest = 1;
    *r = (avi_row_results){.s = s, .what = what};
    list(r, draws);
    for (int i = 0; i < r->count; i++) {
        avi_row_result *o = &r->result[i];
        o->values = malloc((size_t)(rows * o->cols) * sizeof *o->values);
        if (!o->values) return avi_fail_memory((size_t)(rows * o->cols) * sizeof *o->values, "a block of results");
        if (o->typed && o->cols > widest) widest = o->cols;
    }
    r->typed = malloc((size_t)(rows * widest) * sizeof(double));
    if (!r->typed) return avi_fail_memory((size_t)(rows * widest) * sizeof(double), "a block of results");
    r->codes = (avi_row_codes){values_of(r, "/mean"), values_of(r, "/log_sd"), values_of(r, "/covariance"),
                               values_of(r, "/converged")};
    r->scores = (avi_row_scores){values_of(r, "/elbo"), values_of(r, "/elbo_error"), values_of(r, "/log_likelihood"),
                                 values_of(r, "/kl"),   values_of(r, "/log_p"),      values_of(r, "/log_p_error"),
                                 values_of(r, "/khat"), values_of(r, "/ess")};
    r->reconstruction = values_of(r, "/reconstruction");
    r->draw_z = values_of(r, "/posterior/z");
    r->draw_x = values_of(r, "/posterior/x");
    return AVI_OK;
}

void avi_row_results_free(avi_row_results *r)
{
    for (int i = 0; i < r->count; i++) free(r->result[i].values);
    free(r->typed);
    *r = (avi_row_results){0};
}

int avi_row_results_fields(const avi_row_results *r, avi_field field[AVI_ROW_RESULTS])
{
    const avi_dtype type = r->s->precision == AVI_PRECISION_SINGLE ? AVI_F32 : AVI_F64;
    for (int i = 0; i < r->count; i++) {
        const avi_row_result *o = &r->result[i];
        field[i] = (avi_field){.path = o->name,
                               .type = o->typed ? type : AVI_F64,
                               .rank = o->rank,
                               .dims = {r->s->partition.rows, o->rank == 3 ? o->cols / o->last : o->cols, o->last},
                               .distributed = true,
                               .description = o->description,
                               .units = o->units,
                               .axes = o->axes};
    }
    return r->count;
}

avi_status avi_row_results_make(avi_row_results *r, avi_row_use *use)
{
    if (r->draw_x) return avi_row_use_draw(use, r->draw_z, r->draw_x);
    avi_row_use_codes(use, &r->codes);
    if (r->what & AVI_ROWS_SCORES) AVI_TRY(avi_row_use_scores(use, &r->scores));
    return r->reconstruction ? avi_row_use_reconstruct(use, r->reconstruction) : AVI_OK;
}

avi_status avi_row_results_put(const avi_row_results *r, const avi_row_use *use, avi_row_file *file)
{
    const avi_data *d = &use->block.data;
    for (int i = 0; i < r->count; i++) {
        const avi_row_result *o = &r->result[i];
        const bool narrow = o->typed && r->s->precision == AVI_PRECISION_SINGLE;
        if (narrow) avi_vector_from_double(r->s->precision, o->values, d->count * o->cols, r->typed);
        AVI_TRY(avi_row_file_put(file, i, d->first, d->count, narrow ? r->typed : (void *)o->values));
    }
    return AVI_OK;
}
