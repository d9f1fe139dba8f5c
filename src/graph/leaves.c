/* The leaves of a block: parameters, rows of data with what the inference function makes of them, draws. */
#include "graph/context.h"

#include <math.h>
#include <string.h>

/* ---- leaves ---- */

static const void *value_at(const avi_graph_context *c, const void *vector, int64_t i)
{
    return (const char *)vector + (size_t)i * avi_real_size(c->p->precision);
}

/* The means, for a function that sees them and for steps behind a function. In a step theirs is a gradient of their own
 * beside that of the draws; a point, and the model's own expectation, have them for theta. Steps to first order have no
 * gradient by them. */
static void make_seen(avi_graph_context *c, const avi_pass *pass)
{
    const avi_params *theta = &c->p->model->theta;
    const int64_t place = c->layout->theta_draws * c->layout->theta + c->layout->phi;
    const bool differentiated = pass->sink && avi_problem_sees_means(c->p);
    for (int k = 0; k < theta->count; k++) {
        const avi_block *b = &theta->block[k];
        if (c->p->theta_seen)
            c->theta_seen[k] = avi_constant(c->tape, b->rows, b->cols, value_at(c, c->p->theta_seen, b->offset));
        else if (!differentiated)
            c->theta_seen[k] = avi_constant(c->tape, b->rows, b->cols, value_at(c, pass->params, b->offset));
        else if (c->layout->seen)
            c->theta_seen[k] = avi_parameter_in_sink(c->tape, b->rows, b->cols, value_at(c, pass->params, b->offset),
                                                     place + b->offset);
        else
            c->theta_seen[k] = c->theta[k];
    }
}

/* The points of theta in double, where row values are worked out so: of a theta far from 0 a float has no digits for
 * what tells them apart (theta about 1e5 with an sd of 0.1). */
static void keep_points(avi_graph_context *c, const avi_pass *pass, int k)
{
    const avi_problem *p = c->p;
    const int draws = c->layout->theta_draws;
    const int64_t at = p->model->theta.block[k].offset;
    if (!pass->precise || p->precision != AVI_PRECISION_SINGLE || !p->rule || !avi_theta_rides(p) ||
        avi_theta_form_of(p) != AVI_THETA_FACTORS)
        return;
    const float *params = pass->params;
    double *points = avi_tape_alloc(c->tape, 2 * (int64_t)draws);
    const double mean = params[at], sd = exp((double)params[avi_parameter_layout_log_sd(p, c->layout) + at]);
    for (int s = 0; s < draws; s++) points[s] = mean + sd * p->rule->theta[s * p->rule->thetas + k];
    c->theta[k]->precise = points;
}

/* Gradients of theta are kept for each draw, at the draw's place in the sink; those of phi are summed over the draws. A
 * second set of leaves of theta has no gradient, for terms in which theta is held. */
void avi_graph_leaves(avi_graph_context *c, const avi_pass *pass, int s)
{
    const avi_params *theta = &c->p->model->theta, *phi = &c->p->infer->phi;
    const bool rides = avi_theta_rides(c->p);
    const int draws = c->layout->theta_draws;
    avi_tape_set_sink(c->tape, pass->sink);
    for (int k = 0; k < theta->count; k++) {
        const avi_block *b = &theta->block[k];
        const int64_t i = rides ? b->offset * draws : s * c->layout->theta + b->offset;
        const int64_t rows = rides ? draws : b->rows, cols = rides ? 1 : b->cols;
        const void *value = value_at(c, c->theta_draws, i);
        c->theta[k] = avi_parameter_in_sink(c->tape, rows, cols, value, i);
        keep_points(c, pass, k);
        c->theta_fixed[k] = avi_constant(c->tape, rows, cols, value);
    }
    if ((c->p->infer->theta == AVI_THETA_MEAN || c->refinement) && s == 0) make_seen(c, pass);
    for (int k = 0; k < phi->count && s == 0; k++) {
        const avi_block *b = &phi->block[k];
        const void *value = value_at(c, pass->params, avi_parameter_layout_phi(c->p, c->layout) + b->offset);
        c->phi[k] = avi_parameter_in_sink(c->tape, b->rows, b->cols, value, draws * c->layout->theta + b->offset);
    }
}

