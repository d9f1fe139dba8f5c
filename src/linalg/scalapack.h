/* Prototypes of BLACS, ScaLAPACK, and the few BLAS and LAPACK routines this floor calls: the libraries ship no C
 * header. Fortran names and arguments as in the ScaLAPACK Users' Guide; INTEGER is a 32-bit int. gfortran passes the
 * lengths of character arguments behind the others; every one of ours has length one, which the callees do not read. */
#ifndef AVI_LINALG_SCALAPACK_H
#define AVI_LINALG_SCALAPACK_H

#include <mpi.h>

/* BLACS */
int Csys2blacs_handle(MPI_Comm comm);
void Cfree_blacs_system_handle(int handle);
void Cblacs_gridinit(int *context, const char *order, int rows, int cols);
void Cblacs_gridinfo(int context, int *rows, int *cols, int *my_row, int *my_col);
void Cblacs_gridexit(int context);
void Cblacs_exit(int mpi_stays);

/* Cholesky: A = L L', solve, inverse */
void pdpotrf_(const char *uplo, const int *n, double *a, const int *ia, const int *ja, const int *desca, int *info);
void pdpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *ia, const int *ja,
              const int *desca, double *b, const int *ib, const int *jb, const int *descb, int *info);
void pdpotri_(const char *uplo, const int *n, double *a, const int *ia, const int *ja, const int *desca, int *info);
void pdlauum_(const char *uplo, const int *n, double *a, const int *ia, const int *ja, const int *desca, int *info);
void pdtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *ia, const int *ja,
              const int *desca, int *info);
void pdtrmm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
             const double *alpha, const double *a, const int *ia, const int *ja, const int *desca, double *b,
             const int *ib, const int *jb, const int *descb);
void pdtrsm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
             const double *alpha, const double *a, const int *ia, const int *ja, const int *desca, double *b,
             const int *ib, const int *jb, const int *descb);
void pdtrsv_(const char *uplo, const char *trans, const char *diag, const int *n, const double *a, const int *ia,
             const int *ja, const int *desca, double *x, const int *ix, const int *jx, const int *descx,
             const int *incx);
void pdtran_(const int *m, const int *n, const double *alpha, const double *a, const int *ia, const int *ja,
             const int *desca, const double *beta, double *c, const int *ic, const int *jc, const int *descc);

/* Symmetric eigenvalues, divide and conquer; jobz must be "V" */
void pdsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *ia, const int *ja,
              const int *desca, double *w, double *z, const int *iz, const int *jz, const int *descz, double *work,
              const int *lwork, int *iwork, const int *liwork, int *info);

/* Least squares by QR */
void pdgels_(const char *trans, const int *m, const int *n, const int *nrhs, double *a, const int *ia, const int *ja,
             const int *desca, double *b, const int *ib, const int *jb, const int *descb, double *work,
             const int *lwork, int *info);

/* Symmetric positive definite tridiagonal */
void pdpttrf_(const int *n, double *d, double *e, const int *ja, const int *desca, double *af, const int *laf,
              double *work, const int *lwork, int *info);
void pdpttrs_(const int *n, const int *nrhs, double *d, double *e, const int *ja, const int *desca, double *b,
              const int *ib, const int *descb, double *af, const int *laf, double *work, const int *lwork, int *info);

/* Serial LAPACK and BLAS */
void dpttrf_(const int *n, double *d, double *e, int *info);
void dpttrs_(const int *n, const int *nrhs, const double *d, const double *e, double *b, const int *ldb, int *info);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dtrtri_(const char *uplo, const char *diag, const int *n, double *a, const int *lda, int *info);
void dgemv_(const char *trans, const int *m, const int *n, const double *alpha, const double *a, const int *lda,
            const double *x, const int *incx, const double *beta, double *y, const int *incy);
void dtrsv_(const char *uplo, const char *trans, const char *diag, const int *n, const double *a, const int *lda,
            double *x, const int *incx);
void dtrmv_(const char *uplo, const char *trans, const char *diag, const int *n, const double *a, const int *lda,
            double *x, const int *incx);
void dtrsm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
            const double *alpha, const double *a, const int *lda, double *b, const int *ldb);
void dtrmm_(const char *side, const char *uplo, const char *trans, const char *diag, const int *m, const int *n,
            const double *alpha, const double *a, const int *lda, double *b, const int *ldb);
void dgelqf_(const int *m, const int *n, double *a, const int *lda, double *tau, double *work, const int *lwork,
             int *info);
void dsyrk_(const char *uplo, const char *trans, const int *n, const int *k, const double *alpha, const double *a,
            const int *lda, const double *beta, double *c, const int *ldc);

/* Fields of an array descriptor */
enum {
    AVI_DESC_TYPE,
    AVI_DESC_CONTEXT,
    AVI_DESC_M,
    AVI_DESC_N,
    AVI_DESC_MB,
    AVI_DESC_NB,
    AVI_DESC_RSRC,
    AVI_DESC_CSRC,
    AVI_DESC_LLD
};

#endif
