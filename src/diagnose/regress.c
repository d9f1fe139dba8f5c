#include "diagnose/regress.h"
#include "linalg/spd_alone.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { CHOOSING_ROWS = 512, PAIRS = 4096 };

/* Weights of the kernel's parts: the constant and the linear part are hardly penalised. */
static const double CONSTANT = 100, LINEAR = 100;
static const double widths[] = {0, 10, 1, 0.1, 0.01, 0.001}; /* of squared distances, in medians; 0: no such part */
static const double penalties[] = {1e-7, 1e-5, 1e-3, 1e-2, 1e-1, 1, 10};

void avi_standardise(int64_t rows, int64_t inputs, double *x)
{
    for (int64_t j = 0; j < inputs; j++) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++) mean += x[i * inputs + j] / (double)rows;
        for (int64_t i = 0; i < rows; i++) squares += (x[i * inputs + j] - mean) * (x[i * inputs + j] - mean);
        const double sd = sqrt(squares / (double)rows);
        for (int64_t i = 0; i < rows; i++)
            x[i * inputs + j] = sd > 1e-12 * (1 + fabs(mean)) ? (x[i * inputs + j] - mean) / sd : 0;
    }
}

/* Lower triangle, column-major: row i >= column j. */
static double entry(const double *a, int64_t n, int64_t i, int64_t j) { return i >= j ? a[j * n + i] : a[i * n + j]; }

static double distance2(const double *gram, int64_t n, int64_t i, int64_t j)
{
    return fmax(gram[i * n + i] + gram[j * n + j] - 2 * entry(gram, n, i, j), 0);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median of squared distances of some pairs of rows that differ. */
static double median_distance2(const double *gram, int64_t n)
{
    double d[PAIRS];
    int64_t count = 0;
    for (int64_t k = 0; n > 1 && k < PAIRS; k++) {
        const int64_t i = k * 7919 % n, j = (i + 1 + k * 104729 % (n - 1)) % n;
        const double one = distance2(gram, n, i, j);
        if (i != j && one > 0) d[count++] = one;
    }
    if (!count) return 1;
    qsort(d, (size_t)count, sizeof *d, ascending);
    return d[count / 2] > 0 ? d[count / 2] : 1;
}

typedef struct kernel {
    double width, penalty;
} kernel;

/* A regression at work: outputs centred and scaled. */
typedef struct work {
    int64_t n, w;
    double *gram, *matrix; /* (n, n) */
    double *y, *alpha;     /* (n, w) */
    double *noise;         /* (n): relative penalty of a row */
    double *inverse;       /* (n): diagonal of the inverse of the matrix */
    double *mean, *scale;  /* (w): of the outputs */
} work;

static void release(work *k)
{
    free(k->gram);
    free(k->matrix);
    free(k->y);
    free(k->alpha);
    free(k->noise);
    free(k->inverse);
    free(k->mean);
    free(k->scale);
}

/* Mean of each output by the metric and its sd; the relative penalty of a row is one over its mean metric. */
static void centre(const avi_regression *r, work *k)
{
    for (int64_t j = 0; j < k->w; j++) {
        double weight = 0, sum = 0, squares = 0;
        for (int64_t i = 0; i < k->n; i++) {
            weight += r->metric[i * k->w + j];
            sum += r->metric[i * k->w + j] * r->y[i * k->w + j];
        }
        k->mean[j] = sum / weight;
        for (int64_t i = 0; i < k->n; i++) {
            const double d = r->y[i * k->w + j] - k->mean[j];
            squares += r->metric[i * k->w + j] * d * d;
        }
        const double sd = sqrt(squares / weight);
        k->scale[j] = sd > 1e-9 * (1 + fabs(k->mean[j])) ? sd : 1;
        for (int64_t i = 0; i < k->n; i++) k->y[i * k->w + j] = (r->y[i * k->w + j] - k->mean[j]) / k->scale[j];
        for (int64_t i = 0; i < k->n; i++)
            k->noise[i] += r->metric[i * k->w + j] * (double)k->n / weight / (double)k->w;
    }
    for (int64_t i = 0; i < k->n; i++) k->noise[i] = 1 / fmin(fmax(k->noise[i], 1e-3), 1e3);
}

static avi_status prepare(const avi_regression *r, work *k)
{
    const size_t n = (size_t)r->rows, w = (size_t)r->outputs;
    *k = (work){.n = r->rows,
                .w = r->outputs,
                .gram = malloc(n * n * sizeof(double)),
                .matrix = malloc(n * n * sizeof(double)),
                .y = malloc(n * w * sizeof(double)),
                .alpha = malloc(n * w * sizeof(double)),
                .noise = calloc(n, sizeof(double)),
                .inverse = malloc(n * sizeof(double)),
                .mean = malloc(w * sizeof(double)),
                .scale = malloc(w * sizeof(double))};
    if (!k->gram || !k->matrix || !k->y || !k->alpha || !k->noise || !k->inverse || !k->mean || !k->scale)
        return avi_fail_memory(2 * n * n * sizeof(double), "a regression of factors");
    avi_spd_alone_gram((int)k->n, (int)r->inputs, r->x, k->gram);
    centre(r, k);
    return AVI_OK;
}

/* alpha and the diagonal of the inverse for a kernel; false where rounding makes the matrix indefinite. */
static bool solve(work *k, const avi_regression *r, double median, kernel c)
{
    const int64_t n = k->n;
    const double linear = LINEAR / (double)r->inputs, rate = c.width > 0 ? 0.5 / (c.width * median) : 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = j; i < n; i++)
            k->matrix[j * n + i] = CONSTANT + linear * k->gram[j * n + i] +
                                   (c.width > 0 ? exp(-rate * distance2(k->gram, n, i, j)) : 0) +
                                   (i == j ? c.penalty * k->noise[i] : 0);
    if (avi_spd_alone_factor((int)n, k->matrix)) return false;
    memcpy(k->alpha, k->y, (size_t)(n * k->w) * sizeof *k->y);
    avi_spd_alone_solve((int)n, k->matrix, (int)k->w, k->alpha);
    if (avi_spd_alone_invert((int)n, k->matrix)) return false;
    avi_spd_alone_column_squares((int)n, k->matrix, k->inverse); /* the diagonal of the inverse */
    return true;
}

