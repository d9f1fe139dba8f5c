/* How close polynomials of the configured domain can come to the F-VI optimum: means by least squares (pdgels),
 * variances by Newton's method on a convex function, each step of which is least squares again. No optimizer, no draws.
 */
#include "closed_form/optimum.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Features and a design larger than this are left out, and the answer says so. */
enum { MAX_FEATURES = 2000, MAX_EXPONENTS = 1000000, MAX_DEGREE = AVI_BEST_POLYNOMIALS - 1, MAX_NEWTON = 60 };

/* A feature whose part that the features before it do not explain is shorter than 1e-6 of it is dropped: what it could
 * add is below rounding. */
static const double DEPENDENT = 1e-12;

typedef struct basis {
    avi_optimum *a;
    int64_t count;                                     /* features kept: those of degree d are the first upto[d] */
    int64_t upto[MAX_DEGREE + 1], all[MAX_DEGREE + 1]; /* kept and in all, of degree <= d; all = 0: too many */
    int degrees;                                       /* highest degree with features */
    double *value;                                     /* (1 + rows, count) */
} basis;

double avi_optimum_excess(double a) { return 0.5 * (a - 1 - log(a)); }

void avi_optimum_add_polynomial(avi_optimum *a, const char *name, int64_t features, double gap)
{
    if (a->classes == AVI_BEST_POLYNOMIALS) return;
    avi_best_polynomial *c = &a->class[a->classes++];
    *c = (avi_best_polynomial){.features = features, .gap = gap, .gap_means = gap};
    snprintf(c->name, sizeof c->name, "%s", name);
}

/* ---- features ---- */

static int64_t polynomial_count(int64_t inputs, int degree)
{
    const int64_t w = degree ? avi_polynomial_width(inputs, degree) : 0;
    return w > MAX_FEATURES ? 0 : w + 1;
}

/* Each monomial is one of a lower degree times a variable not before its last one. exponent (count, width) may be NULL.
 */
static void fill_monomials(const avi_optimum *a, const basis *b, double *value, int64_t *exponent, int64_t count)
{
    int64_t parent[MAX_FEATURES + 1], last[MAX_FEATURES + 1], begin = 0, end = 1;
    parent[0] = last[0] = 0;
    for (int d = 1; d <= b->degrees; d++) {
        int64_t at = end;
        for (int64_t p = begin; p < end; p++)
            for (int64_t v = d == 1 ? 0 : last[p]; v < a->width; v++, at++) {
                parent[at] = p;
                last[at] = v;
            }
        begin = end;
        end = at;
    }
    for (int64_t k = 1; exponent && k < count; k++) {
        memcpy(exponent + k * a->width, exponent + parent[k] * a->width, (size_t)a->width * sizeof *exponent);
        exponent[k * a->width + last[k]]++;
    }
    for (int64_t n = 0; n <= a->rows; n++) {
        double *f = value + n * count;
        const double *x = a->domain + n * a->width;
        f[0] = 1;
        for (int64_t k = 1; k < count; k++) f[k] = f[parent[k]] * x[last[k]];
    }
}

/* Marks the features that do not depend on those before them: Cholesky of their Gram matrix, scaled to a unit diagonal.
 * Same on all ranks. */
static avi_status mark_independent(const avi_optimum *a, const double *value, int64_t k, bool *keep)
{
    double *g = calloc((size_t)(k * k), sizeof *g);
    AVI_TRY(avi_agree(a->s->comm, g ? AVI_OK : avi_fail_memory((size_t)(k * k) * sizeof *g, "features")));
    for (int64_t n = 1; n <= a->rows; n++)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j <= i; j++) g[i * k + j] += value[n * k + i] * value[n * k + j];
    avi_status status = avi_comm_sum_double(a->s->comm, g, (size_t)(k * k));
    for (int64_t i = 0, kept = 0; i < k; kept += keep[i++]) {
        const double whole = g[i * k + i];
        for (int64_t j = 0; j < i; j++) {
            double sum = g[i * k + j];
            for (int64_t m = 0; m < j; m++) sum -= g[i * k + m] * g[j * k + m];
            g[i * k + j] = keep[j] ? sum / g[j * k + j] : 0;
            g[i * k + i] -= g[i * k + j] * g[i * k + j];
        }
        keep[i] = whole > 0 && g[i * k + i] > DEPENDENT * whole && kept < a->s->partition.rows;
        g[i * k + i] = keep[i] ? sqrt(g[i * k + i]) : 1;
    }
    free(g);
    return status;
}

