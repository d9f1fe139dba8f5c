/* Quadratures whose coordinates are floats. In single precision a graph sees each coordinate rounded, by the same error
 * in every row: of the sum over rows that error is as large a part as of a row (ppca: 1e-9 to 3e-9). So in single
 * precision the coordinates are floats to begin with, and the weights are those that belong to them. */
#ifndef AVI_ELBO_QUADRATURE_FLOATS_H
#define AVI_ELBO_QUADRATURE_FLOATS_H

/* Nodes x (n) of a Gauss-Hermite rule to floats, and its weights w (n) to those with which the rule is exact for
 * polynomials below degree n, as the rule was; beyond, it is off by 1e-7 of what such terms have. */
void avi_hermite_to_floats(int n, double *x, double *w);

/* radius (d), floats about sqrt(d): with weights 1 / (2 radius_i^2) the points +-radius_i e_i are exact for polynomials
 * of degree 3, as +-sqrt(d) e_i with equal weights are. The weights add up to 1 within 1e-12. */
void avi_radii_of_floats(int d, double *radius);

#endif
