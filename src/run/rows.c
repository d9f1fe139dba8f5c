/* Rows or groups in memory through a fit, a block at a time: factors, scores, decoding. */
#include "run/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a call brings: rows, or groups, whose entries stand in first_entry. */
typedef struct given_rows {
    int64_t rows;
    const int64_t *first_entry; /* NULL: rows of one width */
    const double *x;
} given_rows;

/* ---- taking rows ---- */

static avi_status check_kind(const avi_run_fit *f, const given_rows *g)
{
    if (f->session->shape.ragged && !g->first_entry)
        return avi_fail(AVI_ERR_CONFIG,
                        "%s: is a fit of groups of any number of entries; use avi_run_encode_groups and "
                        "avi_run_evaluate_groups",
                        f->fitted.path);
    if (!f->session->shape.ragged && g->first_entry)
        return avi_fail(AVI_ERR_CONFIG, "%s: is a fit of rows of one width; use avi_run_encode and avi_run_evaluate",
                        f->fitted.path);
    return AVI_OK;
}

static avi_status check_places(const given_rows *g)
{
    const int64_t *first = g->first_entry;
    if (!first) return AVI_OK;
    if (first[0] != 0)
        return avi_fail(AVI_ERR_DATA, "first_entry[0] is %lld; use 0: the first group begins with the first entry",
                        (long long)first[0]);
    for (int64_t r = 0; r < g->rows; r++)
        if (first[r + 1] < first[r])
            return avi_fail(AVI_ERR_DATA,
                            "first_entry[%lld] is %lld, which is less than the %lld before it; use first_entry[g + 1] "
                            "= first_entry[g] + entries of group g",
                            (long long)r + 1, (long long)first[r + 1], (long long)first[r]);
    return AVI_OK;
}

/* The rows of this call take the place of those of the last one. */
static avi_status take_rows(avi_run *run, const given_rows *g, bool scores)
{
    avi_error_clear();
    if (!run->fit) return avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
    avi_run_fit *f = run->fit;
    AVI_TRY(check_kind(f, g));
    AVI_TRY(check_places(g));
    AVI_TRY(avi_row_use_check(f->session, scores));
    f->source.self = (void *)(uintptr_t)g->x;
    f->source.shape.rows = f->session->shape.rows = g->rows;
    if (g->first_entry) f->source.first_entry = g->first_entry;
    return avi_row_block_restart(&f->use.block);
}

/* What the caller owns is not looked at after the call. */
static void leave_rows(avi_run_fit *f)
{
    f->source.self = NULL;
    f->source.shape.rows = f->session->shape.rows = 1 + f->session->model->ops->lookahead;
    if (f->source.first_entry) f->source.first_entry = avi_run_no_entries;
}

static int64_t factors_of(const avi_run *run, int64_t rows) { return rows - run->fit->session->model->ops->lookahead; }

/* Rows of the block that begins at `at`. Of groups it has whole tiles whose entries are within what a block of rows
 * has, or one tile. */
static int64_t block_of(const avi_run_fit *f, const given_rows *g, int64_t at, int64_t all)
{
    const int64_t most = all - at < f->most ? all - at : f->most,
                  entries = AVI_RUN_BLOCK_VALUES / f->source.shape.width;
    if (!g->first_entry) return most;
    int64_t n = most < AVI_RUN_TILE ? most : AVI_RUN_TILE;
    while (n < most) {
        const int64_t next = n + AVI_RUN_TILE < most ? n + AVI_RUN_TILE : most;
        if (g->first_entry[at + next] - g->first_entry[at] > entries) break;
        n = next;
    }
    return n;
}

/* ---- encode ---- */

static avi_status encode_blocks(avi_run *run, const given_rows *g, const avi_row_codes *codes, double *mean,
                                double *log_sd)
{
    avi_run_fit *f = run->fit;
    const int64_t all = factors_of(run, g->rows), latent = f->session->model->latent;
    for (int64_t at = 0, n; at < all; at += n) {
        n = block_of(f, g, at, all);
        const size_t bytes = (size_t)(n * latent) * sizeof *mean;
        AVI_TRY(avi_row_use_read(&f->use, at, n));
        avi_row_use_codes(&f->use, codes);
        if (mean) memcpy(mean + at * latent, codes->mean, bytes);
        if (log_sd) memcpy(log_sd + at * latent, codes->log_sd, bytes);
    }
    return AVI_OK;
}

