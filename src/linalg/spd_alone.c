#include "linalg/spd_alone.h"

#include "linalg/scalapack.h"

#include <stddef.h>

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

int avi_spd_alone_invert(int n, double *l)
{
    int info = 0;
    dtrtri_("L", "N", &n, l, &n, &info);
    return info;
}

void avi_spd_alone_column_squares(int n, const double *l, double *sum)
{
    for (int j = 0; j < n; j++) {
        const double *column = l + (size_t)j * (size_t)n;
        sum[j] = 0;
        for (int i = j; i < n; i++) sum[j] += column[i] * column[i];
    }
}

void avi_spd_alone_multiply(int n, const double *inverse, int k, double *b)
{
    if (k == 1) {
        dtrmv_("L", "N", "N", &n, inverse, &n, b, &UNIT);
        dtrmv_("L", "T", "N", &n, inverse, &n, b, &UNIT);
        return;
    }
    dtrmm_("R", "L", "T", "N", &k, &n, &ONE, inverse, &n, b, &k); /* b' L'^-1 = (L^-1 b)' */
    dtrmm_("R", "L", "N", "N", &k, &n, &ONE, inverse, &n, b, &k);
}

void avi_spd_alone_gram(int n, int k, const double *x, double *a)
{
    const double zero = 0;
    dsyrk_("L", "T", &n, &k, &ONE, x, &k, &zero, a, &n);
}
