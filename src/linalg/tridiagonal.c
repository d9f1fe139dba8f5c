/* The continued fractions of a tridiagonal matrix with diagonal d and off-diagonal e.
 *
 * Pivots from the start: delta_i = d_i - g_{i-1} with g_i = e_i^2 / delta_i, g_{-1} = 0; from the end: 1/r_i = d_i -
 * e_i^2 r_{i+1}, r_n = 0. Then log det = sum log delta_i, the inverse has diagonal 1 / (d_i - g_{i-1} - e_i^2 r_{i+1})
 * and (i, i+1) entries -e_i r_{i+1} times that (Meurant 1992, SIAM J. Matrix Anal. Appl. 13). Both recursions are
 * fractions p/q under a 2x2 matrix of row i alone: g: [[0, e^2], [-1, d]]      r: [[0, 1], [-e^2, d]] so a rank
 * multiplies the matrices of its slab, all ranks gather the products, and each starts from the right value. */
#include "avi/linalg.h"

#include "avi/partition.h"
#include "linalg/tridiagonal.h"

#include <math.h>
#include <stdlib.h>

struct avi_linalg_tridiagonal {
    avi_comm *comm;                /* borrowed */
    int64_t n, first, rows;        /* own rows [first, first + rows) */
    double *diagonal, *off;        /* (rows), off of the last row of all = 0 */
    double *pivot;                 /* (rows) delta */
    double *inverse, *inverse_off; /* (rows) */
    double log_det;
    avi_pttrf *factor;
};

/* What a rank tells the others. The fraction does not change when a product is scaled. */
typedef struct transfer {
    double forward[4], backward[4]; /* row-major 2x2 */
} transfer;

static void unit(double m[4])
{
    m[0] = m[3] = 1;
    m[1] = m[2] = 0;
}

/* m = [[a, b], [c, d]] m, scaled to largest entry 1. */
static void multiply_left(double m[4], double a, double b, double c, double d)
{
    const double r[4] = {a * m[0] + b * m[2], a * m[1] + b * m[3], c * m[0] + d * m[2], c * m[1] + d * m[3]};
    double largest = 0;
    for (int i = 0; i < 4; i++) largest = fmax(largest, fabs(r[i]));
    for (int i = 0; i < 4; i++) m[i] = largest > 0 ? r[i] / largest : r[i];
}

/* The fraction that leaves a slab when `value` enters it. */
static double pass(const double m[4], double value) { return (m[0] * value + m[1]) / (m[2] * value + m[3]); }

static transfer own_transfer(const avi_linalg_tridiagonal *t)
{
    transfer own;
    unit(own.forward);
    unit(own.backward);
    for (int64_t i = 0; i < t->rows; i++) multiply_left(own.forward, 0, t->off[i] * t->off[i], -1, t->diagonal[i]);
    for (int64_t i = t->rows - 1; i >= 0; i--)
        multiply_left(own.backward, 0, 1, -t->off[i] * t->off[i], t->diagonal[i]);
    return own;
}

/* Fills pivot, inverse, inverse_off and this rank's part of log det; *bad: first row (global) with a pivot that is not
 * positive, else n. */
static void run_fractions(avi_linalg_tridiagonal *t, double g, double r, int64_t *bad)
{
    *bad = t->n;
    for (int64_t i = 0; i < t->rows; i++) {
        const double delta = t->diagonal[i] - g;
        if (!(delta > 0) && *bad == t->n) *bad = t->first + i;
        t->pivot[i] = delta;
        g = t->off[i] * t->off[i] / delta;
    }
    if (*bad < t->n) return;
    for (int64_t i = t->rows - 1; i >= 0; i--) {
        t->log_det += log(t->pivot[i]);
        const double from_end = t->off[i] * t->off[i] * r;
        t->inverse[i] = 1 / (t->pivot[i] - from_end);
        t->inverse_off[i] = -t->off[i] * r * t->inverse[i];
        r = 1 / (t->diagonal[i] - from_end);
    }
}

