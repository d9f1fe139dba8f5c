/* Row values in double on a tape in single precision.
 *
 * A float row value is off by its rounding, which is harmless where it differs from row to row. But what all rows share
 * (normalizing constants, the sd of the noise, the sd of q where all rows have the same, the coordinates and weights of
 * a quadrature) is rounded alike in all of them, and over 1e7 rows half a unit in the last place is a nat. So the row
 * values that are summed are worked out anew, in double, from the matrices that the densities stand on: data, draws,
 * outputs of networks. Networks are not run again, and passes that nobody reads pay nothing. */
#include "tape/precise.h"
#include "tape/internal.h"

#include <math.h>
#include <string.h>

double *avi_tape_doubles(avi_tape *t, int64_t values) { return avi_tape_alloc(t, 2 * values); }

static int64_t draws_of(const avi_node *n, const avi_node *of) { return n->rows / of->rows; }

static bool works_out(const avi_node *n);

/* A density of one value, of standard deviation sd, whose mean is worked out in double too: a model with few terms (a
 * slope times z) has constants in its mean, which all rows share. */
static bool takes_doubles(const avi_node *density)
{
    return density->in[0]->cols == 1 && !density->in[2] && works_out(density->in[1]);
}

/* Whether a network, or another operation that takes floats, has z or what was made of it. All nodes are there when it
 * is asked, so that what was found out of one stays: a block has many tiles, and each asks. */
static bool taken_rounded(const avi_tape *t, avi_node *z)
{
    if (z->rounded) return z->rounded > 0;
    z->rounded = -1;
    for (avi_node *n = avi_tape_newest(t); n && n != z && z->rounded < 0; n = n->next_older)
        for (int i = 0; i < 4 && z->rounded < 0; i++)
            if (n->in[i] == z &&
                (!works_out(n) || (n->op == &avi_op_normal_lpdf && !takes_doubles(n)) || taken_rounded(t, n)))
                z->rounded = 1;
    return z->rounded > 0;
}

/* Draws from these factors whose roundings went on. Sticking the landing sees the same values through another node. */
static const avi_node *drawn_from(const avi_tape *t, const avi_node *nu)
{
    for (avi_node *n = avi_tape_newest(t); n; n = n->next_older)
        if (n->op == &avi_op_gaussian_draw && n->in[0]->value == nu->value && taken_rounded(t, n)) return n;
    return NULL;
}

double *avi_tape_precise_sd(avi_tape *t, avi_node *nu, bool *rounded)
{
    const int64_t dims = nu->cols / 2;
    const avi_node *draw = drawn_from(t, nu);
    *rounded = draw != NULL;
    if (nu->sd) return nu->sd;
    nu->sd = avi_tape_doubles(t, nu->rows * dims);
    if (draw)
        avi_vector_to_double(AVI_PRECISION_SINGLE, draw->aux, nu->rows * dims, nu->sd);
    else
        avi_precise_sd_f64(nu->rows, dims, nu->value, nu->sd);
    return nu->sd;
}

static double *log_sd_of(avi_tape *t, avi_node *nu, double **sd)
{
    bool rounded;
    double *out = avi_tape_doubles(t, nu->rows * nu->cols / 2);
    *sd = avi_tape_precise_sd(t, nu, &rounded);
    avi_precise_log_sd_f64(nu->rows, nu->cols / 2, nu->value, *sd, rounded, out);
    return out;
}

/* ---- one function for each operation ---- */

static void add(avi_tape *t, avi_node *n, double *out)
{
    const double *a = avi_tape_precise_values(t, n->in[0]), *b = avi_tape_precise_values(t, n->in[1]);
    for (int64_t k = 0; k < n->rows * n->cols; k++) out[k] = a[k] + b[k];
}

static void sub(avi_tape *t, avi_node *n, double *out)
{
    const double *a = avi_tape_precise_values(t, n->in[0]), *b = avi_tape_precise_values(t, n->in[1]);
    for (int64_t k = 0; k < n->rows * n->cols; k++) out[k] = a[k] - b[k];
}

