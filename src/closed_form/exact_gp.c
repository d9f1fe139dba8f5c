/* The latent Gaussian process: P = K^-1 + I / s^2, dense, through ScaLAPACK in O(N^3 / ranks) operations and two (N, N)
 * matrices over the ranks. Means come from the well-conditioned K + s^2 I: with alpha = (K + s^2 I)^-1 x, u* = x - s^2
 * alpha = K alpha, so that u*' K^-1 u* = u*' alpha. */
#include "closed_form/optimum.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

typedef struct gp {
    const avi_model *model;
    double *row;         /* (N, D): all rows in given order, on every rank */
    int64_t rows, width; /* N, D */
    double noise_sd;
    avi_linalg_spd *prior; /* K */
} gp;

static avi_status check(const avi_session *s)
{
    (void)s;
    return AVI_OK;
}

static void destroy(avi_optimum *a)
{
    gp *g = a->self;
    if (!g) return;
    avi_linalg_spd_destroy(&g->prior);
    free(g->row);
    free(g);
}

static double covariance(void *self, int64_t i, int64_t j)
{
    const gp *g = self;
    return g->model->ops->covariance(g->model, i, g->row + i * g->width, j, g->row + j * g->width);
}

static avi_status read_model(avi_optimum *a)
{
    const avi_session *s = a->s;
    gp *g = a->self = calloc(1, sizeof *g);
    if (!g) return avi_fail_memory(sizeof *g, "exact answers");
    *g = (gp){.model = s->model,
              .rows = s->partition.rows,
              .width = s->shape.width,
              .noise_sd = avi_config_get_real(s->config, "model", "noise_sd")};
    g->row = calloc((size_t)(g->rows * g->width), sizeof *g->row);
    return g->row ? AVI_OK : avi_fail_memory((size_t)(g->rows * g->width) * sizeof *g->row, "exact answers");
}

/* Means, log p(x) and log p(x, u*). Squares are summed over ranks. */
static avi_status solve_means(avi_optimum *a, double *log_det)
{
    const gp *g = a->self;
    const double noise = g->noise_sd * g->noise_sd;
    avi_linalg_spd *marginal = NULL;
    avi_status status = AVI_OK;
    double *alpha = avi_optimum_memory(a, a->rows, &status), squares[3] = {0};
    AVI_TRY(avi_agree(a->s->comm, status));
    AVI_TRY(avi_linalg_spd_create(a->s->comm, g->rows, covariance, a->self, noise, &marginal));
    *log_det = avi_linalg_spd_log_det(marginal);
    for (int64_t n = 0; n < a->rows; n++) alpha[n] = a->x[(n + 1) * g->width - 1];
    status = avi_linalg_spd_solve(marginal, 1, alpha);
    avi_linalg_spd_destroy(&marginal);
    AVI_TRY(status);
    for (int64_t n = 0; n < a->rows; n++) {
        const double x = a->x[(n + 1) * g->width - 1], mean = x - noise * alpha[n];
        a->mean[1 + n] = mean;
        squares[0] += x * alpha[n];
        squares[1] += mean * alpha[n];
        squares[2] += noise * alpha[n] * alpha[n];
    }
    AVI_TRY(avi_comm_sum_double(a->s->comm, squares, 3));
    a->log_evidence = -0.5 * (squares[0] + *log_det + (double)g->rows * LOG_2PI);
    a->log_joint = -0.5 * (squares[1] + squares[2]) - (double)g->rows * (LOG_2PI + log(g->noise_sd));
    return AVI_OK;
}

static avi_status solve(avi_optimum *a)
{
    avi_status status = read_model(a);
    double log_det;
    if (status == AVI_OK) a->precision = avi_optimum_memory(a, a->rows, &status);
    AVI_TRY(avi_agree(a->s->comm, status));
    gp *g = a->self;
    memcpy(g->row + a->first * g->width, a->x, (size_t)(a->rows * g->width) * sizeof *a->x);
    AVI_TRY(avi_comm_sum_double(a->s->comm, g->row, (size_t)(g->rows * g->width)));
    AVI_TRY(solve_means(a, &log_det));
    AVI_TRY(avi_linalg_spd_create(a->s->comm, g->rows, covariance, g, 0, &g->prior));
    a->log_joint -= 0.5 * avi_linalg_spd_log_det(g->prior);
    AVI_TRY(avi_linalg_spd_inverse_diagonal(g->prior, a->precision));
    for (int64_t n = 0; n < a->rows; n++) a->precision[n] += 1 / (g->noise_sd * g->noise_sd);
    a->residuals = 2;
    a->evidence = "all z integrated out, together";
    return AVI_OK;
}

/* J = L^-1 above I / s, with K = L L'. */
static avi_status residuals(const avi_optimum *a, int64_t first, int64_t count, int64_t cols, const double *z,
                            const double *theta, double *out)
{
    (void)first, (void)theta;
    const gp *g = a->self;
    const int64_t n = count * cols;
    memcpy(out, z + cols, (size_t)n * sizeof *out);
    for (int64_t i = 0; i < n; i++) out[n + i] = z[cols + i] / g->noise_sd;
    return avi_linalg_spd_whiten(g->prior, cols, out);
}

/* One factor at a time, over the ranks; all rows on every rank. */
static int64_t bytes(const avi_session *s)
{
    const int64_t n = s->partition.rows, ranks = avi_comm_size(s->comm);
    return 8 * (n * n / ranks + n * s->shape.width + 128 * n);
}

const avi_exact_ops avi_exact_gp = {
    .name = "gp",
    .doc = "latent Gaussian process",
    .check = check,
    .solve = solve,
    .bytes = bytes,
    .residuals = residuals,
    .whole = true,
    .destroy = destroy,
};
