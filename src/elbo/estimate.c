/* The ELBO of fixed parameters with its standard error: the estimator that elbo.h states.
 *
 * Groups of rows are cut by position, so that neither they nor the draws depend on ranks. All sums are wide fixed-point
 * sums: they are few, and with reproducible sums, where a piece is a part of one tile, they have the same bits on any
 * number of ranks. */
#include "avi/fixed_point.h"
#include "base/signals.h"
#include "elbo/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Steps of the stream AVI_DRAW_EVAL: z of the two halves of each pair, then theta of these for every group. */
enum { STREAM_Z = 4, STREAM_THETA = 64, MOST_PAIRS = 16 };
/* What is summed over ranks: counts, then wide sums. A sum of each quantity, group and half, and of each dimension. */
enum { COUNT_ROWS, COUNT_BAD, COUNT_BAD_SQUARES, COUNT_FAIL, COUNT_STOP, COUNTS };
enum { MOST_PIECES = 1 << 21 /* what a wide sum holds */ };
enum { ELBO, SQUARES, QUANTITIES, SUMS_OF_GROUPS = QUANTITIES * 2 * AVI_EVAL_GROUPS };

typedef struct work {
    avi_estimator *e;
    const avi_estimation *how;
    avi_pass pass;
    int64_t rows;      /* R */
    int64_t groups;    /* G */
    int64_t piece;     /* rows at once */
    int pairs;         /* of draws of theta for each group; 1 where a half has one, or as many as draws of z */
    int pair, half;    /* at work */
    bool kl;           /* sums of dimensions are wanted */
    double unit;       /* in which squares are summed */
    int64_t *word;     /* (words) */
    double *dimension; /* (L): sums over the rows of a piece */
} work;

static size_t words(const avi_estimator *e)
{
    return COUNTS + (SUMS_OF_GROUPS + (size_t)e->p.model->latent) * AVI_WIDE_LIMBS;
}

static int64_t *sum_at(const work *w, int64_t i) { return w->word + COUNTS + i * AVI_WIDE_LIMBS; }
static int64_t *group_sum(const work *w, int quantity, int64_t group, int half)
{
    return sum_at(w, (quantity * AVI_EVAL_GROUPS + group) * 2 + half);
}
static int64_t *dimension_sum(const work *w, int64_t d) { return sum_at(w, SUMS_OF_GROUPS + d); }

/* First row of group g; of g = G: R. The group of a row: the last one that starts at or before it. */
static int64_t group_first(const work *w, int64_t g)
{
    return g * (w->rows / w->groups) + (g < w->rows % w->groups ? g : w->rows % w->groups);
}

static int64_t group_of(const work *w, int64_t position)
{
    int64_t g = position / (w->rows / w->groups);
    if (g >= w->groups) g = w->groups - 1;
    while (group_first(w, g) > position) g--;
    return g;
}

bool avi_estimator_kl_dimensions(const avi_problem *p)
{
    return p->model->ops->coupling == AVI_INDEPENDENT && !p->model->ops->log_prior && p->family->ops->independent;
}

/* ---- what a row adds ---- */

/* Mean over the draws of the squared distance of row r and its reconstruction, in the units of the user's columns, over
 * the values that are there. */
static double squares_of_row(const avi_estimator *e, const avi_graph *g, int64_t r)
{
    const avi_precision p = e->p.precision;
    const int64_t cols = g->x->cols, draws = e->p.draws;
    double sum = 0;
    for (int64_t s = 0; s < draws; s++) {
        double one = 0;
        for (int64_t k = 0; k < cols; k++) {
            if (g->mask && !(avi_vector_get(p, g->mask->value, r * cols + k) > 0)) continue;
            const double d =
                avi_data_value_as_given(e->data, k, avi_vector_get(p, g->x->value, r * cols + k)) -
                avi_data_value_as_given(e->data, k, avi_vector_get(p, g->draw_x->value, (r * draws + s) * cols + k));
            one += d * d;
        }
        sum += one * (e->p.rule ? e->p.rule->weight[s] : 1 / (double)draws);
    }
    return sum;
}