static void mul(avi_tape *t, avi_node *n, double *out)
{
    const double *a = avi_tape_precise_values(t, n->in[0]), *b = avi_tape_precise_values(t, n->in[1]);
    for (int64_t k = 0; k < n->rows * n->cols; k++) out[k] = a[k] * b[k];
}

static void scale(avi_tape *t, avi_node *n, double *out)
{
    const double *a = avi_tape_precise_values(t, n->in[0]);
    for (int64_t k = 0; k < n->rows * n->cols; k++) out[k] = n->number[0] * a[k] + n->number[1];
}

/* The functions of models' parameters; others keep their float. */
static void map(avi_tape *t, avi_node *n, double *out)
{
    const double *a = avi_tape_precise_values(t, n->in[0]);
    const int64_t values = n->rows * n->cols;
    if (n->size[0] == AVI_EXP)
        for (int64_t k = 0; k < values; k++) out[k] = exp(a[k]);
    else if (n->size[0] == AVI_SQUARE)
        for (int64_t k = 0; k < values; k++) out[k] = a[k] * a[k];
    else
        avi_vector_to_double(AVI_PRECISION_SINGLE, n->value, values, out);
}

static void spread(avi_tape *t, avi_node *n, double *out)
{
    const avi_node *a = n->in[0];
    const double *from = avi_tape_precise_values(t, n->in[0]);
    const int64_t times = n->size[0], cols = n->cols;
    for (int64_t r = 0; r < n->rows; r++) {
        const double *row = from + (times > 1 ? r / times : r % a->rows) * a->cols;
        for (int64_t c = 0; c < cols; c++) out[r * cols + c] = row[a->cols == 1 ? 0 : c];
    }
}

static void slice_rows(avi_tape *t, avi_node *n, double *out)
{
    memcpy(out, avi_tape_precise_values(t, n->in[0]) + n->size[0] * n->cols, (size_t)(n->rows * n->cols) * sizeof *out);
}

static void concat_rows(avi_tape *t, avi_node *n, double *out)
{
    for (int i = 0; i < 2; i++) {
        const int64_t values = n->in[i]->rows * n->cols;
        memcpy(out, avi_tape_precise_values(t, n->in[i]), (size_t)values * sizeof *out);
        out += values;
    }
}

static void draw_mean(avi_tape *t, avi_node *n, double *out)
{
    avi_precise_draw_mean_f64(n->rows, n->size[0], avi_tape_precise_values(t, n->in[0]), n->data, out);
}

static void draw_logsumexp(avi_tape *t, avi_node *n, double *out)
{
    const int64_t draws = n->size[0];
    const double *a = avi_tape_precise_values(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++, a += draws) {
        double top = a[0], sum = 0;
        for (int64_t s = 1; s < draws; s++) top = a[s] > top ? a[s] : top;
        const double base = isinf(top) ? 0 : top;
        for (int64_t s = 0; s < draws; s++) sum += exp(a[s] - base);
        out[b] = base + log(sum);
    }
}

static void gaussian_draw(avi_tape *t, avi_node *n, double *out)
{
    bool rounded;
    avi_node *nu = n->in[0];
    const double *sd = avi_tape_precise_sd(t, nu, &rounded), *eps = avi_tape_precise_values(t, n->in[1]);
    avi_precise_draw_f64(nu->rows, draws_of(n, nu), n->cols, nu->value, sd, eps, out);
}

static void gaussian_entropy(avi_tape *t, avi_node *n, double *out)
{
    double *sd;
    avi_precise_entropy_f64(n->rows, n->in[0]->cols / 2, log_sd_of(t, n->in[0], &sd), out);
}

static void gaussian_kl_std(avi_tape *t, avi_node *n, double *out)
{
    double *sd, *log_sd = log_sd_of(t, n->in[0], &sd);
    avi_precise_kl_std_f64(n->rows, n->in[0]->cols / 2, n->in[0]->value, sd, log_sd, out);
}

