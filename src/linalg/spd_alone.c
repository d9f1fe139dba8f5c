#include "linalg/spd_alone.h"

#include "linalg/scalapack.h"

#include <string.h>

static const int UNIT = 1; /* distance of a vector's values */
static const double ONE = 1;

int avi_spd_alone_factor(int n, double *a)
{
    int info = 0;
    dpotrf_("L", &n, a, &n, &info);
    return info;
}

/* A single vector goes through dtrsv, which reads L once; dpotrs would take it for a matrix of one column and pack L
 * for the sake of a product with it. */
void avi_spd_alone_solve(int n, const double *l, int k, double *b)
{
    if (k == 1) {
        dtrsv_("L", "N", "N", &n, l, &n, b, &UNIT);
        dtrsv_("L", "T", "N", &n, l, &n, b, &UNIT);
        return;
    }
    dtrsm_("R", "L", "T", "N", &k, &n, &ONE, l, &n, b, &k); /* b' L'^-1 = (L^-1 b)' */
    dtrsm_("R", "L", "N", "N", &k, &n, &ONE, l, &n, b, &k);
}

void avi_spd_alone_root(int n, const double *l, int k, double *b)
{
    if (k == 1)
        dtrmv_("L", "N", "N", &n, l, &n, b, &UNIT);
    else
        dtrmm_("R", "L", "T", "N", &k, &n, &ONE, l, &n, b, &k);
}

void avi_spd_alone_whiten(int n, const double *l, int k, double *b)
{
    if (k == 1)
        dtrsv_("L", "N", "N", &n, l, &n, b, &UNIT);
    else
        dtrsm_("R", "L", "T", "N", &k, &n, &ONE, l, &n, b, &k);
}

/* Columns j.. of L^-1 are zero above row j: each block of columns is solved for in the rows from its first one on, so
 * that all blocks together take n^3 / 3 operations, half of what the whole inverse takes. */
void avi_spd_alone_inverse_diagonal(int n, const double *l, int width, double *work, double *diagonal)
{
    for (int first = 0; first < n; first += width) {
        const int rows = n - first, cols = width < rows ? width : rows;
        memset(work, 0, (size_t)rows * (size_t)cols * sizeof *work);
        for (int c = 0; c < cols; c++) work[(size_t)c * (size_t)rows + (size_t)c] = 1;
        dtrsm_("L", "L", "N", "N", &rows, &cols, &ONE, l + (size_t)first * (size_t)n + (size_t)first, &n, work, &rows);
        for (int c = 0; c < cols; c++) {
            const double *column = work + (size_t)c * (size_t)rows;
            double sum = 0;
            for (int i = c; i < rows; i++) sum += column[i] * column[i];
            diagonal[first + c] = sum;
        }
    }
}

void avi_spd_alone_gram(int n, int k, const double *x, double *a)
{
    const double zero = 0;
    dsyrk_("L", "T", &n, &k, &ONE, x, &k, &zero, a, &n);
}