static void add_dimensions(const work *w, const avi_graph *g, int64_t r)
{
    const avi_precision p = w->e->p.precision;
    const int64_t dims = w->e->p.model->latent, at = r * g->nu->cols;
    for (int64_t d = 0; d < dims; d++) {
        const double mean = avi_vector_get(p, g->nu->value, at + d),
                     log_sd = avi_vector_get(p, g->nu->value, at + dims + d);
        w->dimension[d] += 0.5 * (mean * mean + exp(2 * log_sd) - 1) - log_sd;
    }
}

/* Adds rows [r, end) of a piece, all of one group. A row that is not finite is counted and never left out in silence.
 */
static void add_rows(const work *w, const avi_graph *g, const double *elbo_of, int64_t r, int64_t end, int64_t group)
{
    double elbo = 0, squares = 0;
    for (; r < end; r++) {
        elbo += elbo_of[r];
        if (w->how->squares && g->draw_x) squares += squares_of_row(w->e, g, r);
        if (w->kl && w->half == 0 && w->pair == 0) add_dimensions(w, g, r);
    }
    w->word[COUNT_BAD] += avi_wide_add(group_sum(w, ELBO, group, w->half), elbo);
    w->word[COUNT_BAD_SQUARES] += avi_wide_add(group_sum(w, SQUARES, group, w->half), squares / w->unit);
}

/* ---- passes ---- */

static void add_piece(work *w, int64_t first, int64_t rows)
{
    avi_estimator *e = w->e;
    avi_graph g;
    avi_graph_build(&e->graph, &w->pass, 1, &first, &rows, &g);
    const avi_status status = avi_graph_status(&e->graph);
    if (status != AVI_OK) {
        e->failed = status;
        w->word[COUNT_FAIL]++;
        return;
    }
    const double *elbo_of = avi_tape_row_values(e->tape, g.elbo, true);
    for (int64_t r = 0, end; r < rows; r = end) {
        const int64_t group = group_of(w, first + r), next = group_first(w, group + 1) - first;
        end = next < rows ? next : rows;
        add_rows(w, &g, elbo_of, r, end, group);
    }
    if (w->half || w->pair) return;
    w->word[COUNT_ROWS] += rows;
    for (int64_t d = 0; w->kl && d < e->p.model->latent; d++) {
        avi_wide_add(dimension_sum(w, d), w->dimension[d]); /* a value that is not finite makes the row's ELBO so */
        w->dimension[d] = 0;
    }
}

/* Own rows among [first, end), piece by piece. Pieces begin where tiles do, whatever the rank: the products of a row
 * may depend on the rows beside it. */
static void add_range(work *w, int64_t first, int64_t end)
{
    const avi_data *data = w->e->data;
    const int64_t tile = data->partition.tile;
    if (first < data->first) first = data->first;
    if (end > data->first + data->count) end = data->first + data->count;
    while (first < end && avi_signals_status() == AVI_OK) {
        int64_t n = w->piece;
        if (w->e->p.reproducible && tile - first % tile < n) n = tile - first % tile;
        if (n > end - first) n = end - first;
        add_piece(w, first, n);
        first += n;
    }
}

static bool owns_any(const work *w, int64_t first, int64_t end)
{
    const avi_data *data = w->e->data;
    return first < data->first + data->count && end > data->first;
}

/* theta is drawn for each half of each group. */
static void add_groups(work *w)
{
    for (int64_t g = 0; g < w->groups; g++) {
        if (!owns_any(w, group_first(w, g), group_first(w, g + 1))) continue;
        const uint64_t step = (uint64_t)(STREAM_THETA + 2 * (g * MOST_PAIRS + w->pair) + w->half);
        avi_global_draw(w->e, w->pass.params, avi_stream_make(w->e->p.seed, AVI_DRAW_EVAL, step), false);
        add_range(w, group_first(w, g), group_first(w, g + 1));
    }
}