static void compress(const avi_optimum *a, basis *b, double *value, int64_t count, const bool *keep)
{
    b->count = 0;
    for (int64_t k = 0, d = 0; k < count; k++) {
        b->count += keep[k];
        while (d <= b->degrees && b->all[d] == k + 1) b->upto[d++] = b->count;
    }
    for (int64_t n = 0; n <= a->rows; n++)
        for (int64_t k = 0, at = 0; k < count; k++)
            if (keep[k]) value[n * b->count + at++] = value[n * count + k];
    for (int64_t k = 0, at = 0; a->monomial && k < count; k++)
        if (keep[k])
            memmove(a->monomial + at++ * a->width, a->monomial + k * a->width, (size_t)a->width * sizeof *a->monomial);
    b->value = value;
}

static avi_status make_basis(avi_optimum *a, int degree, basis *b)
{
    *b = (basis){.a = a};
    for (int d = 0; d <= degree; d++) {
        b->all[d] = polynomial_count(a->width, d);
        if (b->all[d]) b->degrees = d;
    }
    const int64_t count = b->all[b->degrees];
    avi_status status = AVI_OK;
    bool keep[MAX_FEATURES + 1];
    double *value = avi_optimum_memory(a, (1 + a->rows) * count, &status);
    if (count * a->width <= MAX_EXPONENTS)
        a->monomial = avi_fields_memory(&a->fields, (size_t)(count * a->width) * sizeof *a->monomial);
    if (count * a->width <= MAX_EXPONENTS && !a->monomial)
        status = avi_fail_memory((size_t)(count * a->width) * sizeof *a->monomial, "features");
    AVI_TRY(avi_agree(a->s->comm, status));
    fill_monomials(a, b, value, a->monomial, count);
    AVI_TRY(mark_independent(a, value, count, keep));
    compress(a, b, value, count, keep);
    a->monomials = b->count;
    return AVI_OK;
}

/* ---- means ---- */

/* Columns: theta, features x dimensions, and the F-VI optimum, which is the target. */
static void fill_unknowns(const avi_optimum *a, const basis *b, int64_t cols, double *z, double *theta)
{
    const int64_t l = a->latent, t = a->thetas;
    for (int64_t n = 0; n <= a->rows; n++)
        for (int64_t d = 0; d < l; d++) {
            double *row = z + (n * l + d) * cols;
            for (int64_t k = 0; k < b->count; k++)
                row[t + k * l + d] = n > 0 || a->first > 0 ? b->value[n * b->count + k] : 0;
            row[cols - 1] = a->mean[n * l + d];
        }
    if (!t) return;
    theta[0] = 1;
    theta[cols - 1] = a->theta_mean;
}

static avi_status best_means(avi_optimum *a, avi_best_polynomial *class, int64_t cols, const double *residual)
{
    const int64_t features = class->features;
    const int64_t k = a->thetas + features * a->latent, n = a->residuals;
    double *design = malloc((size_t)(n * k + 1) * sizeof *design), *target = malloc((size_t)(n + 1) * sizeof *target);
    double *w = malloc((size_t)k * sizeof *w), square = 0;
    avi_status status =
        design && target && w ? AVI_OK : avi_fail_memory((size_t)(n * k) * sizeof *design, "least squares");
    class->coefficient = avi_optimum_memory(a, features * a->latent, &status);
    status = avi_agree(a->s->comm, status);
    for (int64_t i = 0; status == AVI_OK && i < n; i++) {
        memcpy(design + i * k, residual + i * cols, (size_t)k * sizeof *design);
        target[i] = residual[i * cols + cols - 1];
    }
    if (status == AVI_OK) status = avi_linalg_least_squares(a->s->comm, n, k, design, 1, target, w, &square);
    if (status == AVI_OK) memcpy(class->coefficient, w + a->thetas, (size_t)(features * a->latent) * sizeof *w);
    class->gap_means = 0.5 * square;
    free(design);
    free(target);
    free(w);
    return status;
}

