/* Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4) on flat vectors in double: the direction and the memory of
 * past steps. The line search, which needs values of the function, is the caller's. Everything a restart needs is in
 * one array. Not collective: every rank holds the same. */
#ifndef AVI_OPTIM_LBFGS_H
#define AVI_OPTIM_LBFGS_H

#include "avi/status.h"

#include <stdint.h>

typedef struct avi_lbfgs {
    int64_t n;       /* values of a vector */
    int memory;      /* pairs kept */
    int pairs;       /* pairs held, newest last */
    double *history; /* (2 memory, n): differences of points, then of gradients */
} avi_lbfgs;

/* Errors: INTERNAL (memory). Owner: caller, avi_lbfgs_free. */
avi_status avi_lbfgs_create(int64_t n, int memory, avi_lbfgs *l);
void avi_lbfgs_free(avi_lbfgs *l);
/* direction = -H g, H the inverse Hessian that the pairs imply, beginning from a multiple of diag(metric): values of a
 * very different scale need one. Without pairs -metric g. */
avi_status avi_lbfgs_direction(const avi_lbfgs *l, const double *g, const double *metric, double *direction);
/* Adds the pair (x1 - x0, g1 - g0) when it has positive curvature; otherwise forgets nothing and adds nothing. */
void avi_lbfgs_add(avi_lbfgs *l, const double *x0, const double *x1, const double *g0, const double *g1);

#endif
