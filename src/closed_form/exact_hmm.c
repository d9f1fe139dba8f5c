/* The Gaussian hidden Markov model (Margossian & Blei 2024, section 3.3). Its posterior precision is block tridiagonal:
 * of one dimension through pdpttrf, distributed; of L dimensions by block Cholesky on every rank, N L^2 values of
 * memory each. */
#include "closed_form/optimum.h"
#include "avi/linalg.h"
#include "model/hmm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

static avi_status check(const avi_session *s)
{
    (void)s;
    return AVI_OK;
}

static void destroy(avi_optimum *a)
{
    avi_hmm *h = a->self;
    if (!h) return;
    avi_hmm_free(h);
    free(h);
}

static avi_status read_model(avi_optimum *a)
{
    const avi_config *config = a->s->config;
    avi_hmm *h = a->self = calloc(1, sizeof *h);
    if (!h) return avi_fail_memory(sizeof *h, "exact answers");
    return avi_hmm_read(config, a->latent, a->s->shape.width, h);
}

/* ---- precision and right-hand side ---- */

/* to (l, l) += m' diag(exp(-2 log_sd)) m with m (n, l). */
static void add_square(int64_t n, int64_t l, const double *m, const double *log_sd, double *to)
{
    for (int64_t k = 0; k < n; k++)
        for (int64_t i = 0; i < l; i++)
            for (int64_t j = 0; j < l; j++) to[i * l + j] += m[k * l + i] * m[k * l + j] * exp(-2 * log_sd[k]);
}

/* Diagonal block of datapoint n of N: its emission, its own transition, and the one to the next. */
static void diagonal_block(const avi_hmm *h, int64_t n, int64_t rows, double *block)
{
    const int64_t l = h->latent;
    memset(block, 0, (size_t)(l * l) * sizeof *block);
    add_square(h->width, l, h->c, h->log_sd_r, block);
    for (int64_t i = 0; i < l; i++) block[i * l + i] += exp(-2 * (n == 0 ? log(h->initial_sd) : h->log_sd_q[i]));
    if (n < rows - 1) add_square(l, l, h->a, h->log_sd_q, block);
}

/* C' R^{-1} x of one row. */
static void right_side(const avi_hmm *h, const double *x, double *b)
{
    for (int64_t i = 0; i < h->latent; i++) b[i] = 0;
    for (int64_t k = 0; k < h->width; k++)
        for (int64_t i = 0; i < h->latent; i++) b[i] += h->c[k * h->latent + i] * exp(-2 * h->log_sd_r[k]) * x[k];
}

static void fill(avi_optimum *a)
{
    const avi_hmm *h = a->self;
    const int64_t l = h->latent, rows = a->s->partition.rows;
    for (int64_t n = 0; n < a->rows; n++) {
        double *block = a->precision + n * l * l;
        const int64_t given = a->first + n;
        if (n == 0 || given < 2 || given == rows - 1)
            diagonal_block(h, given, rows, block);
        else /* all between the ends are alike */
            memcpy(block, block - l * l, (size_t)(l * l) * sizeof *block);
        right_side(h, a->x + n * h->width, a->mean + (1 + n) * l);
    }
}

/* ---- solutions: a->mean holds the right-hand side, and then the mean ---- */

static avi_status solve_scalar(avi_optimum *a, double *log_det)
{
    const avi_hmm *h = a->self;
    avi_linalg_tridiagonal *tri = NULL;
    const size_t bytes = (size_t)(a->rows + 1) * sizeof(double);
    double *off = malloc(bytes);
    AVI_TRY(avi_agree_memory(a->s->comm, off, bytes, "the posterior precision"));
    for (int64_t n = 0; n < a->rows; n++) off[n] = -h->a[0] * exp(-2 * h->log_sd_q[0]);
    avi_status status = avi_linalg_tridiagonal_create(a->s->comm, a->s->partition.rows, a->precision, off, &tri);
    free(off);
    AVI_TRY(status);
    *log_det = avi_linalg_tridiagonal_log_det(tri);
    status = avi_linalg_tridiagonal_solve(tri, 1, a->mean + 1);
    avi_linalg_tridiagonal_destroy(&tri);
    return status;
}

/* whole: (N, L, L) blocks, (N - 1, L, L) blocks below them, (N, L) right-hand side. */
static avi_status solve_whole(avi_optimum *a, double *whole, double *log_det)
{
    const avi_hmm *h = a->self;
    const int64_t l = h->latent, ll = l * l, rows = a->s->partition.rows;
    double *off = whole + rows * ll, *b = off + rows * ll;
    avi_linalg_blocks *blocks = NULL;
    memcpy(b + a->first * l, a->mean + l, (size_t)(a->rows * l) * sizeof *b);
    AVI_TRY(avi_comm_sum_double(a->s->comm, b, (size_t)(rows * l)));
    for (int64_t n = 0; n < rows; n++) {
        diagonal_block(h, n, rows, whole + n * ll);
        for (int64_t i = 0; i < ll; i++) off[n * ll + i] = -exp(-2 * h->log_sd_q[i / l]) * h->a[i];
    }
    AVI_TRY(avi_linalg_blocks_create(rows, l, whole, off, &blocks));
    *log_det = avi_linalg_blocks_log_det(blocks);
    avi_linalg_blocks_solve(blocks, b);
    memcpy(a->mean + l, b + a->first * l, (size_t)(a->rows * l) * sizeof *b);
    avi_linalg_blocks_destroy(&blocks);
    return AVI_OK;
}

