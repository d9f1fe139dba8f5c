/* Solving with a tridiagonal matrix: apart from its continued fractions (tridiagonal.c). */
#ifndef AVI_LINALG_TRIDIAGONAL_H
#define AVI_LINALG_TRIDIAGONAL_H

#include "avi/comm.h"

#include <stdint.h>

typedef struct avi_pttrf avi_pttrf;

/* Collective. Factors the matrix known to be positive definite; slabs diagonal, off as in linalg.h. Owner: caller. */
avi_status avi_pttrf_create(avi_comm *comm, int64_t n, const double *diagonal, const double *off, avi_pttrf **factor);
void avi_pttrf_destroy(avi_pttrf **factor);
/* Collective. b: slab (own rows, k), replaced by the solution. */
avi_status avi_pttrf_solve(avi_pttrf *factor, int64_t k, double *b);

#endif