/* ---- rows and what the inference function makes of them ---- */

/* Rows of the data, what an inference function sees of them, and which of their values are there: to `out`. */
typedef void getter(const avi_graph_context *c, int64_t position, int64_t rows, void *out);

static void get_values(const avi_graph_context *c, int64_t position, int64_t rows, void *out)
{
    if (c->p->precision == AVI_PRECISION_SINGLE)
        avi_data_fetch_f32(c->data, position, rows, out);
    else
        avi_data_fetch_f64(c->data, position, rows, out);
}

static void get_features(const avi_graph_context *c, int64_t position, int64_t rows, void *out)
{
    if (!c->p->features)
        get_values(c, position, rows, out);
    else if (c->p->precision == AVI_PRECISION_SINGLE)
        avi_data_fetch_standard_f32(c->data, c->p->features, position, rows, out);
    else
        avi_data_fetch_standard_f64(c->data, c->p->features, position, rows, out);
}

static void get_mask(const avi_graph_context *c, int64_t position, int64_t rows, void *out)
{
    if (c->p->precision == AVI_PRECISION_SINGLE)
        avi_data_fetch_mask_f32(c->data, position, rows, out);
    else
        avi_data_fetch_mask_f64(c->data, position, rows, out);
}

/* The entries of ragged rows, which have no windows: (E, D). */
static avi_node *fetch_entries(avi_graph_context *c, const avi_block_rows *b, getter *get)
{
    int64_t all = 0;
    const double from = avi_seconds();
    for (int i = 0; i < b->runs; i++) all += avi_data_entries(c->data, b->first[i], b->rows[i]);
    avi_node *entries = avi_constant_new(c->tape, all, c->data->shape.width);
    for (int64_t i = 0, at = 0; i < b->runs; i++) {
        get(c, b->first[i], b->rows[i], avi_vector_at(c->p->precision, entries->value, at * c->data->shape.width));
        at += avi_data_entries(c->data, b->first[i], b->rows[i]);
    }
    c->phase[AVI_PHASE_INPUT] += avi_seconds() - from;
    return entries;
}

/* Where the entries of each row of the block begin. They lie in memory of the tape, so that a step asks for none. */
const int64_t *avi_graph_entries(avi_graph_context *c, const avi_block_rows *b)
{
    if (!c->data->entry) return NULL;
    int64_t *entry = avi_tape_alloc(c->tape, 2 * (b->total + 1)), at = 0; /* int64 in either precision */
    entry[0] = 0;
    for (int i = 0; i < b->runs; i++)
        for (int64_t r = 0; r < b->rows[i]; r++, at++)
            entry[at + 1] = entry[at] + avi_data_entries(c->data, b->first[i] + r, 1);
    return entry;
}

/* The values of rows n - before .. n + after for every row n of the block, earlier rows first: (B, inputs). They are
 * consecutive, so each row of the data is fetched once however wide a window is. */
static avi_node *fetch_windows(avi_graph_context *c, const avi_block_rows *b, int64_t before, int64_t after,
                               getter *get)
{
    const int64_t width = c->data->shape.width, window = before + after + 1;
    if (c->data->entry) return fetch_entries(c, b, get);
    const size_t row = (size_t)width * avi_real_size(c->p->precision), bytes = (size_t)window * row;
    const double from = avi_seconds();
    avi_node *all = avi_constant_new(c->tape, b->total, window * width);
    char *out = all->value;
    for (int64_t i = 0; i < b->runs; out += (size_t)b->rows[i++] * bytes) {
        const int64_t rows = b->rows[i] + window - 1;
        char *stretch = window > 1 ? avi_tape_alloc(c->tape, rows * width) : out;
        get(c, b->first[i] - before, rows, stretch);
        for (int64_t r = 0; window > 1 && r < b->rows[i]; r++)
            memcpy(out + (size_t)r * bytes, stretch + (size_t)r * row, bytes);
    }
    c->phase[AVI_PHASE_INPUT] += avi_seconds() - from;
    return all;
}

