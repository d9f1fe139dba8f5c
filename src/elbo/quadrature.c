/* Quadrature in place of draws: the ELBO without Monte Carlo noise (objective.draws = 0).
 *
 * Quadratic models: the degree-3 cubature of D coordinates, points +-sqrt(D) e_i with equal weights (Stroud 1971,
 * E_n^{r2} 3-1): exact for every polynomial of degree 3 under a Gaussian. The coordinates are theta (when it has a
 * scalar Gaussian) and z; in a chain, z of rows of even and odd number are separate coordinates. Other models: a
 * product of Gauss-Hermite rules in z (up to 3 dimensions) and the two points +-1 in theta, exact when the model is
 * quadratic in theta. Points that weigh less than LEAST_WEIGHT are left out: log densities and their derivatives grow
 * slowly, so that such points are below the rounding of double precision, and their weights, denormal in single
 * precision, made a step of 64 points four times as slow as one of 48. What is left of n points lies within 11
 * standard deviations: the cost grows with the square root of n from 64 points on. */
#include "avi/elbo.h"
#include "avi/rng.h"
#include "elbo/quadrature_floats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINTS = 256 };
static const double LEAST_WEIGHT = 1e-25; /* of a whole point; the sum of all is 1 */

/* Nodes and weights of E f(x), x ~ N(0, 1): roots of the probabilists' Hermite polynomial He_n by bisection between
 * sign changes on a fine grid, weight = n! / (n He_{n-1})^2 in scaled form. */
static double hermite(int n, double x, double *before)
{
    double h0 = 0, h1 = 1; /* normalised: E h_k^2 = 1 */
    for (int k = 1; k <= n; k++) {
        const double h = (x * h1 - sqrt((double)(k - 1)) * h0) / sqrt((double)k);
        h0 = h1;
        h1 = h;
    }
    if (before) *before = h0;
    return h1;
}

/* Roots come in pairs +-x: those above 0 are found, from the smallest on, and 0 where n is odd. Neighbours are at least
 * 0.7 end / n apart. */
static void gauss_hermite(int n, double *x, double *w)
{
    const double end = 2 * sqrt((double)n) + 2, step = end / (20.0 * n);
    int found = n / 2;
    double before;
    if (n % 2) {
        hermite(n, 0, &before);
        x[found] = 0;
        w[found++] = 1 / (n * before * before);
    }
    for (double a = 0.5 * step; a < end && found < n; a += step) {
        double low = a, high = a + step, f = hermite(n, low, NULL);
        if (f * hermite(n, high, NULL) > 0) continue;
        for (int i = 0; i < 100; i++) {
            const double mid = 0.5 * (low + high), g = hermite(n, mid, NULL);
            if (f * g <= 0)
                high = mid;
            else
                low = mid;
        }
        x[found] = 0.5 * (low + high);
        hermite(n, x[found], &before);
        w[found++] = 1 / (n * before * before);
    }
    for (int i = 0; i < n / 2; i++) {
        x[i] = -x[n - 1 - i];
        w[i] = w[n - 1 - i];
    }
}

static avi_status allocate(int count, int64_t latent, int thetas, avi_quadrature **rule)
{
    avi_quadrature *r = calloc(1, sizeof *r);
    *rule = r;
    if (!r) return avi_fail_memory(sizeof *r, "the quadrature rule");
    const size_t n = (size_t)count * (size_t)latent;
    *r = (avi_quadrature){.count = count,
                          .weight = calloc((size_t)count, sizeof(double)),
                          .thetas = thetas,
                          .theta = calloc((size_t)(count * thetas) + 1, sizeof(double)),
                          .z = {calloc(n, sizeof(double)), calloc(n, sizeof(double))}};
    if (r->weight && r->theta && r->z[0] && r->z[1]) return AVI_OK;
    avi_quadrature_destroy(rule);
    return avi_fail_memory(n * sizeof(double), "the quadrature rule");
}

void avi_quadrature_destroy(avi_quadrature **rule)
{
    if (!*rule) return;
    free((*rule)->weight);
    free((*rule)->theta);
    free((*rule)->z[0]);
    free((*rule)->z[1]);
    free(*rule);
    *rule = NULL;
}

static avi_status cubature(const avi_model *m, int thetas, avi_precision precision, avi_quadrature **rule)
{
    const int64_t l = m->latent, parities = m->ops->coupling == AVI_CHAIN ? 2 : 1, d = thetas + parities * l;
    if (2 * d > 65536)
        return avi_fail(AVI_ERR_CONFIG, "objective.draws = 0 would take %lld points; use draws > 0",
                        (long long)(2 * d));
    double *radius = malloc((size_t)d * sizeof *radius);
    if (!radius) return avi_fail_memory((size_t)d * sizeof *radius, "the quadrature rule");
    for (int64_t i = 0; i < d; i++) radius[i] = sqrt((double)d);
    if (precision == AVI_PRECISION_SINGLE) avi_radii_of_floats((int)d, radius);
    const avi_status status = allocate((int)(2 * d), l, thetas, rule);
    for (int64_t s = 0; s < 2 * d && status == AVI_OK; s++) {
        const double r = radius[s / 2], x = s & 1 ? -r : r;
        const int64_t i = s / 2 - thetas; /* coordinate of z, below 0: theta's */
        (*rule)->weight[s] = precision == AVI_PRECISION_SINGLE ? 1 / (2 * r * r) : 1 / (2 * (double)d);
        if (i < 0)
            (*rule)->theta[s * thetas + i + thetas] = x;
        else if (parities == 2)
            (*rule)->z[i / l][s * l + i % l] = x;
        else
            (*rule)->z[0][s * l + i] = (*rule)->z[1][s * l + i] = x;
    }
    free(radius);
    return status;
}

