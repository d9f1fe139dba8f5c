/* Monomials of a datapoint's domain, and which of them say something that those before them do not. */
#ifndef AVI_CLOSED_FORM_POLYNOMIAL_BASIS_H
#define AVI_CLOSED_FORM_POLYNOMIAL_BASIS_H

#include "closed_form/optimum.h"

typedef struct avi_basis {
    avi_optimum *a;
    int64_t monomials;      /* in all */
    int64_t *parent, *last; /* (monomials): each is one of a lower degree times a variable not before its last one */
    bool *keep;             /* (monomials): does not depend on those before it */
    double *domain, *all;   /* of a row: (width), (monomials) */
    int64_t count;          /* features kept: those of degree d are the first upto[d] */
    int64_t upto[AVI_BEST_POLYNOMIALS],
        in_all[AVI_BEST_POLYNOMIALS]; /* kept and in all, of degree <= d; in_all = 0: too many */
    int degrees;                      /* highest degree with features */
} avi_basis;

/* Monomials up to `degree`, which is below AVI_BEST_POLYNOMIALS; memory of `a`. Features are made anew for each row.
 * Collective. Errors: INTERNAL (memory). */
avi_status avi_basis_make(avi_optimum *a, int degree, avi_basis *b);
/* The first k features of datapoint n that are kept, -1 <= n < rows: out (k). Not collective. */
void avi_basis_features(const avi_basis *b, int64_t n, int64_t k, double *out);

#endif