avi_node *avi_graph_fetch(avi_graph_context *c, const avi_block_rows *b, int64_t shift)
{
    return fetch_windows(c, b, -shift, shift, get_values);
}

avi_node *avi_graph_mask(avi_graph_context *c, const avi_block_rows *b, int64_t shift)
{
    return c->data->masked ? fetch_windows(c, b, -shift, shift, get_mask) : NULL;
}

avi_batch avi_graph_batch(avi_graph_context *c, const avi_block_rows *b)
{
    avi_batch batch = {.rows = b->total, .draws = 1, .entry = avi_graph_entries(c, b)};
    batch.x = avi_graph_fetch(c, b, 0);
    batch.mask = avi_graph_mask(c, b, 0);
    if (c->p->model->ops->lookahead) batch.x_next = avi_graph_fetch(c, b, 1);
    return batch;
}

/* What an inference function of rows of one width sees of ragged ones: the means of the columns over the entries of a
 * row, 0 where it has none, and log(1 + its entries): (B, D + 1). */
static avi_node *summarise(avi_graph_context *c, const avi_block_rows *b, avi_node *values, const int64_t *entry)
{
    avi_node *size = avi_constant_new(c->tape, b->total, 1);
    for (int64_t r = 0; r < b->total; r++)
        avi_vector_set(c->p->precision, size->value, r, log1p((double)(entry[r + 1] - entry[r])));
    return avi_concat(c->tape, avi_segment_mean(c->tape, values, b->total, entry), size);
}

/* What an inference function sees of its domain: (B, inputs). Where values may be missing, the values, 0 where there is
 * none, then which are there: (B, 2 inputs). Standardised values are fetched by themselves: the likelihood sees x as it
 * is. */
static avi_node *fetch_features(avi_graph_context *c, const avi_block_rows *b, avi_node *x, const int64_t *entry)
{
    if (entry) {
        avi_node *entries = c->p->features ? fetch_entries(c, b, get_features) : x;
        if (!c->p->infer->ops->entries) return summarise(c, b, entries, entry);
        avi_set_segments(entries, entry);
        return entries;
    }
    const avi_domain *d = &c->p->domain;
    const int64_t before = d->only_next ? -1 : d->before, after = d->only_next ? 1 : d->after;
    avi_node *values = before || after || c->p->features ? fetch_windows(c, b, before, after, get_features) : x;
    if (!c->data->masked) return values;
    avi_node *mask = fetch_windows(c, b, before, after, get_mask);
    return avi_concat(c->tape, avi_mul(c->tape, values, mask), mask);
}

/* What an inference function sees of theta, the same in every row: (B, theta). */
static avi_node *see_theta(avi_graph_context *c, int64_t rows)
{
    const avi_params *theta = &c->p->model->theta;
    avi_node *const *of = c->p->infer->theta == AVI_THETA_MEAN ? c->theta_seen : c->theta, *all = NULL;
    for (int k = 0; k < theta->count; k++) {
        avi_node *one = avi_reshape(c->tape, of[k], 1, theta->block[k].rows * theta->block[k].cols);
        all = all ? avi_concat(c->tape, all, one) : one;
    }
    return avi_repeat(c->tape, all, rows);
}

/* The first row of a chain has none before it that it could be tied to. */
static avi_node *without_tie(avi_graph_context *c, const avi_block_rows *b, avi_node *nu)
{
    const int64_t tied = c->p->family->tied;
    if (!tied || b->first[0] != 0) return nu;
    avi_node *mask = avi_constant_new(c->tape, nu->rows, nu->cols);
    for (int64_t i = 0; i < nu->rows * nu->cols; i++)
        avi_vector_set(c->p->precision, mask->value, i, i < nu->cols - tied || i >= nu->cols);
    return avi_mul(c->tape, nu, mask);
}