/* Of point s of the product: theta's two points run fastest, then the coordinates of z. */
static double weight_of(int s, bool theta, int64_t latent, int points, const double *w)
{
    double weight = theta ? 0.5 : 1;
    int rest = theta ? s / 2 : s;
    for (int64_t i = 0; i < latent; i++, rest /= points) weight *= w[rest % points];
    return weight;
}

static avi_status product(const avi_model *m, bool theta, int points, avi_precision precision, avi_quadrature **rule)
{
    const int64_t l = m->latent;
    double x[MAX_POINTS], w[MAX_POINTS];
    if (l > 3 || m->ops->coupling == AVI_CHAIN)
        return avi_fail(AVI_ERR_CONFIG,
                        "objective.draws = 0: model %s with %lld latent dimensions has no closed form and too many "
                        "dimensions for quadrature; use draws > 0",
                        m->ops->name, (long long)l);
    points = points > MAX_POINTS ? MAX_POINTS : points;
    gauss_hermite(points, x, w);
    if (precision == AVI_PRECISION_SINGLE) avi_hermite_to_floats(points, x, w);
    int all = theta ? 2 : 1, count = 0;
    for (int64_t i = 0; i < l; i++) all *= points;
    for (int s = 0; s < all; s++) count += !(weight_of(s, theta, l, points, w) < LEAST_WEIGHT);
    AVI_TRY(allocate(count, l, theta, rule));
    avi_quadrature *r = *rule;
    for (int s = 0, at = 0; s < all; s++) {
        const double weight = weight_of(s, theta, l, points, w);
        if (weight < LEAST_WEIGHT) continue;
        r->weight[at] = weight;
        if (theta) r->theta[at] = s & 1 ? -1 : 1;
        int rest = theta ? s / 2 : s;
        for (int64_t i = 0; i < l; i++, rest /= points) r->z[0][at * l + i] = r->z[1][at * l + i] = x[rest % points];
        at++;
    }
    return AVI_OK;
}

bool avi_quadrature_is_of_model(const avi_model *m, avi_theta_form theta)
{
    return theta == AVI_THETA_FACTORS && m->ops->expected_log_likelihood;
}

static avi_status refuse(const avi_model *m, avi_theta_form theta)
{
    if (theta == AVI_THETA_JOINT && m->ops->expected_log_likelihood)
        return avi_fail(AVI_ERR_CONFIG,
                        "objective.draws = 0 with model %s takes a factorized q(theta); use model.global = gaussian, "
                        "or objective.draws > 0",
                        m->ops->name);
    return avi_fail(AVI_ERR_CONFIG,
                    "objective.draws = 0 with a Gaussian q(theta) takes a model with one scalar global parameter, or a "
                    "quadratic one with scalars; model %s has %lld values; use global = point or draws > 0",
                    m->ops->name, (long long)avi_params_values(&m->theta));
}

avi_status avi_quadrature_create(const avi_model *m, avi_theta_form theta, int points, avi_precision precision,
                                 avi_quadrature **rule)
{
    const bool quadratic = m->ops->quadratic == 2;
    const int thetas = theta == AVI_THETA_POINT ? 0 : m->theta.count;
    *rule = NULL;
    if (avi_quadrature_is_of_model(m, theta)) return product(m, false, points, precision, rule);
    if (thetas && (!m->ops->scalar_theta || (thetas > 1 && !quadratic))) return refuse(m, theta);
    return quadratic ? cubature(m, thetas, precision, rule) : product(m, thetas == 1, points, precision, rule);
}

/* ---- spherical rules ---- */

/* A random rotation (l, l): the columns of a matrix of normals made orthonormal (Gram-Schmidt, twice for rounding). */
static void rotation(avi_stream stream, uint64_t turn, int64_t l, double *q)
{
    avi_normal_f64(stream, turn, 1, 0, l * l, q);
    for (int64_t i = 0; i < l; i++) {
        double norm = 0;
        for (int again = 0; again < 2; again++)
            for (int64_t j = 0; j < i; j++) {
                double dot = 0;
                for (int64_t k = 0; k < l; k++) dot += q[i * l + k] * q[j * l + k];
                for (int64_t k = 0; k < l; k++) q[i * l + k] -= dot * q[j * l + k];
            }
        for (int64_t k = 0; k < l; k++) norm += q[i * l + k] * q[i * l + k];
        for (int64_t k = 0; k < l; k++) q[i * l + k] /= sqrt(norm);
    }
}

avi_status avi_quadrature_spherical(int64_t latent, int turns, uint64_t seed, avi_quadrature **rule)
{
    const int64_t l = latent, half = turns * l;
    double *q = malloc((size_t)(l * l) * sizeof *q);
    avi_status status =
        q ? allocate((int)(2 * half), l, 0, rule) : avi_fail_memory((size_t)(l * l) * sizeof *q, "a rule");
    for (int odd = 0; odd < 2 && status == AVI_OK; odd++)
        for (int turn = 0; turn < turns; turn++) {
            rotation(avi_stream_make(seed, AVI_DRAW_TEST, (uint64_t)odd), (uint64_t)turn, l, q);
            for (int64_t i = 0; i < l * l; i++) {
                const double x = sqrt((double)l) * q[i];
                (*rule)->z[odd][turn * l * l + i] = x;
                (*rule)->z[odd][half * l + turn * l * l + i] = -x;
            }
        }
    for (int64_t s = 0; s < 2 * half && status == AVI_OK; s++) (*rule)->weight[s] = 1 / (2 * (double)half);
    free(q);
    return status;
}
