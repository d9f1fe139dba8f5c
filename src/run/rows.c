/* Rows in memory through a fit, a block at a time: factors, scores, decoding. */
#include "run/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The rows of this call take the place of those of the last one. */
static avi_status take_rows(avi_run *run, int64_t rows, const double *x, bool scores)
{
    avi_error_clear();
    if (!run->fit) return avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
    avi_run_fit *f = run->fit;
    AVI_TRY(avi_row_use_check(f->session, scores));
    f->source.self = (void *)(uintptr_t)x;
    f->source.shape.rows = rows;
    return avi_row_block_restart(&f->use.block);
}

static int64_t factors_of(const avi_run *run, int64_t rows) { return rows - run->fit->session->model->ops->lookahead; }

avi_status avi_run_encode(avi_run *run, int64_t rows, const double *x, double *mean, double *log_sd)
{
    if (rows == 0) return AVI_OK;
    AVI_TRY(take_rows(run, rows, x, false));
    avi_run_fit *f = run->fit;
    const int64_t all = factors_of(run, rows), latent = f->session->model->latent;
    double *room = malloc((size_t)(2 * f->most * latent) * sizeof *room);
    if (!room) return avi_fail_memory((size_t)(2 * f->most * latent) * sizeof *room, "factors");
    const avi_row_codes codes = {.mean = room, .log_sd = room + f->most * latent};
    avi_status status = AVI_OK;
    for (int64_t at = 0; at < all && status == AVI_OK; at += f->most) {
        const int64_t n = all - at < f->most ? all - at : f->most;
        const size_t bytes = (size_t)(n * latent) * sizeof *room;
        status = avi_row_use_read(&f->use, at, n);
        if (status != AVI_OK) break;
        avi_row_use_codes(&f->use, &codes);
        if (mean) memcpy(mean + at * latent, codes.mean, bytes);
        if (log_sd) memcpy(log_sd + at * latent, codes.log_sd, bytes);
    }
    free(room);
    return status;
}

/* ---- evaluate ---- */

enum { SCORES = 8 };

static void copy_scores(const avi_run_values *to, const double *room, int64_t stride, int64_t at, int64_t n)
{
    double *const out[SCORES] = {to->elbo,  to->elbo_error,  to->log_likelihood, to->kl,
                                 to->log_p, to->log_p_error, to->khat,           to->ess};
    for (int i = 0; i < SCORES; i++)
        if (out[i]) memcpy(out[i] + at, room + i * stride, (size_t)n * sizeof *room);
}

avi_status avi_run_evaluate(avi_run *run, int64_t rows, const double *x, const avi_run_values *values)
{
    if (rows == 0) return AVI_OK;
    AVI_TRY(take_rows(run, rows, x, true));
    avi_run_fit *f = run->fit;
    const int64_t all = factors_of(run, rows), most = f->most;
    double *room = malloc((size_t)(SCORES * most) * sizeof *room);
    if (!room) return avi_fail_memory((size_t)(SCORES * most) * sizeof *room, "scores");
    const avi_row_scores scores = {.elbo = room,
                                   .elbo_error = room + most,
                                   .log_likelihood = room + 2 * most,
                                   .kl = room + 3 * most,
                                   .log_p = room + 4 * most,
                                   .log_p_error = room + 5 * most,
                                   .khat = room + 6 * most,
                                   .ess = room + 7 * most};
    avi_status status = AVI_OK;
    for (int64_t at = 0; at < all && status == AVI_OK; at += most) {
        const int64_t n = all - at < most ? all - at : most;
        for (int64_t i = 0; i < SCORES * most; i++) room[i] = NAN; /* what coupled rows do not have */
        status = avi_row_use_read(&f->use, at, n);
        if (status == AVI_OK) status = avi_row_use_scores(&f->use, &scores);
        if (status == AVI_OK) copy_scores(values, room, most, at, n);
    }
    free(room);
    return status;
}

/* ---- decode ---- */

avi_status avi_run_decode(avi_run *run, int64_t rows, const double *z, double *x)
{
    avi_error_clear();
    if (!run->fit) return avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
    avi_run_fit *f = run->fit;
    const avi_fixed_theta *theta = &f->use.fixed;
    const int64_t width = f->session->shape.width, latent = f->session->model->latent;
    for (int64_t at = 0; at < rows; at += f->most) {
        const int64_t n = rows - at < f->most ? rows - at : f->most;
        AVI_TRY(avi_estimator_decode(f->use.weigh, f->use.local ? theta->params_own : theta->params_function, n,
                                     z + at * latent, x + at * width));
        avi_data_as_given(f->session->train, n, x + at * width);
    }
    return AVI_OK;
}