static void add_half(work *w, int pair, int half)
{
    avi_estimator *e = w->e;
    w->pair = pair;
    w->half = half;
    w->pass.stream = avi_stream_make(e->p.seed, AVI_DRAW_EVAL, (uint64_t)(STREAM_Z + 2 * pair + half));
    if (e->p.global_gaussian && !w->how->rule) {
        add_groups(w);
        return;
    }
    avi_global_draw(e, w->pass.params, avi_stream_make(e->p.seed, AVI_DRAW_EVAL, STREAM_THETA), false);
    add_range(w, 0, w->rows);
}

/* ---- the estimator's settings, for the time of an evaluation ---- */

typedef struct settings {
    avi_problem p;
    avi_parameter_layout layout;
    void *own_draws, *theta_eps;
} settings;

/* Draws of theta at once: one, but as many as draws of z where theta rides with them. */
static int theta_draws(const avi_estimator *e)
{
    if (e->p.moments_rule) return 2;
    return e->p.global_gaussian && (e->p.rule || avi_theta_rides(&e->p)) ? e->p.draws : 1;
}

/* Pairs of draws of theta for each group of rows: several where a row has several draws, since more draws of z alone
 * leave theta's part of the error. A theta that rides with the draws of z has as many as these. */
static int pairs_of_theta(const avi_estimator *e, const avi_estimation *how)
{
    if (!e->p.global_gaussian || how->rule || avi_theta_rides(&e->p)) return 1;
    return how->draws / 2 < MOST_PAIRS ? how->draws / 2 : MOST_PAIRS;
}

/* Errors: INTERNAL (memory); the settings are to be taken back all the same. */
static avi_status take_settings(avi_estimator *e, const avi_estimation *how, int pairs, settings *before)
{
    *before = (settings){e->p, e->layout, e->own_draws, e->theta_eps};
    /* A model's own expectation has means and log sds of theta for leaves, in place of draws. */
    const bool moments = how->rule && avi_quadrature_is_of_model(e->p.model, avi_theta_form_of(&e->p));
    e->p.moments_rule = moments ? how->rule : NULL;
    e->p.rule = moments ? NULL : how->rule;
    e->p.draws = moments ? 1 : how->rule ? how->rule->count : how->draws / 2 / pairs;
    e->p.gradient = AVI_GRADIENT_PATHWISE;
    e->p.family = e->exact_family;
    if (how->rule) e->p.kl_sampled = false;
    e->layout.theta_draws = theta_draws(e);
    if (!e->p.global_gaussian || e->layout.theta_draws <= before->layout.theta_draws) return AVI_OK;
    const size_t bytes = ((size_t)e->layout.theta_draws * (size_t)e->layout.theta + 16) * avi_real_size(e->p.precision);
    free(e->eval_draws);
    free(e->eval_eps);
    e->own_draws = e->eval_draws = calloc(1, bytes);
    e->theta_eps = e->eval_eps = calloc(1, bytes);
    return e->eval_draws && e->eval_eps ? AVI_OK : avi_fail_memory(2 * bytes, "draws of an evaluation");
}

static void give_back(avi_estimator *e, const settings *before)
{
    e->p = before->p;
    e->layout = before->layout;
    e->own_draws = before->own_draws;
    e->theta_eps = before->theta_eps;
}

/* ---- results ---- */

static double read_groups(const work *w, int quantity, double half[AVI_EVAL_GROUPS], double *error)
{
    double sum = 0, variance = 0;
    memset(half, 0, AVI_EVAL_GROUPS * sizeof *half);
    for (int64_t g = 0; g < w->groups; g++) {
        const double a = avi_wide_read(group_sum(w, quantity, g, 0)) / w->pairs,
                     b = avi_wide_read(group_sum(w, quantity, g, 1)) / w->pairs;
        half[g] = w->how->rule ? 0 : 0.5 * (a - b);
        sum += w->how->rule ? a : 0.5 * (a + b);
        variance += half[g] * half[g];
    }
    *error = sqrt(variance);
    return sum;
}

/* The unit in which squares are summed: fixed point has a range, and data may have any scale. A power of two from the
 * largest value of the data, which all ranks know. */
