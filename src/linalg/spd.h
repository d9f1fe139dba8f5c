/* What the files of symmetric positive definite matrices share. */
#ifndef AVI_LINALG_SPD_H
#define AVI_LINALG_SPD_H

#include "linalg/grid.h"

struct avi_linalg_spd {
    avi_comm *comm; /* borrowed */
    avi_grid grid;
    int n;
    avi_cyclic factor; /* lower triangle: L, or L^-1 where `inverted`; zeros above */
    bool inverted;
    double log_det;
};

/* One rank: the share of the matrix is the matrix, and slabs are the vectors themselves. */
static inline bool avi_spd_is_alone(const avi_linalg_spd *s) { return avi_comm_size(s->comm) == 1; }

/* Collective. A^-1 b of one vector's slabs (own rows), by L^-1. */
avi_status avi_spd_multiply_inverse(avi_linalg_spd *s, double *b);

#endif
