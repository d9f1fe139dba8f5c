/* The work of a symmetric positive definite matrix that lies on one rank, column-major with leading dimension n: LAPACK
 * and BLAS where ScaLAPACK would copy blocks of it at every call. Right-hand sides b are (n, k) row-major, that is
 * column-major (k, n), and are worked on in place. Not collective, nothing is allocated. */
#ifndef AVI_LINALG_SPD_ALONE_H
#define AVI_LINALG_SPD_ALONE_H

/* The lower triangle becomes L. Returns LAPACK's info: the first pivot that is not positive, or 0. */
int avi_spd_alone_factor(int n, double *a);
/* A^-1 b, L b, L^-1 b. */
void avi_spd_alone_solve(int n, const double *l, int k, double *b);
void avi_spd_alone_root(int n, const double *l, int k, double *b);
void avi_spd_alone_whiten(int n, const double *l, int k, double *b);
/* L becomes L^-1. Returns LAPACK's info: the first entry of the diagonal that is 0, or 0. */
int avi_spd_alone_invert(int n, double *l);
/* sum (n): of the squares of each column of a lower triangle; of L^-1 the diagonal of A^-1. */
void avi_spd_alone_column_squares(int n, const double *l, double *sum);
/* A^-1 b from L^-1. */
void avi_spd_alone_multiply(int n, const double *inverse, int k, double *b);
/* The lower triangle of a (n, n) becomes that of x x', x (n, k) row-major. */
void avi_spd_alone_gram(int n, int k, const double *x, double *a);

#endif