/* gap_means of every class. */
static avi_status fit_means(avi_optimum *a, const basis *b)
{
    const int64_t cols = a->thetas + b->count * a->latent + 1;
    const size_t bytes = (size_t)(((1 + a->rows) * a->latent + a->residuals) * cols + 1) * sizeof(double);
    double *z = calloc((size_t)((1 + a->rows) * a->latent * cols), sizeof *z),
           *theta = calloc((size_t)cols, sizeof *theta);
    double *residual = malloc((size_t)(a->residuals * cols + 1) * sizeof *residual);
    avi_status status =
        avi_agree(a->s->comm, z && theta && residual ? AVI_OK : avi_fail_memory(bytes, "the best polynomials"));
    if (status == AVI_OK) {
        fill_unknowns(a, b, cols, z, theta);
        status = avi_agree(a->s->comm, a->ops->residuals(a, cols, z, theta, residual));
    }
    for (int d = 0; status == AVI_OK && d <= b->degrees; d++) status = best_means(a, &a->class[d], cols, residual);
    free(z);
    free(theta);
    free(residual);
    return status;
}

/* ---- variances ---- */

/* sum_n excess(p_n exp(2 s_n)) with s = features w, over all ranks; a_n to a when wanted. */
static avi_status variance_gap(const basis *b, int64_t k, const double *w, const double *p, double *ratio, double *gap)
{
    const avi_optimum *a = b->a;
    *gap = 0;
    for (int64_t n = 0; n < a->rows; n++) {
        double s = 0;
        for (int64_t j = 0; j < k; j++) s += b->value[(1 + n) * b->count + j] * w[j];
        ratio[n] = p[n] * exp(2 * s);
        *gap += avi_optimum_excess(ratio[n]);
    }
    return avi_comm_sum_double(a->s->comm, gap, 1);
}

/* The Newton direction: Hessian F' diag(2 a) F, gradient F' (a - 1). */
static avi_status newton_direction(const basis *b, int64_t k, const double *ratio, double *design, double *target,
                                   double *direction)
{
    const avi_optimum *a = b->a;
    for (int64_t n = 0; n < a->rows; n++) {
        const double root = sqrt(2 * ratio[n]);
        for (int64_t j = 0; j < k; j++) design[n * k + j] = root * b->value[(1 + n) * b->count + j];
        target[n] = (1 - ratio[n]) / root;
    }
    return avi_linalg_least_squares(a->s->comm, a->rows, k, design, 1, target, direction, NULL);
}

/* work: (2 k) + (rows) + (rows, k) + (rows). The best log sd of one dimension as a combination of k features; p (rows)
 * its precisions. */
static avi_status newton(const basis *b, int64_t k, const double *p, double mean_precision, double *work, double *gap)
{
    const int64_t rows = b->a->rows;
    double *w = work, *direction = w + k, *ratio = direction + k, *target = ratio + rows, *design = target + rows;
    memset(w, 0, (size_t)k * sizeof *w);
    w[0] = -0.5 * log(mean_precision); /* the best constant */
    AVI_TRY(variance_gap(b, k, w, p, ratio, gap));
    for (int i = 0; i < MAX_NEWTON && k > 1; i++) {
        double step = 1, next = INFINITY;
        AVI_TRY(newton_direction(b, k, ratio, design, target, direction));
        for (int64_t j = 0; j < k; j++) w[j] += direction[j];
        AVI_TRY(variance_gap(b, k, w, p, ratio, &next));
        while (!(next <= *gap) && step > 1e-9) { /* a full step of a convex function may go too far */
            for (int64_t j = 0; j < k; j++) w[j] -= 0.5 * step * direction[j];
            step *= 0.5;
            AVI_TRY(variance_gap(b, k, w, p, ratio, &next));
        }
        const double gain = *gap - next;
        if (next < *gap) *gap = next;
        if (!(gain > 1e-13 * (1 + *gap))) break;
    }
    return AVI_OK;
}