static avi_status encode(avi_run *run, const given_rows *g, double *mean, double *log_sd)
{
    if (g->rows == 0) return AVI_OK;
    AVI_TRY(take_rows(run, g, false));
    avi_run_fit *f = run->fit;
    const int64_t values = f->most * f->session->model->latent;
    double *room = malloc((size_t)(2 * values) * sizeof *room);
    avi_status status = room ? AVI_OK : avi_fail_memory((size_t)(2 * values) * sizeof *room, "factors");
    const avi_row_codes codes = {.mean = room, .log_sd = room ? room + values : NULL};
    if (status == AVI_OK) status = encode_blocks(run, g, &codes, mean, log_sd);
    leave_rows(f);
    free(room);
    return status;
}

avi_status avi_run_encode(avi_run *run, int64_t rows, const double *x, double *mean, double *log_sd)
{
    return encode(run, &(given_rows){rows, NULL, x}, mean, log_sd);
}

avi_status avi_run_encode_groups(avi_run *run, int64_t groups, const int64_t *first_entry, const double *x,
                                 double *mean, double *log_sd)
{
    return encode(run, &(given_rows){groups, first_entry, x}, mean, log_sd);
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

static avi_status evaluate_blocks(avi_run *run, const given_rows *g, double *room, const avi_run_values *values)
{
    avi_run_fit *f = run->fit;
    const int64_t all = factors_of(run, g->rows), most = f->most;
    const avi_row_scores scores = {.elbo = room,
                                   .elbo_error = room + most,
                                   .log_likelihood = room + 2 * most,
                                   .kl = room + 3 * most,
                                   .log_p = room + 4 * most,
                                   .log_p_error = room + 5 * most,
                                   .khat = room + 6 * most,
                                   .ess = room + 7 * most};
    for (int64_t at = 0, n; at < all; at += n) {
        n = block_of(f, g, at, all);
        for (int64_t i = 0; i < SCORES * most; i++) room[i] = NAN; /* what coupled rows do not have */
        AVI_TRY(avi_row_use_read(&f->use, at, n));
        AVI_TRY(avi_row_use_scores(&f->use, &scores));
        copy_scores(values, room, most, at, n);
    }
    return AVI_OK;
}

static avi_status evaluate(avi_run *run, const given_rows *g, const avi_run_values *values)
{
    if (g->rows == 0) return AVI_OK;
    AVI_TRY(take_rows(run, g, true));
    const size_t bytes = (size_t)(SCORES * run->fit->most) * sizeof(double);
    double *room = malloc(bytes);
    avi_status status = room ? evaluate_blocks(run, g, room, values) : avi_fail_memory(bytes, "scores");
    leave_rows(run->fit);
    free(room);
    return status;
}

avi_status avi_run_evaluate(avi_run *run, int64_t rows, const double *x, const avi_run_values *values)
{
    return evaluate(run, &(given_rows){rows, NULL, x}, values);
}

avi_status avi_run_evaluate_groups(avi_run *run, int64_t groups, const int64_t *first_entry, const double *x,
                                   const avi_run_values *values)
{
    return evaluate(run, &(given_rows){groups, first_entry, x}, values);
}

/* ---- decode ---- */

avi_status avi_run_decode(avi_run *run, int64_t rows, const double *z, double *x)
{
    avi_error_clear();
    if (!run->fit) return avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
    avi_run_fit *f = run->fit;
    const avi_fixed_theta *theta = &f->use.fixed;
    if (f->session->shape.ragged)
        return avi_fail(AVI_ERR_DATA,
                        "%s: is a fit of groups, whose entries do not follow from z; use avi_run_evaluate_groups for "
                        "what the fit says of given groups",
                        f->fitted.path);
    const int64_t width = f->session->shape.width, latent = f->session->model->latent;
    for (int64_t at = 0; at < rows; at += f->most) {
        const int64_t n = rows - at < f->most ? rows - at : f->most;
        AVI_TRY(avi_estimator_decode(f->use.weigh, f->use.local ? theta->params_own : theta->params_function, n,
                                     z + at * latent, x + at * width));
        avi_data_as_given(f->session->train, n, x + at * width);
    }
    return AVI_OK;
}