/* What the prediction of each row without it costs, (n), and the sum. */
static double cost(const work *k, const avi_regression *r, double *row)
{
    double sum = 0;
    for (int64_t i = 0; i < k->n; i++) {
        row[i] = 0;
        for (int64_t j = 0; j < k->w; j++) {
            const double e = k->scale[j] * k->alpha[i * k->w + j] / k->inverse[i];
            row[i] += 0.5 * r->metric[i * k->w + j] * e * e;
        }
        sum += row[i];
    }
    return sum;
}

/* Whether b costs less than a by more than two standard errors of the difference. */
static bool is_better(int64_t n, const double *a, const double *b)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] - b[i];
    for (int64_t i = 0; i < n; i++) squares += (a[i] - b[i] - sum / (double)n) * (a[i] - b[i] - sum / (double)n);
    return sum > 2 * sqrt(squares);
}

/* Every stride-th row of a regression. Owner: caller, free of *rows. */
static avi_status thin(const avi_regression *r, int64_t rows, double **memory, avi_regression *out)
{
    const int64_t f = r->inputs, w = r->outputs;
    double *x = *memory = malloc((size_t)(rows * (f + 2 * w)) * sizeof *x);
    if (!x) return avi_fail_memory((size_t)(rows * (f + 2 * w)) * sizeof *x, "a regression of factors");
    double *y = x + rows * f, *metric = y + rows * w;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at = i * r->rows / rows;
        memcpy(x + i * f, r->x + at * f, (size_t)f * sizeof *x);
        memcpy(y + i * w, r->y + at * w, (size_t)w * sizeof *y);
        memcpy(metric + i * w, r->metric + at * w, (size_t)w * sizeof *metric);
    }
    *out = (avi_regression){rows, f, w, x, y, metric};
    return AVI_OK;
}

