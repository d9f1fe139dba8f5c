/* Second derivatives of -ELBO by the values of local factors, from central differences of its gradient. In a chain a
 * row's gradient answers to its neighbours' factors too. While the differences of one row are taken, rows nearer than
 * three places must not move: rows take turns by their number modulo three, and a pass in which row n moves has a
 * column of the blocks (n - 1, n) and (n, n). */
#include "elbo/internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct work {
    avi_estimator *e;
    const avi_pass *pass;
    const avi_row_ranges *job, *moving; /* moving: all own rows of a chain, else those of the job */
    int64_t width;
    double *at, *moved;         /* (moving rows, width): the factors; those of a pass */
    double *forward, *backward; /* (rows of the job, width): gradients on both sides */
} work;

static void *row_of(const work *w, void *table, int64_t position)
{
    return avi_vector_at(w->e->p.precision, table, (position - w->e->data->first + 1) * w->width);
}

static void put(const work *w, const double *values)
{
    for (int i = 0; i < w->moving->count; values += w->moving->rows[i++] * w->width)
        avi_vector_from_double(w->e->p.precision, values, w->moving->rows[i] * w->width,
                               row_of(w, w->pass->table, w->moving->first[i]));
}

static void get(const work *w, double *values)
{
    for (int i = 0; i < w->moving->count; values += w->moving->rows[i++] * w->width)
        avi_vector_to_double(w->e->p.precision, row_of(w, w->pass->table, w->moving->first[i]),
                             w->moving->rows[i] * w->width, values);
}

/* Collective. Gradients of the job's rows with the factors `values`. */
static avi_status gradients(work *w, const double *values, double *out)
{
    avi_estimator *e = w->e;
    avi_status status = AVI_OK;
    avi_graph graph;
    put(w, values);
    AVI_TRY(avi_estimator_exchange_halo(e, w->pass->table));
    for (int i = 0; i < w->job->count; i++) {
        const int64_t n = w->job->rows[i] * w->width;
        void *grad = row_of(w, w->pass->table_grad, w->job->first[i]);
        memset(grad, 0, (size_t)n * avi_real_size(e->p.precision));
        avi_graph_build(&e->graph, w->pass, 1, w->job->first + i, w->job->rows + i, &graph);
        if (graph.edge) avi_tape_seed(e->tape, graph.edge, -1);
        avi_tape_backward(e->tape, graph.value, -1);
        avi_vector_to_double(e->p.precision, grad, n, out);
        out += n;
        if (status == AVI_OK) status = avi_tape_status(e->tape);
    }
    return avi_agree(e->comm, status);
}

/* Column j of the blocks of rows whose turn it is, from the two gradients. */
static void take_column(const work *w, int turns, int turn, int64_t j, double h, double *own, double *next)
{
    const int64_t n = w->width;
    int64_t at = 0;
    for (int i = 0; i < w->job->count; at += w->job->rows[i++])
        for (int64_t r = 0; r < w->job->rows[i]; r++) {
            const int64_t position = w->job->first[i] + r, k = at + r;
            double *block = position % turns == turn ? own : (position + 1) % turns == turn ? next : NULL;
            for (int64_t c = 0; block && c < n; c++)
                block[(k * n + c) * n + j] = (w->forward[k * n + c] - w->backward[k * n + c]) / (2 * h);
        }
}

/* The factors with value j of the rows of a turn moved by h. */
static void move(work *w, int turns, int turn, int64_t j, double h)
{
    int64_t at = 0;
    for (int i = 0; i < w->moving->count; i++)
        for (int64_t r = 0; r < w->moving->rows[i]; r++, at++) {
            memcpy(w->moved + at * w->width, w->at + at * w->width, (size_t)w->width * sizeof *w->at);
            if ((w->moving->first[i] + r) % turns == turn) w->moved[at * w->width + j] += h;
        }
}

/* Collective. */
static avi_status take_columns(work *w, int64_t columns, double *own, double *next)
{
    const int turns = w->e->p.model->ops->coupling == AVI_CHAIN ? 3 : 1;
    const double h = w->e->p.precision == AVI_PRECISION_DOUBLE ? 1e-5 : 1e-2;
    for (int turn = 0; turn < turns; turn++)
        for (int64_t j = 0; j < columns; j++) {
            move(w, turns, turn, j, h);
            AVI_TRY(gradients(w, w->moved, w->forward));
            move(w, turns, turn, j, -h);
            AVI_TRY(gradients(w, w->moved, w->backward));
            take_column(w, turns, turn, j, h, own, next);
        }
    return AVI_OK;
}

static size_t total(const avi_row_ranges *job)
{
    size_t rows = 0;
    for (int i = 0; i < job->count; i++) rows += (size_t)job->rows[i];
    return rows;
}

avi_status avi_estimator_curvature(avi_estimator *e, const void *params, void *table, void *table_grad,
                                   const avi_row_ranges *job, int64_t columns, double *own, double *next)
{
    const avi_pass pass = {.params = params, .table = table, .table_grad = table_grad, .kl_weight = 1};
    int64_t first = e->data->first, count = e->data->count;
    const avi_row_ranges all = {.count = count > 0, .first = &first, .rows = &count};
    const bool chain = e->p.model->ops->coupling == AVI_CHAIN;
    work w = {.e = e, .pass = &pass, .job = job, .moving = chain ? &all : job, .width = e->p.infer->outputs};
    const size_t rows = total(job), width = (size_t)w.width, moving = total(w.moving) * width, some = rows * width;
    if (!e->p.rule || !e->p.infer->ops->local || e->p.model->ops->coupling == AVI_DENSE)
        return avi_fail(AVI_ERR_INTERNAL, "avi_estimator_curvature: needs a quadrature, factors of their own, and rows "
                                          "that are independent or a chain");
    w.at = malloc((2 * moving + 2 * some + 1) * sizeof *w.at);
    AVI_TRY(avi_agree_memory(e->comm, w.at, (2 * moving + 2 * some) * sizeof *w.at, "the curvature of local factors"));
    w.moved = w.at + moving;
    w.forward = w.moved + moving;
    w.backward = w.forward + some;
    memset(own, 0, some * width * sizeof *own);
    if (next) memset(next, 0, some * width * sizeof *next);
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_GLOBAL, 0), false);
    get(&w, w.at);
    const avi_status status = take_columns(&w, columns, own, next);
    put(&w, w.at);
    free(w.at);
    return status;
}