/* Adds the variances of dimension d to the gaps of all classes. Equal precisions: a constant is exact. */
static avi_status fit_dimension(avi_optimum *a, const basis *b, int64_t d, double *p, double *work)
{
    const int64_t l = a->latent;
    double extreme[2] = {-INFINITY, -INFINITY}, sum = 0, gap;
    for (int64_t n = 0; n < a->rows; n++) {
        p[n] = a->precision[(n * l + d) * l + d];
        extreme[0] = fmax(extreme[0], p[n]);
        extreme[1] = fmax(extreme[1], -p[n]);
        sum += p[n];
    }
    AVI_TRY(avi_comm_max_double(a->s->comm, extreme, 2));
    if (extreme[0] == -extreme[1]) return AVI_OK;
    AVI_TRY(avi_comm_sum_double(a->s->comm, &sum, 1));
    for (int c = 0; c <= b->degrees; c++) {
        AVI_TRY(newton(b, b->upto[c], p, sum / (double)a->s->partition.rows, work, &gap));
        a->class[c].gap += gap;
    }
    return AVI_OK;
}

/* Full covariances: the same for all rows in every class, the inverse of the mean precision. */
static avi_status fit_covariances(avi_optimum *a, const basis *b)
{
    const int64_t l = a->latent;
    double log_det = 0, sum = 0, *mean = calloc((size_t)(l * l), sizeof *mean);
    AVI_TRY(avi_agree(a->s->comm, mean ? AVI_OK : avi_fail_memory((size_t)(l * l) * sizeof *mean, "covariances")));
    for (int64_t i = 0; i < a->rows * l * l; i++) mean[i % (l * l)] += a->precision[i] / (double)a->s->partition.rows;
    avi_status status = avi_comm_sum_double(a->s->comm, mean, (size_t)(l * l)), own = AVI_OK;
    for (int64_t n = 0; status == AVI_OK && own == AVI_OK && n < a->rows; n++) {
        own = avi_optimum_block(l, a->precision + n * l * l, &log_det, NULL);
        sum -= 0.5 * log_det;
    }
    if (own == AVI_OK && status == AVI_OK) own = avi_optimum_block(l, mean, &log_det, NULL);
    if (status == AVI_OK) status = avi_agree(a->s->comm, own);
    if (status == AVI_OK) status = avi_comm_sum_double(a->s->comm, &sum, 1);
    sum += 0.5 * log_det * (double)a->s->partition.rows;
    for (int c = 0; c <= b->degrees; c++) a->class[c].gap += sum;
    free(mean);
    return status;
}

static avi_status fit_variances(avi_optimum *a, const basis *b)
{
    for (int c = 0; c <= b->degrees; c++) a->class[c].gap = a->class[c].gap_means;
    if (a->latent > 1 && !strcmp(a->s->family->name, "gaussian_full")) return fit_covariances(a, b);
    const int64_t k = b->count, n = a->rows;
    double *p = malloc((size_t)(n + 1) * sizeof *p), *work = malloc((size_t)(2 * k + 2 * n + n * k + 1) * sizeof *work);
    avi_status status =
        avi_agree(a->s->comm, p && work ? AVI_OK : avi_fail_memory((size_t)(n * k) * sizeof *p, "the best variances"));
    for (int64_t d = 0; status == AVI_OK && d < a->latent; d++) status = fit_dimension(a, b, d, p, work);
    free(p);
    free(work);
    return status;
}

avi_status avi_best_polynomiales(avi_optimum *a)
{
    basis b;
    const int degree = (int)avi_config_get_int(a->s->config, "run", "exact_degree");
    AVI_TRY(make_basis(a, degree, &b));
    for (int d = 0; d <= degree; d++) {
        char name[32];
        if (d)
            snprintf(name, sizeof name, "degree_%d", d);
        else
            snprintf(name, sizeof name, "constant");
        avi_optimum_add_polynomial(a, name, d <= b.degrees ? b.upto[d] : 0, NAN);
        if (d > b.degrees) a->class[d].left_out = "more than 2000 coefficients";
    }
    AVI_TRY(fit_means(a, &b));
    return fit_variances(a, &b);
}
