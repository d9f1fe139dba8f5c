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
    const avi_row_ranges *job;
    int64_t width, first, count; /* of all own rows */
    double *at, *moved;          /* (own rows, width): the factors; those of a pass */
    double *forward, *backward;  /* (rows of the job, width): gradients on both sides */
} work;

/* Collective. Gradients of the job's rows with the factors `values`. */
static avi_status gradients(work *w, const double *values, double *out)
{
    avi_estimator *e = w->e;
    const avi_precision p = e->p.precision;
    avi_status status = AVI_OK;
    avi_graph graph;
    avi_vector_from_double(p, values, w->count * w->width, avi_vector_at(p, w->pass->table, w->width));
    AVI_TRY(avi_estimator_exchange_halo(e, w->pass->table));
    for (int i = 0; i < w->job->count; i++) {
        const int64_t n = w->job->rows[i] * w->width;
        void *grad = avi_vector_at(p, w->pass->table_grad, (w->job->first[i] - w->first + 1) * w->width);
        memset(grad, 0, (size_t)n * avi_real_size(p));
        avi_graph_build(&e->graph, w->pass, 1, w->job->first + i, w->job->rows + i, &graph);
        if (graph.edge) avi_tape_seed(e->tape, graph.edge, -1);
        avi_tape_backward(e->tape, graph.value, -1);
        avi_vector_to_double(p, grad, n, out);
        out += n;
        if (status == AVI_OK) status = avi_tape_status(e->tape);
    }
    return avi_agree(e->comm, status);
}

/* Column j of the blocks of rows whose turn it is, from the two gradients. */
static void take_column(const work *w, int turns, int turn, int64_t j, double h, double *own, double *next)
{
    const int64_t n = w->width;
    for (int i = 0, at = 0; i < w->job->count; at += (int)w->job->rows[i++])
        for (int64_t r = 0; r < w->job->rows[i]; r++) {
            const int64_t position = w->job->first[i] + r, k = at + r;
            double *block = position % turns == turn ? own : (position + 1) % turns == turn ? next : NULL;
            for (int64_t c = 0; block && c < n; c++)
                block[(k * n + c) * n + j] = (w->forward[k * n + c] - w->backward[k * n + c]) / (2 * h);
        }
}

/* Collective. */
static avi_status columns(work *w, double *own, double *next)
{
    const bool chain = w->e->p.model->ops->coupling == AVI_CHAIN;
    const int turns = chain ? 3 : 1;
    const double h = w->e->p.precision == AVI_PRECISION_DOUBLE ? 1e-5 : 1e-2;
    for (int turn = 0; turn < turns; turn++)
        for (int64_t j = 0; j < w->width; j++)
            for (int side = 0; side < 2; side++) {
                for (int64_t i = 0; i < w->count * w->width; i++) {
                    const bool moves = i % w->width == j && (w->first + i / w->width) % turns == turn;
                    w->moved[i] = w->at[i] + (moves ? (side ? -h : h) : 0);
                }
                AVI_TRY(gradients(w, w->moved, side ? w->backward : w->forward));
                if (side) take_column(w, turns, turn, j, h, own, next);
            }
    return AVI_OK;
}

avi_status avi_estimator_curvature(avi_estimator *e, const void *params, void *table, void *table_grad,
                                   const avi_row_ranges *job, double *own, double *next)
{
    const avi_pass pass = {.params = params, .table = table, .table_grad = table_grad, .kl_weight = 1};
    work w = {.e = e,
              .pass = &pass,
              .job = job,
              .width = e->p.infer->outputs,
              .first = e->data->first,
              .count = e->data->count};
    size_t rows = 0;
    for (int i = 0; i < job->count; i++) rows += (size_t)job->rows[i];
    const size_t all = (size_t)(w.count * w.width), some = rows * (size_t)w.width;
    if (!e->p.rule || !e->p.infer->ops->local || e->p.model->ops->coupling == AVI_DENSE)
        return avi_fail(AVI_ERR_INTERNAL, "avi_estimator_curvature: needs a quadrature, factors of their own, and rows "
                                          "that are independent or a chain");
    w.at = malloc((2 * all + 2 * some + 1) * sizeof *w.at);
    AVI_TRY(avi_agree_memory(e->comm, w.at, (2 * all + 2 * some) * sizeof *w.at, "the curvature of local factors"));
    w.moved = w.at + all;
    w.forward = w.moved + all;
    w.backward = w.forward + some;
    memset(own, 0, some * (size_t)w.width * sizeof *own);
    memset(next, 0, some * (size_t)w.width * sizeof *next);
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_GLOBAL, 0), false);
    avi_vector_to_double(e->p.precision, avi_vector_at(e->p.precision, table, w.width), w.count * w.width, w.at);
    avi_status status = columns(&w, own, next);
    avi_vector_from_double(e->p.precision, w.at, w.count * w.width, avi_vector_at(e->p.precision, table, w.width));
    free(w.at);
    return status;
}
