/* Generalised least squares in the metric of a chain. */
#include "diagnose/regress.h"
#include "linalg/spd_alone.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Entry (a, b) of the symmetric block of a row, whose two halves come from differences of their own. */
static double own_at(const double *own, int64_t w, int64_t n, int64_t a, int64_t b)
{
    return 0.5 * (own[(n * w + a) * w + b] + own[(n * w + b) * w + a]);
}

/* out (M, W) = P v. */
static void multiply(int64_t rows, int64_t w, const double *own, const double *next, const double *v, double *out)
{
    memset(out, 0, (size_t)(rows * w) * sizeof *out);
    for (int64_t n = 0; n < rows; n++)
        for (int64_t a = 0; a < w; a++)
            for (int64_t b = 0; b < w; b++) {
                out[n * w + a] += own_at(own, w, n, a, b) * v[n * w + b];
                if (n + 1 == rows) continue;
                const double c = next[(n * w + a) * w + b];
                out[n * w + a] += c * v[(n + 1) * w + b];
                out[(n + 1) * w + b] += c * v[n * w + a];
            }
}

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

double avi_chain_cost(int64_t rows, int64_t w, const double *own, const double *next, const double *error)
{
    double sum = 0;
    for (int64_t n = 0; n < rows; n++)
        for (int64_t a = 0; a < w; a++)
            for (int64_t b = 0; b < w; b++) {
                sum += 0.5 * error[n * w + a] * own_at(own, w, n, a, b) * error[n * w + b];
                if (n + 1 < rows) sum += error[n * w + a] * next[(n * w + a) * w + b] * error[(n + 1) * w + b];
            }
    return sum;
}

/* Column (k, a) of the features of all outputs: monomial k in output a, 0 in the others. */
static void feature(const avi_regression *r, int64_t k, int64_t a, double *v)
{
    memset(v, 0, (size_t)(r->rows * r->outputs) * sizeof *v);
    for (int64_t n = 0; n < r->rows; n++) v[n * r->outputs + a] = k ? r->x[n * r->inputs + k - 1] : 1;
}

/* Normal equations: matrix (p, p) = B' P B, lower triangle, and right-hand side B' P y for the features B. */
static void normal_equations(const avi_regression *r, const double *own, const double *next, int64_t p, double *column,
                             double *product, double *matrix, double *right)
{
    const int64_t w = r->outputs, n = r->rows * w;
    for (int64_t i = 0; i < p; i++) {
        feature(r, i / w, i % w, column);
        multiply(r->rows, w, own, next, column, product);
        right[i] = dot(n, product, r->y);
        for (int64_t j = i; j < p; j++) {
            double sum = 0;
            for (int64_t m = 0; m < r->rows; m++)
                sum += product[m * w + j % w] * (j / w ? r->x[m * r->inputs + j / w - 1] : 1);
            matrix[i * p + j] = sum * (i == j ? 1 + 1e-12 : 1);
        }
        /* An input that never changes has no coefficient. */
        if (!(matrix[i * p + i] > 0)) matrix[i * p + i] = 1;
    }
}

avi_status avi_regress_chain(const avi_regression *r, const double *own, const double *next, double *fitted,
                             double *cost, int64_t *parameters)
{
    const int64_t w = r->outputs, n = r->rows * w, p = (1 + r->inputs) * w;
    *parameters = 1 + r->inputs;
    if (4 * (1 + r->inputs) > r->rows)
        return avi_fail(AVI_ERR_DATA, "%lld parameters for %lld rows", (long long)(1 + r->inputs), (long long)r->rows);
    double *memory = calloc((size_t)(2 * n + p * p + p), sizeof *memory);
    if (!memory) return avi_fail_memory((size_t)(2 * n + p * p + p) * sizeof *memory, "a regression of factors");
    double *column = memory, *product = column + n, *matrix = product + n, *coefficient = matrix + p * p;
    normal_equations(r, own, next, p, column, product, matrix, coefficient);
    avi_status status = AVI_OK;
    if (avi_spd_alone_factor((int)p, matrix))
        status = avi_fail(AVI_ERR_DATA, "the curvature of the factors is not positive definite");
    else
        avi_spd_alone_solve((int)p, matrix, 1, coefficient);
    for (int64_t i = 0; i < n && status == AVI_OK; i++) {
        const int64_t row = i / w, a = i % w;
        fitted[i] = coefficient[a];
        for (int64_t k = 0; k < r->inputs; k++) fitted[i] += coefficient[(k + 1) * w + a] * r->x[row * r->inputs + k];
        column[i] = fitted[i] - r->y[i];
    }
    *cost = avi_chain_cost(r->rows, w, own, next, column);
    free(memory);
    return status;
}
