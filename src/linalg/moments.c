#include "avi/linalg.h"

#include "linalg/scalapack.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

struct avi_linalg_moments {
    int d;
    int64_t count;
    double *mean;    /* (d) of the rows so far */
    double *scatter; /* (d, d) sum of (x - mean)(x - mean)', one triangle: the lower one in column-major order */
    double *piece;   /* (PIECE, d) a centred piece */
    double *shift;   /* (d) */
};

enum { PIECE = 256 };

avi_status avi_linalg_moments_create(int64_t d, avi_linalg_moments **moments)
{
    *moments = NULL;
    if (d < 1 || d > 1000000) return avi_fail(AVI_ERR_INTERNAL, "a covariance of %lld columns", (long long)d);
    const size_t n = (size_t)d;
    avi_linalg_moments *m = calloc(1, sizeof(*m));
    if (m) {
        m->d = (int)d;
        m->mean = calloc(n, sizeof(double));
        m->scatter = calloc(n * n, sizeof(double));
        m->piece = malloc(n * PIECE * sizeof(double));
        m->shift = malloc(n * sizeof(double));
    }
    if (!m || !m->mean || !m->scatter || !m->piece || !m->shift) {
        avi_linalg_moments_destroy(&m);
        return avi_fail_memory((n * n + n * (PIECE + 2)) * sizeof(double), "a covariance");
    }
    *moments = m;
    return AVI_OK;
}

void avi_linalg_moments_destroy(avi_linalg_moments **moments)
{
    avi_linalg_moments *m = *moments;
    if (!m) return;
    free(m->mean);
    free(m->scatter);
    free(m->piece);
    free(m->shift);
    free(m);
    *moments = NULL;
}

/* scatter += weight * rows' rows, for rows (count, d) row-major, which is (d, count) column-major. */
static void add_products(double *scatter, int d, int count, double weight, const double *rows)
{
    const double one = 1;
    dsyrk_("L", "N", &d, &count, &weight, rows, &d, &one, scatter, &d);
}

static void add_piece(avi_linalg_moments *m, int rows, const double *x)
{
    const int d = m->d;
    for (int j = 0; j < d; j++) m->shift[j] = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < d; j++) m->shift[j] += x[(size_t)i * (size_t)d + (size_t)j];
    for (int j = 0; j < d; j++) m->shift[j] /= rows;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < d; j++)
            m->piece[(size_t)i * (size_t)d + (size_t)j] = x[(size_t)i * (size_t)d + (size_t)j] - m->shift[j];
    add_products(m->scatter, d, rows, 1, m->piece);
    const double before = (double)m->count, after = before + rows;
    for (int j = 0; j < d; j++) m->shift[j] -= m->mean[j];
    if (m->count > 0) add_products(m->scatter, d, 1, before * rows / after, m->shift);
    for (int j = 0; j < d; j++) m->mean[j] += m->shift[j] * rows / after;
    m->count += rows;
}

avi_status avi_linalg_moments_add(avi_linalg_moments *moments, int64_t rows, const double *x)
{
    for (int64_t i = 0; i < rows; i += PIECE)
        add_piece(moments, (int)(rows - i < PIECE ? rows - i : PIECE), x + i * moments->d);
    return AVI_OK;
}

avi_status avi_linalg_moments_allreduce(const avi_linalg_moments *moments, avi_comm *comm, int64_t *count, double *mean,
                                        double *covariance)
{
    const size_t d = (size_t)moments->d;
    double total = (double)moments->count;
    AVI_TRY(avi_comm_sum_double(comm, &total, 1));
    if (!(total > 0)) return avi_fail(AVI_ERR_DATA, "mean and covariance of no rows at all");
    const double weight = (double)moments->count / total;
    for (size_t j = 0; j < d; j++) mean[j] = weight * moments->mean[j];
    AVI_TRY(avi_comm_sum_double(comm, mean, d));
    double *shift = malloc(d * sizeof(double));
    AVI_TRY(avi_agree_memory(comm, shift, d * sizeof(double), "a covariance"));
    for (size_t j = 0; j < d; j++) shift[j] = moments->mean[j] - mean[j];
    for (size_t i = 0; i < d * d; i++) covariance[i] = moments->scatter[i];
    if (moments->count > 0) add_products(covariance, moments->d, 1, (double)moments->count, shift);
    free(shift);
    AVI_TRY(avi_comm_sum_double(comm, covariance, d * d));
    bool finite = true;
    for (size_t c = 0; c < d; c++) {
        for (size_t r = c; r < d; r++) {
            const double v = covariance[c * d + r] / total;
            finite = finite && isfinite(v);
            covariance[c * d + r] = covariance[r * d + c] = v;
        }
    }
    if (count) *count = (int64_t)total;
    return finite ? AVI_OK
                  : avi_fail(AVI_ERR_DATA,
                             "a covariance is not finite: a row holds NaN, Inf or values whose squares overflow");
}

avi_status avi_linalg_covariance(avi_comm *comm, int64_t rows, int64_t d, const double *x, double *mean,
                                 double *covariance)
{
    avi_linalg_moments *m;
    avi_status status = avi_linalg_moments_create(d, &m);
    if (status == AVI_OK) status = avi_linalg_moments_add(m, rows, x);
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_linalg_moments_allreduce(m, comm, NULL, mean, covariance);
    avi_linalg_moments_destroy(&m);
    return status;
}