static avi_status fractions(avi_linalg_tridiagonal *t)
{
    const int ranks = avi_comm_size(t->comm), rank = avi_comm_rank(t->comm);
    const transfer own = own_transfer(t);
    transfer *all = malloc((size_t)ranks * sizeof(*all));
    AVI_TRY(avi_agree_memory(t->comm, all, (size_t)ranks * sizeof(*all), "a tridiagonal matrix"));
    avi_status status = avi_comm_allgather(t->comm, &own, sizeof(own), all);
    if (status != AVI_OK) {
        free(all);
        return status;
    }
    double g = 0, r = 0;
    for (int before = 0; before < rank; before++) g = pass(all[before].forward, g);
    for (int after = ranks - 1; after > rank; after--) r = pass(all[after].backward, r);
    free(all);
    int64_t bad;
    run_fractions(t, g, r, &bad);
    int64_t first_bad = -bad; /* the first bad row of all ranks is right whatever comes after it */
    AVI_TRY(avi_comm_max_int64(t->comm, &first_bad, 1));
    if (-first_bad < t->n)
        return avi_fail(AVI_ERR_DATA,
                        "a tridiagonal matrix of %lld rows is not positive definite: the pivot of row %lld (of "
                        "0..%lld) is not positive",
                        (long long)t->n, (long long)-first_bad, (long long)t->n - 1);
    return avi_comm_sum_double(t->comm, &t->log_det, 1);
}

static avi_status allocate(avi_linalg_tridiagonal *t, const double *diagonal, const double *off)
{
    double **arrays[5] = {&t->diagonal, &t->off, &t->pivot, &t->inverse, &t->inverse_off};
    const size_t bytes = (size_t)(t->rows + 1) * sizeof(double);
    for (int a = 0; a < 5; a++)
        if (!(*arrays[a] = malloc(bytes))) return avi_fail_memory(bytes, "a tridiagonal matrix");
    for (int64_t i = 0; i < t->rows; i++) {
        t->diagonal[i] = diagonal[i];
        t->off[i] = t->first + i == t->n - 1 ? 0 : off[i];
        if (!isfinite(t->diagonal[i]) || !isfinite(t->off[i]))
            return avi_fail(AVI_ERR_DATA, "row %lld of a tridiagonal matrix is (%g, %g): entries must be finite",
                            (long long)(t->first + i), t->diagonal[i], t->off[i]);
    }
    return AVI_OK;
}

avi_status avi_linalg_tridiagonal_create(avi_comm *comm, int64_t n, const double *diagonal, const double *off,
                                         avi_linalg_tridiagonal **tri)
{
    *tri = NULL;
    if (n < 1) return avi_fail(AVI_ERR_INTERNAL, "a tridiagonal matrix needs at least one row, not %lld", (long long)n);
    avi_linalg_tridiagonal *t = calloc(1, sizeof(*t));
    AVI_TRY(avi_agree_memory(comm, t, sizeof(*t), "a tridiagonal matrix"));
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    t->comm = comm;
    t->n = n;
    t->first = avi_slab_first(n, ranks, rank);
    t->rows = avi_slab_first(n, ranks, rank + 1) - t->first;
    avi_status status = avi_agree(comm, allocate(t, diagonal, off));
    if (status == AVI_OK) status = fractions(t);
    if (status == AVI_OK) status = avi_pttrf_create(comm, n, t->diagonal, t->off, &t->factor);
    if (status != AVI_OK) avi_linalg_tridiagonal_destroy(&t);
    *tri = t;
    return status;
}

void avi_linalg_tridiagonal_destroy(avi_linalg_tridiagonal **tri)
{
    avi_linalg_tridiagonal *t = *tri;
    if (!t) return;
    avi_pttrf_destroy(&t->factor);
    free(t->diagonal);
    free(t->off);
    free(t->pivot);
    free(t->inverse);
    free(t->inverse_off);
    free(t);
    *tri = NULL;
}

double avi_linalg_tridiagonal_log_det(const avi_linalg_tridiagonal *tri) { return tri->log_det; }

const double *avi_linalg_tridiagonal_inverse_diagonal(const avi_linalg_tridiagonal *tri) { return tri->inverse; }