avi_node *avi_graph_nu(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_node *x,
                       const int64_t *entry)
{
    const avi_infer *f = c->p->infer;
    avi_node *features = f->ops->features ? fetch_features(c, b, x, entry) : NULL, *table = NULL;
    if (f->theta) features = avi_concat(c->tape, features, see_theta(c, b->total));
    if (f->ops->local) {
        int64_t *row = avi_tape_alloc(c->tape, 2 * b->runs);
        for (int i = 0; i < b->runs; i++)
            row[i] = b->first[i] - c->data->first + 1; /* row 0 of the table is a halo row */
        /* Its gradient goes to the rows of table_grad, which belong to this rank and are not reduced. */
        table = avi_gather(c->tape, f->outputs, pass->table, pass->table_grad, b->runs, row, b->rows);
    }
    return without_tie(c, b, f->ops->forward(f, c->tape, b->total, features, table, c->phi));
}

/* ---- draws ---- */

/* Quadrature in place of draws: the same points for each row, other coordinates for rows of odd number. */
static void fill_quadrature(const avi_graph_context *c, int64_t first, int64_t rows, void *out)
{
    const avi_quadrature *rule = c->p->rule;
    const int64_t n = (int64_t)rule->count * c->p->model->latent;
    for (int64_t r = 0; r < rows; r++)
        avi_vector_from_double(c->p->precision, rule->z[(first + r) & 1], n,
                               avi_vector_at(c->p->precision, out, r * n));
}

avi_node *avi_graph_eps(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, int first_draw, int draws)
{
    const int64_t dims = c->p->model->latent, width = draws * dims;
    const double from = avi_seconds();
    avi_node *eps = avi_constant_new(c->tape, b->total * draws, dims);
    for (int64_t i = 0, done = 0; i < b->runs; done += b->rows[i++]) {
        void *out = avi_vector_at(c->p->precision, eps->value, done * width);
        if (c->p->rule)
            fill_quadrature(c, b->first[i], b->rows[i], out);
        else if (c->p->precision == AVI_PRECISION_SINGLE)
            avi_normal_f32(pass->stream, (uint64_t)b->first[i], b->rows[i], first_draw * dims, width, out);
        else
            avi_normal_f64(pass->stream, (uint64_t)b->first[i], b->rows[i], first_draw * dims, width, out);
    }
    c->phase[AVI_PHASE_DRAWS] += avi_seconds() - from;
    return eps;
}

avi_node *avi_graph_eps_before(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, int first_draw,
                               int draws)
{
    if (!c->p->family->ops->draw_after) return NULL;
    const int64_t first = b->first[0] - 1; /* a chain has one run in a block */
    const avi_block_rows before = {1, &first, b->rows, b->total};
    return avi_graph_eps(c, pass, &before, first_draw, draws);
}

avi_node *avi_graph_nu_of_q(avi_graph_context *c, avi_node *nu)
{
    if (c->p->gradient == AVI_GRADIENT_PATHWISE) return nu;
    if (!c->held) return avi_detach(c->tape, nu);
    avi_node *fixed = avi_constant_new(c->tape, nu->rows, nu->cols);
    memcpy(fixed->value, nu->value, (size_t)(nu->rows * nu->cols) * avi_real_size(c->p->precision));
    avi_graph_hold(c, fixed);
    return fixed;
}

static avi_node *draw_z(avi_graph_context *c, avi_node *nu, avi_node *eps, avi_node *eps_before, avi_node **log_q)
{
    const avi_family *f = c->p->family;
    return eps_before ? f->ops->draw_after(f, c->tape, nu, c->phi + f->first, eps, eps_before, log_q)
                      : f->ops->draw(f, c->tape, nu, c->phi + f->first, eps, log_q);
}

avi_node *avi_graph_z(avi_graph_context *c, avi_node *nu, avi_node *nu_of_q, avi_node *eps, avi_node *eps_before,
                      avi_node **log_q)
{
    const avi_family *f = c->p->family;
    const bool elsewhere = log_q && nu_of_q != nu; /* log q has parameters of its own */
    avi_node *z = draw_z(c, nu, eps, eps_before, elsewhere ? NULL : log_q);
    c->dreg = NULL;
    if (elsewhere && c->p->gradient == AVI_GRADIENT_DREG)
        z = avi_graph_dreg(c->tape, z, (int)(eps->rows / nu->rows), &c->dreg);
    if (elsewhere) *log_q = f->ops->log_q(f, c->tape, nu_of_q, z);
    return z;
}