/* The penalty that costs least for a width: its costs by row into `row`. Infinite where no matrix can be factored. */
static double best_penalty(work *k, const avi_regression *r, double median, double width, double *trial, double *row,
                           kernel *best)
{
    double least = INFINITY;
    for (size_t j = 0; j < sizeof penalties / sizeof penalties[0]; j++) {
        const kernel c = {width, penalties[j]};
        if (!solve(k, r, median, c)) continue;
        const double one = cost(k, r, trial);
        if (!(one < least)) continue;
        least = one;
        *best = c;
        memcpy(row, trial, (size_t)k->n * sizeof *row);
    }
    return least;
}

/* From the affine function to narrower and narrower kernels: a narrower one is taken where it is better for certain, so
 * that the luckiest of many is not. */
static avi_status choose(const avi_regression *r, kernel *best)
{
    avi_regression few = *r;
    double *memory = NULL, *row = NULL;
    work k = {0};
    avi_status status = r->rows > CHOOSING_ROWS ? thin(r, CHOOSING_ROWS, &memory, &few) : AVI_OK;
    if (status == AVI_OK) status = prepare(&few, &k);
    if (status == AVI_OK && !(row = malloc((size_t)(3 * few.rows) * sizeof *row)))
        status = avi_fail_memory((size_t)(3 * few.rows) * sizeof *row, "a regression of factors");
    *best = (kernel){0, 1};
    if (status == AVI_OK) {
        const double median = median_distance2(k.gram, k.n);
        double *trial = row + few.rows, *now = trial + few.rows;
        bool first = true;
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
            kernel c;
            if (!isfinite(best_penalty(&k, &few, median, widths[i], trial, now, &c))) continue;
            if (!first && !is_better(few.rows, row, now)) continue;
            first = false;
            *best = c;
            memcpy(row, now, (size_t)few.rows * sizeof *row);
        }
    }
    release(&k);
    free(row);
    free(memory);
    return status;
}

avi_status avi_regress(const avi_regression *r, double *fitted, double *left_out)
{
    kernel best;
    work k = {0};
    AVI_TRY(choose(r, &best));
    avi_status status = prepare(r, &k);
    bool solved = false;
    for (int tries = 0; tries < 8 && status == AVI_OK && !solved; tries++, best.penalty *= 10)
        solved = solve(&k, r, median_distance2(k.gram, k.n), best);
    if (status == AVI_OK && !solved)
        status = avi_fail(AVI_ERR_INTERNAL, "a regression of factors: the kernel is not positive definite");
    if (solved) best.penalty /= 10; /* the loop has raised it once more */
    for (int64_t i = 0; i < r->rows && status == AVI_OK; i++)
        for (int64_t j = 0; j < r->outputs; j++) {
            const int64_t at = i * r->outputs + j;
            fitted[at] = r->y[at] - k.scale[j] * best.penalty * k.noise[i] * k.alpha[at];
            left_out[at] = r->y[at] - k.scale[j] * k.alpha[at] / k.inverse[i];
        }
    release(&k);
    return status;
}

avi_status avi_nearest(const avi_regression *r, int64_t *nearest, double *distance)
{
    const int64_t n = r->rows, f = r->inputs;
    double *gram = malloc((size_t)(n * n) * sizeof *gram);
    if (!gram) return avi_fail_memory((size_t)(n * n) * sizeof *gram, "distances of rows");
    avi_spd_alone_gram((int)n, (int)f, r->x, gram);
    for (int64_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (int64_t j = 0; j < n; j++) {
            const double d = i == j ? INFINITY : distance2(gram, n, i, j);
            if (d < least) nearest[i] = j;
            least = fmin(least, d);
        }
        least = 0; /* again, without the rounding of the products */
        for (int64_t k = 0; k < f; k++) {
            const double d = r->x[i * f + k] - r->x[nearest[i] * f + k];
            least += d * d;
        }
        distance[i] = sqrt(least / (double)f);
    }
    free(gram);
    return AVI_OK;
}