const double *avi_linalg_tridiagonal_inverse_off(const avi_linalg_tridiagonal *tri) { return tri->inverse_off; }

avi_status avi_linalg_tridiagonal_solve(avi_linalg_tridiagonal *tri, int64_t k, double *b)
{
    if (k < 1) return avi_fail(AVI_ERR_INTERNAL, "at least one right-hand side is needed, not %lld", (long long)k);
    return avi_pttrf_solve(tri->factor, k, b);
}

/* What the rows around a slab hold: edge is (2, k + 1): the last row of the nearest rank before this one that has rows,
 * with its off in column k, then the first row of the nearest one after it; zeros where there is none. */
static avi_status fetch_edges(const avi_linalg_tridiagonal *t, int64_t k, const double *b, double *edge)
{
    const int ranks = avi_comm_size(t->comm), rank = avi_comm_rank(t->comm);
    const size_t width = (size_t)k + 1, own_values = 2 * width;
    double *own = calloc(own_values * (size_t)(ranks + 1), sizeof(double));
    AVI_TRY(avi_agree_memory(t->comm, own, own_values * (size_t)(ranks + 1) * sizeof(double), "edge rows"));
    double *all = own + own_values;
    for (int64_t c = 0; c < k && t->rows > 0; c++) {
        own[c] = b[(t->rows - 1) * k + c];
        own[width + (size_t)c] = b[c];
    }
    if (t->rows > 0) own[k] = t->off[t->rows - 1];
    avi_status status = avi_comm_allgather(t->comm, own, own_values * sizeof(double), all);
    int before = rank - 1, after = rank + 1;
    while (before >= 0 && avi_slab_first(t->n, ranks, before) == avi_slab_first(t->n, ranks, before + 1)) before--;
    while (after < ranks && avi_slab_first(t->n, ranks, after) == avi_slab_first(t->n, ranks, after + 1)) after++;
    for (size_t c = 0; c < width; c++) {
        edge[c] = before >= 0 ? all[(size_t)before * own_values + c] : 0;
        edge[width + c] = after < ranks ? all[(size_t)after * own_values + width + c] : 0;
    }
    free(own);
    return status;
}

/* Row i of the result from rows i - 1, i, i + 1 of b; goes upward in place, keeping the row before as it was in `edge`.
 */
static void product_row(const avi_linalg_tridiagonal *t, int64_t i, int64_t k, double *row, double *before,
                        const double *after, double off_before)
{
    for (int64_t c = 0; c < k; c++) {
        const double here = row[c];
        row[c] = off_before * before[c] + t->diagonal[i] * here + t->off[i] * after[c];
        before[c] = here;
    }
}

static avi_status with_edges(avi_linalg_tridiagonal *t, int64_t k, double *b, bool whiten)
{
    if (k < 1) return avi_fail(AVI_ERR_INTERNAL, "at least one right-hand side is needed, not %lld", (long long)k);
    double *edge = malloc((size_t)(k + 1) * 2 * sizeof(double));
    avi_status status =
        avi_agree(t->comm, edge ? AVI_OK : avi_fail_memory((size_t)(k + 1) * 2 * sizeof(double), "edge rows"));
    if (status == AVI_OK) status = fetch_edges(t, k, b, edge);
    for (int64_t i = 0; i < t->rows && status == AVI_OK; i++) {
        double *row = b + i * k;
        const double *after = i + 1 < t->rows ? row + k : edge + k + 1;
        if (!whiten) {
            product_row(t, i, k, row, edge, after, i > 0 ? t->off[i - 1] : edge[k]);
            continue;
        }
        const double root = sqrt(t->pivot[i]), ratio = t->off[i] / t->pivot[i];
        for (int64_t c = 0; c < k; c++) row[c] = root * (row[c] + ratio * after[c]);
    }
    free(edge);
    return status;
}

avi_status avi_linalg_tridiagonal_multiply(avi_linalg_tridiagonal *tri, int64_t k, double *b)
{
    return with_edges(tri, k, b, false);
}

avi_status avi_linalg_tridiagonal_whiten(avi_linalg_tridiagonal *tri, int64_t k, double *b)
{
    return with_edges(tri, k, b, true);
}