static void gaussian_logq(avi_tape *t, avi_node *n, double *out)
{
    avi_node *nu = n->in[0];
    double *sd, *log_sd = log_sd_of(t, nu, &sd);
    avi_precise_logq_f64(nu->rows, draws_of(n, nu), nu->cols / 2, nu->value, sd, log_sd,
                         avi_tape_precise_values(t, n->in[1]), out);
}

static void std_normal_lpdf(avi_tape *t, avi_node *n, double *out)
{
    avi_precise_std_normal_f64(n->rows, n->in[0]->cols, avi_tape_precise_values(t, n->in[0]), out);
}

static void normal_lpdf(avi_tape *t, avi_node *n, double *out)
{
    const int64_t cols = n->in[0]->cols;
    const float *x = n->in[0]->value, *mean = n->in[1]->value;
    if (takes_doubles(n)) {
        const double none = 0, *y = avi_tape_precise_values(t, n->in[0]), *u = avi_tape_precise_values(t, n->in[1]);
        avi_precise_scalar_f64(n->rows, 1, y, u, &none, 1, n->number[0], out);
    } else if (n->in[2])
        avi_precise_normal_f64(n->rows, cols, x, mean, n->in[2]->value, avi_tape_doubles(t, cols), out);
    else
        avi_precise_normal_sd_f64(n->rows, cols, x, mean, n->number[0], out);
}

static const struct {
    const avi_op *op;
    void (*values)(avi_tape *t, avi_node *n, double *out);
    bool matrices; /* whatever the columns; else of one column only: networks are not run again */
} precise[] = {
    {&avi_op_add, add, false},
    {&avi_op_sub, sub, false},
    {&avi_op_mul, mul, false},
    {&avi_op_scale, scale, false},
    {&avi_op_map, map, false},
    {&avi_op_spread, spread, false},
    {&avi_op_slice_rows, slice_rows, true},
    {&avi_op_concat_rows, concat_rows, true},
    {&avi_op_draw_mean, draw_mean, false},
    {&avi_op_draw_logsumexp, draw_logsumexp, false},
    {&avi_op_gaussian_draw, gaussian_draw, true},
    {&avi_op_gaussian_entropy, gaussian_entropy, false},
    {&avi_op_gaussian_kl_std, gaussian_kl_std, false},
    {&avi_op_gaussian_logq, gaussian_logq, false},
    {&avi_op_std_normal_lpdf, std_normal_lpdf, false},
    {&avi_op_normal_lpdf, normal_lpdf, false},
};

static int entry_of(const avi_node *n)
{
    for (int i = 0; n->op && i < (int)(sizeof precise / sizeof *precise); i++)
        if (n->op == precise[i].op && (n->cols == 1 || precise[i].matrices)) return i;
    return -1;
}

static bool works_out(const avi_node *n) { return entry_of(n) >= 0 || (n->op && n->op->precise); }

double *avi_tape_precise_values(avi_tape *t, avi_node *n)
{
    if (n->precise) return n->precise;
    double *out = avi_tape_doubles(t, n->rows * n->cols);
    const int entry = entry_of(n);
    if (entry >= 0)
        precise[entry].values(t, n, out);
    else if (n->op && n->op->precise)
        n->op->precise(t, n, out);
    else
        avi_vector_to_double(AVI_PRECISION_SINGLE, n->value, n->rows * n->cols, out);
    n->precise = out;
    return out;
}

const double *avi_tape_row_values(avi_tape *t, avi_node *n, bool precisely)
{
    avi_tape_require(n->cols == 1, "row_values", "the node is not (R, 1)", n, NULL);
    if (avi_tape_precision(t) == AVI_PRECISION_DOUBLE) return n->value;
    if (precisely && !avi_tape_is_short(t)) return avi_tape_precise_values(t, n);
    double *out = avi_tape_doubles(t, n->rows);
    avi_vector_to_double(AVI_PRECISION_SINGLE, n->value, n->rows, out);
    return out;
}
