/* How well any smooth function of some inputs can give the optimal factors: regressions whose predictions for a row are
 * known with and without that row. Plain arithmetic on one rank. Not collective. */
#ifndef AVI_DIAGNOSE_REGRESS_H
#define AVI_DIAGNOSE_REGRESS_H

#include "avi/status.h"

#include <stdint.h>

typedef struct avi_regression {
    int64_t rows, inputs, outputs; /* M, F, W */
    const double *x;               /* (M, F): standardised (avi_standardise) */
    const double *y;               /* (M, W) */
    const double *metric;          /* (M, W): an error e costs metric e^2 / 2 */
} avi_regression;

/* Columns of x (M, F) to mean 0 and sd 1; 0 where a column never changes. */
void avi_standardise(int64_t rows, int64_t inputs, double *x);

/* Kernel ridge regression of all outputs with one kernel, a constant, linear and squared exponential part, whose width
 * and penalty are those with the least cost of predictions without the row, on a part of the rows. fitted (M, W):
 * predictions with all rows; left_out (M, W): of each row without it, in closed form. Errors: INTERNAL (memory). */
avi_status avi_regress(const avi_regression *r, double *fitted, double *left_out);

/* A chain: rows touch their neighbours, so that an error e of all values costs e' P e / 2 with the block tridiagonal P
 * (own, next: (M, W, W), as avi_estimator_curvature makes them). The affine function of the inputs with the least cost
 * (generalised least squares): fitted (M, W), *cost in nats, *parameters: how many were fitted for each output. Errors:
 * INTERNAL (memory), DATA (more parameters than a quarter of the rows). */
avi_status avi_regress_chain(const avi_regression *r, const double *own, const double *next, double *fitted,
                             double *cost, int64_t *parameters);
/* e' P e / 2 of errors e (M, W). */
double avi_chain_cost(int64_t rows, int64_t outputs, const double *own, const double *next, const double *error);

/* The nearest other row of each row by distance in x: nearest (M), distance (M): root of the mean square of the
 * differences of the inputs, in sds. Errors: INTERNAL. */
avi_status avi_nearest(const avi_regression *r, int64_t *nearest, double *distance);

#endif