static avi_status solve_blocks(avi_optimum *a, double *log_det)
{
    const int64_t values = a->s->partition.rows * a->latent * (2 * a->latent + 1);
    double *whole = calloc((size_t)values, sizeof *whole);
    AVI_TRY(avi_agree_memory(a->s->comm, whole, (size_t)values * sizeof *whole, "the posterior precision"));
    avi_status status = solve_whole(a, whole, log_det);
    free(whole);
    return status;
}

/* ---- residuals: one for each value of x_n and of z_n ---- */

/* out (n, cols) = exp(-log_sd) (sign * matrix z), matrix (n, l), z (l, cols); added. */
static void add_scaled(int64_t n, int64_t l, const double *matrix, const double *log_sd, double sign, int64_t cols,
                       const double *z, double *out)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < l; j++) {
            const double f = sign * exp(-log_sd[i]) * matrix[i * l + j];
            for (int64_t c = 0; f != 0 && c < cols; c++) out[i * cols + c] += f * z[j * cols + c];
        }
}

static avi_status residuals(const avi_optimum *a, int64_t first, int64_t count, int64_t cols, const double *z,
                            const double *theta, double *out)
{
    (void)theta;
    const avi_hmm *h = a->self;
    const int64_t l = h->latent, d = h->width;
    memset(out, 0, (size_t)(count * a->residuals * cols) * sizeof *out);
    for (int64_t n = 0; n < count; n++) {
        const double *here = z + (1 + n) * l * cols, *before = here - l * cols;
        double *o = out + n * (d + l) * cols, *t = o + d * cols;
        const bool start = a->first + first + n == 0;
        add_scaled(d, l, h->c, h->log_sd_r, 1, cols, here, o);
        for (int64_t i = 0; i < l; i++)
            for (int64_t c = 0; c < cols; c++)
                t[i * cols + c] = here[i * cols + c] * exp(-(start ? log(h->initial_sd) : h->log_sd_q[i]));
        if (!start) add_scaled(l, l, h->a, h->log_sd_q, -1, cols, before, t);
    }
    return AVI_OK;
}

typedef struct squares {
    const avi_optimum *a;
    double sum;
} squares;

static void fill_means(void *self, int64_t first, int64_t count, double *z)
{
    const avi_optimum *a = ((squares *)self)->a;
    memcpy(z, a->mean + (1 + first) * a->latent, (size_t)(count * a->latent) * sizeof *z);
}

static avi_status add_squares(void *self, int64_t first, int64_t count, int64_t rows, const double *out)
{
    squares *sq = self;
    const avi_hmm *h = sq->a->self;
    const int64_t l = h->latent, d = h->width;
    (void)count;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t n = first + i / (d + l), k = i % (d + l);
        const double e = k < d ? out[i] - sq->a->x[n * d + k] * exp(-h->log_sd_r[k]) : out[i];
        sq->sum += e * e;
    }
    return AVI_OK;
}

/* log p(x, z) at the means: the residuals of z, with the data where they enter. */
static avi_status log_joint(avi_optimum *a)
{
    const avi_hmm *h = a->self;
    const int64_t l = h->latent, d = h->width;
    const double rows = (double)a->s->partition.rows;
    double logs = 0;
    squares sq = {.a = a};
    const avi_optimum_blocks blocks = {.cols = 1, .self = &sq, .fill = fill_means, .take = add_squares};
    AVI_TRY(avi_optimum_before(a, l, a->mean));
    AVI_TRY(avi_optimum_residuals(a, &blocks));
    AVI_TRY(avi_comm_sum_double(a->s->comm, &sq.sum, 1));
    for (int64_t i = 0; i < l; i++) logs += log(h->initial_sd) + (rows - 1) * h->log_sd_q[i];
    for (int64_t i = 0; i < d; i++) logs += rows * h->log_sd_r[i];
    a->log_joint = -0.5 * sq.sum - logs - 0.5 * rows * (double)(l + d) * LOG_2PI;
    return AVI_OK;
}

static avi_status solve(avi_optimum *a)
{
    avi_status status = read_model(a);
    double log_det = 0;
    if (status == AVI_OK) a->precision = avi_optimum_memory(a, a->rows * a->latent * a->latent, &status);
    AVI_TRY(avi_agree(a->s->comm, status));
    fill(a);
    a->residuals = a->latent + a->s->shape.width;
    AVI_TRY(avi_agree(a->s->comm, a->latent == 1 ? solve_scalar(a, &log_det) : solve_blocks(a, &log_det)));
    AVI_TRY(log_joint(a));
    a->log_evidence = a->log_joint + 0.5 * (double)(a->s->partition.rows * a->latent) * LOG_2PI - 0.5 * log_det;
    a->evidence = "all z integrated out, neighbours together";
    return AVI_OK;
}

/* One dimension: five arrays of the continued fractions, two of pdpttrf, the one below the diagonal, the right-hand
 * side on its way. More: three copies of all rows' blocks on every rank, and the factor. */
static int64_t bytes(const avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    const int64_t rows = s->partition.rows, l = s->model->latent;
    return l == 1 ? 8 * 12 * ((rows + ranks - 1) / ranks) : 8 * rows * (4 * l * l + l);
}

const avi_exact_ops avi_exact_hmm = {
    .name = "hmm",
    .doc = "Gaussian hidden Markov model",
    .check = check,
    .solve = solve,
    .bytes = bytes,
    .residuals = residuals,
    .destroy = destroy,
};
