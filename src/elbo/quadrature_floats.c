#include "elbo/quadrature_floats.h"

#include <float.h>
#include <math.h>

enum { MAX_POINTS = 256, ROUNDS = 4, TRIES = 20000 };

/* The orthonormal Hermite polynomials h_0 .. h_{n-1} at x. */
static void polynomials(int n, double x, double *h)
{
    h[0] = 1;
    if (n > 1) h[1] = x;
    for (int k = 2; k < n; k++) h[k] = (x * h[k - 1] - sqrt((double)(k - 1)) * h[k - 2]) / sqrt((double)k);
}

/* sum_i w_i h_k(x_i) = E h_k, which is 1 for k = 0 and 0 else. With V_ki = h_k(x_i) the matrix diag(w) V' is the
 * inverse of V at the nodes of Gauss, and almost at these, so that a few rounds of refinement with it solve V w = e_0.
 */
void avi_hermite_to_floats(int n, double *x, double *w)
{
    double h[MAX_POINTS], left[MAX_POINTS], gauss[MAX_POINTS];
    for (int i = 0; i < n; i++) {
        x[i] = (double)(float)x[i];
        gauss[i] = w[i];
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < n; k++) left[k] = k == 0;
        for (int i = 0; i < n; i++) {
            polynomials(n, x[i], h);
            for (int k = 0; k < n; k++) left[k] -= w[i] * h[k];
        }
        for (int i = 0; i < n; i++) {
            double step = 0;
            polynomials(n, x[i], h);
            for (int k = 0; k < n; k++) step += h[k] * left[k];
            w[i] += gauss[i] * step;
        }
    }
}

/* 1 / r^2 of all must add up to 1. All but two are the float next to sqrt(d); the last but one goes through floats that
 * lie a little above it, until the last one's rounding leaves next to nothing. */
void avi_radii_of_floats(int d, double *radius)
{
    const float near = (float)sqrt((double)d);
    double rest = 1, best = INFINITY;
    for (int i = 0; i < d; i++) radius[i] = near;
    if (d < 2 || (double)near * near == (double)d) return;
    for (int i = 0; i < d - 2; i++) rest -= 1 / ((double)near * near);
    float r = near;
    for (int t = 0; t < TRIES && best > 1e-13; t++, r = nextafterf(r, FLT_MAX)) {
        const double other = (double)(float)(1 / sqrt(rest - 1 / ((double)r * r)));
        const double apart = fabs(rest - 1 / ((double)r * r) - 1 / (other * other));
        if (!(apart < best)) continue;
        best = apart;
        radius[d - 2] = r;
        radius[d - 1] = other;
    }
}
