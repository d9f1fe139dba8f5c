/* Exact linear algebra for models whose answers are known in closed form: ScaLAPACK behind plain arrays of rows.
 *
 * A matrix of N rows is passed as SLABS: rank r of P holds rows [floor(r N / P), floor((r + 1) N / P)) (avi_slab_first
 * in partition.h), row-major doubles; a slab may be empty, and N may be smaller than P. "own rows" below is the length
 * of the slab. Process grids, block-cyclic layouts and redistribution stay inside; memory is O(N^2 / P) a rank for
 * dense work. Results agree between rank counts to rounding, not to the bit.
 *
 * Every function is collective over the communicator of its object unless it says `Not collective.`, and all ranks
 * return the same status. Objects borrow the communicator and must be destroyed before it is. A matrix that is not
 * positive definite is AVI_ERR_DATA with its first bad pivot; so are entries that are not finite. */
#ifndef AVI_LINALG_H
#define AVI_LINALG_H

#include "avi/comm.h"
#include "avi/status.h"

#include <stdint.h>

/* Entry (i, j) of a symmetric matrix, 0-based: a kernel matrix is generated in place and never gathered. Called for i
 * >= j only, once and on one rank for each, down the columns (i runs fastest). Must give the same on whatever rank it
 * is asked, and must not communicate. */
typedef double (*avi_linalg_entry)(void *self, int64_t i, int64_t j);

/* A replicated row-major array as an entry function: self points to an avi_linalg_dense. Only its lower triangle is
 * read. */
typedef struct avi_linalg_dense {
    const double *values; /* (n, n), borrowed, equal on all ranks */
    int64_t n;
} avi_linalg_dense;
double avi_linalg_dense_entry(void *self, int64_t i, int64_t j);

/* ---- symmetric positive definite, dense: A = L L' (pdpotrf; LAPACK's dpotrf on one rank) ---- */
typedef struct avi_linalg_spd avi_linalg_spd;

/* Collective. A = entry(.,.) + jitter I, factored; n >= 1. Holds one (n, n) matrix over the ranks.
 * Errors: DATA (not positive definite: names the pivot; entry not finite: names it; n too large for so few ranks),
 * INTERNAL (memory). Owner: caller, avi_linalg_spd_destroy (collective). */
avi_status avi_linalg_spd_create(avi_comm *comm, int64_t n, avi_linalg_entry entry, void *self, double jitter,
                                 avi_linalg_spd **spd);
void avi_linalg_spd_destroy(avi_linalg_spd **spd);
/* log det A, nats. Not collective. */
double avi_linalg_spd_log_det(const avi_linalg_spd *spd);
/* Each replaces b, (own rows, k) row-major, k >= 1, by
 *   solve:  A^{-1} b  (two triangular solves)
 *   root:   L b       (draws with covariance A from standard normals b)
 *   whiten: L^{-1} b  (least squares in the metric A^{-1})
 * Collective. */
avi_status avi_linalg_spd_solve(avi_linalg_spd *spd, int64_t k, double *b);
avi_status avi_linalg_spd_root(avi_linalg_spd *spd, int64_t k, double *b);
avi_status avi_linalg_spd_whiten(avi_linalg_spd *spd, int64_t k, double *b);
/* Of the inverse. diagonal: (own rows); L is replaced by L^{-1} for it, n^3 / 3 operations, and stays so: the next
 * diagonal costs nothing, and solve with k = 1 is then two products in which no rank waits for another. rows:
 * (own rows, n), by pdpotri at every call: two more (n, n) matrices over the ranks for its duration. Collective. */
avi_status avi_linalg_spd_inverse_diagonal(avi_linalg_spd *spd, double *diagonal);
avi_status avi_linalg_spd_inverse_rows(avi_linalg_spd *spd, double *rows);