static double unit_of_squares(const avi_data *d)
{
    double smallest = 0, largest = 0;
    if (d->stats) avi_column_stats_range(d->stats, &smallest, &largest);
    double top = fmax(fabs(smallest), fabs(largest));
    if (d->log1p) top = expm1(top);
    return top > 0 && isfinite(top) && top < 1e150 && top > 1e-150 ? ldexp(1, 2 * ilogb(top)) : 1;
}

static void read_results(const work *w, avi_estimate *out, double *kl)
{
    double unused[AVI_EVAL_GROUPS];
    out->rows = (double)w->word[COUNT_ROWS];
    out->elbo = read_groups(w, ELBO, out->half, &out->error);
    out->squares = w->unit * read_groups(w, SQUARES, unused, &out->squares_error);
    out->squares_error *= w->unit;
    if (w->word[COUNT_BAD]) {
        out->elbo = out->error = NAN;
        for (int g = 0; g < AVI_EVAL_GROUPS; g++) out->half[g] = NAN;
    }
    if (w->word[COUNT_BAD_SQUARES]) out->squares = out->squares_error = NAN;
    for (int64_t d = 0; kl && d < w->e->p.model->latent; d++)
        kl[d] = w->kl && !w->word[COUNT_BAD] ? avi_wide_read(dimension_sum(w, d)) : NAN;
}

static avi_status reserve(work *w)
{
    const avi_estimator *e = w->e;
    const size_t dims = (size_t)e->p.model->latent;
    w->word = calloc(words(e), sizeof *w->word);
    w->dimension = calloc(dims + 1, sizeof *w->dimension);
    return w->word && w->dimension ? AVI_OK : avi_fail_memory(words(e) * sizeof *w->word, "an evaluation");
}

/* Collective. */
static avi_status pass_over(work *w, void *table)
{
    avi_estimator *e = w->e;
    AVI_TRY(avi_estimator_exchange_halo(e, table)); /* the steps have moved the neighbours' factors since they came */
    AVI_TRY(avi_dense_update(&e->graph, &w->pass));
    for (int i = 0; i < (w->how->rule ? 1 : 2 * w->pairs); i++) add_half(w, i / 2, i % 2);
    w->word[COUNT_STOP] = avi_signals_status() != AVI_OK;
    AVI_TRY(avi_comm_sum_int64(e->comm, w->word, words(e)));
    if (w->word[COUNT_STOP]) return avi_agree(e->comm, avi_signals_status());
    if (w->word[COUNT_BAD])
        AVI_TRY(avi_agree(e->comm, avi_data_status(e->data))); /* a streamed row that could not be had? */
    return w->word[COUNT_FAIL] ? avi_agree(e->comm, e->failed) : AVI_OK;
}

avi_status avi_estimator_estimate(avi_estimator *e, const void *params, void *table, const avi_estimation *how,
                                  avi_estimate *out, double *kl)
{
    const int64_t all = e->data->partition.rows, rows = how->rows > 0 && how->rows < all ? how->rows : all;
    work w = {.e = e,
              .how = how,
              .pass = {.params = params, .table = table, .reconstruct = how->squares, .precise = true, .kl_weight = 1},
              .unit = unit_of_squares(e->data),
              .rows = rows,
              .groups = rows < AVI_EVAL_GROUPS ? rows : AVI_EVAL_GROUPS,
              .piece = avi_piece_rows(e, how->rule ? how->rule->count : how->draws / 2),
              .kl = kl && avi_estimator_kl_dimensions(&e->p) && rows / e->data->partition.tile < MOST_PIECES};
    settings before;
    w.pairs = pairs_of_theta(e, how);
    avi_status status = take_settings(e, how, w.pairs, &before);
    if (status == AVI_OK) status = reserve(&w);
    status = avi_agree(e->comm, status);
    if (status == AVI_OK) status = pass_over(&w, table);
    if (status == AVI_OK) read_results(&w, out, kl);
    give_back(e, &before);
    free(w.word);
    free(w.dimension);
    return status;
}