/* ---- symmetric eigenvalues (pdsyevd) ---- */
/* Collective. values: (n), ascending, on all ranks. vectors: the `keep` eigenvectors of the LARGEST eigenvalues as
 * (keep, n) on all ranks, row k belongs to values[n - 1 - k]; NULL with keep = 0 for none. Unit length; the first
 * component whose magnitude is within 1e-6 of the largest is positive, so signs do not depend on the rank count. Needs
 * n >= 1, 0 <= keep <= n. ScaLAPACK computes vectors in any case: memory of three (n, n) matrices over the ranks.
 * Errors: DATA, INTERNAL. */
avi_status avi_linalg_eigen(avi_comm *comm, int64_t n, avi_linalg_entry entry, void *self, double *values, int64_t keep,
                            double *vectors);
/* Collective. The same for a matrix given as slabs, a (own rows, n), of which the lower triangle is used. vectors:
 * slab (own rows, n) of the matrix whose column k is the eigenvector of values[k]; NULL for none. */
avi_status avi_linalg_eigen_rows(avi_comm *comm, int64_t n, const double *a, double *values, double *vectors);

/* ---- mean and covariance of rows ---- */
typedef struct avi_linalg_moments avi_linalg_moments;

/* Rows may come in pieces, in any distribution over ranks (Chan, Golub & LeVeque 1983: every piece is centred by its
 * own mean, so nothing cancels). d >= 1 columns; holds (d, d) on this rank. Not collective. Owner: caller,
 * avi_linalg_moments_destroy. */
avi_status avi_linalg_moments_create(int64_t d, avi_linalg_moments **moments);
/* Not collective. */
void avi_linalg_moments_destroy(avi_linalg_moments **moments);
/* x: (rows, d) row-major; rows may be 0. Not collective. */
avi_status avi_linalg_moments_add(avi_linalg_moments *moments, int64_t rows, const double *x);
/* Collective over comm. Of all rows of all ranks: *count (may be NULL), mean (d), covariance (d, d) symmetric, with
 * divisor N (maximum likelihood), on all ranks. The object stays as it was. Errors: DATA when there are no rows or a
 * value was not finite. */
avi_status avi_linalg_moments_allreduce(const avi_linalg_moments *moments, avi_comm *comm, int64_t *count, double *mean,
                                        double *covariance);
/* Collective. All of the above in one call. */
avi_status avi_linalg_covariance(avi_comm *comm, int64_t rows, int64_t d, const double *x, double *mean,
                                 double *covariance);

/* ---- least squares (pdgels) ---- */
/* Collective. W = argmin ||A W - Y|| for a tall, full-rank A, columns of Y one by one. a: (rows, k), y: (rows, m),
 * where `rows` may be any number on each rank (no slabs needed; the order of rows does not matter): at least k in all.
 * w: (k, m) on all ranks; residual: (m) sums of squares, on all ranks, may be NULL. Ranks with fewer rows than the
 * fullest are padded with zero rows. Errors: DATA (fewer rows than k; a column that depends on those before it, to
 * 1e-12 of its length: names it; not finite). */
avi_status avi_linalg_least_squares(avi_comm *comm, int64_t rows, int64_t k, const double *a, int64_t m,
                                    const double *y, double *w, double *residual);

/* ---- least squares whose rows come in blocks: nothing of the length of the matrix is held ---- */
typedef struct avi_linalg_triangle avi_linalg_triangle;

/* Of k columns, the last of which is the right-hand side; blocks of up to `most` rows. Holds (k + most, k). Not
 * collective. Owner: caller, avi_linalg_triangle_destroy. Errors: INTERNAL. */
avi_status avi_linalg_triangle_create(int64_t k, int64_t most, avi_linalg_triangle **triangle);
/* Not collective. */
void avi_linalg_triangle_destroy(avi_linalg_triangle **triangle);
/* Room for the next rows, (rows, k) row-major, rows <= most, to be filled before the next call: they are taken into R
 * by Householder reflections when there is no more room. Not collective. Errors: INTERNAL. */
avi_status avi_linalg_triangle_room(avi_linalg_triangle *triangle, int64_t rows, double **block);
/* Collective over comm, over the rows of all its ranks: w (first), least squares in the first `first` < k columns, and
 * the sum of squares that is left, may be NULL; both on all ranks, to rounding those of avi_linalg_least_squares, with
 * its errors. May be called again with another `first`. */
avi_status avi_linalg_triangle_solve(avi_linalg_triangle *triangle, avi_comm *comm, int64_t first, double *w,
                                     double *residual);
/* gram (k, k) row-major, lower triangle, += a' a of a (rows, k) row-major. Not collective. */
void avi_linalg_add_gram(int64_t rows, int64_t k, const double *a, double *gram);

/* ---- symmetric positive definite, tridiagonal (pdpttrf) ---- */
typedef struct avi_linalg_tridiagonal avi_linalg_tridiagonal;

/* Collective. diagonal: slab (own rows); off: slab (own rows), off[i] = entry (i, i + 1), the last row's is not read. n
 * >= 1. Log-determinant, pivots and the inverse's diagonals come from the two continued fractions of the chain (from
 * its start and from its end), which each rank enters through the product of the 2x2 matrices of the ranks before it:
 * O(n / P + P), one gather. Solving is by pdpttrf / pdpttrs when n >= 8 P. A shorter chain is gathered and solved by
 * LAPACK on every rank alike: pdpttrf needs several rows on each. Errors: DATA (not positive definite: names the row),
 * INTERNAL. Owner: caller. */
avi_status avi_linalg_tridiagonal_create(avi_comm *comm, int64_t n, const double *diagonal, const double *off,
                                         avi_linalg_tridiagonal **tri);
void avi_linalg_tridiagonal_destroy(avi_linalg_tridiagonal **tri);
/* Not collective. */
double avi_linalg_tridiagonal_log_det(const avi_linalg_tridiagonal *tri);
/* Slabs (own rows): entries (i, i) and (i, i + 1) of the inverse (the last row's is 0): variances and lag-one
 * covariances of a chain whose precision this is. Owned by the object. Not collective. */
const double *avi_linalg_tridiagonal_inverse_diagonal(const avi_linalg_tridiagonal *tri);
const double *avi_linalg_tridiagonal_inverse_off(const avi_linalg_tridiagonal *tri);
/* Collective. Replaces b, (own rows, k) row-major, k >= 1, by
 *   solve:    A^{-1} b
 *   multiply: A b
 *   whiten:   R b with A = R' R, R upper bidiagonal: ||R b||^2 = b' A b, so least squares in the metric A. */
avi_status avi_linalg_tridiagonal_solve(avi_linalg_tridiagonal *tri, int64_t k, double *b);
avi_status avi_linalg_tridiagonal_multiply(avi_linalg_tridiagonal *tri, int64_t k, double *b);
avi_status avi_linalg_tridiagonal_whiten(avi_linalg_tridiagonal *tri, int64_t k, double *b);

/* ---- symmetric positive definite, block tridiagonal: replicated, serial ---- */
typedef struct avi_linalg_blocks avi_linalg_blocks;

/* Not collective: the same work on every rank that calls it. n blocks of (l, l): diagonal (n, l, l), lower triangles
 * read; off (n - 1, l, l), block (i + 1, i), i.e. BELOW the diagonal (may be NULL when n = 1). Block Cholesky: O(n l^3)
 * operations, O(n l^2) memory. Errors: DATA (not positive definite: names block and row in it), INTERNAL. Owner:
 * caller. */
avi_status avi_linalg_blocks_create(int64_t n, int64_t l, const double *diagonal, const double *off,
                                    avi_linalg_blocks **blocks);
/* Not collective. */
void avi_linalg_blocks_destroy(avi_linalg_blocks **blocks);
/* Not collective. */
double avi_linalg_blocks_log_det(const avi_linalg_blocks *blocks);
/* b: (n, l), replaced by A^{-1} b. Not collective. */
void avi_linalg_blocks_solve(const avi_linalg_blocks *blocks, double *b);
/* diagonal: (n, l, l), blocks (i, i) of the inverse; off: (n - 1, l, l), blocks (i + 1, i), may be NULL. Errors:
 * INTERNAL (memory). Not collective. */
avi_status avi_linalg_blocks_inverse(const avi_linalg_blocks *blocks, double *diagonal, double *off);

#endif
