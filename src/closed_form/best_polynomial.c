/* How close polynomials of the configured domain can come to the F-VI optimum: means by least squares, variances by
 * Newton's method on a convex function, each step of which is least squares again. No optimizer, no draws. Features are
 * made anew for each block of rows and least squares take a block at a time, so that memory is that of the features
 * times themselves and does not grow with the rows. */
#include "closed_form/optimum.h"
#include "closed_form/polynomial_basis.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NEWTON = 60 };

void avi_optimum_add_polynomial(avi_optimum *a, const char *name, int64_t features, double gap)
{
    if (a->classes == AVI_BEST_POLYNOMIALS) return;
    avi_best_polynomial *c = &a->class[a->classes++];
    *c = (avi_best_polynomial){.features = features, .gap = gap, .gap_means = gap};
    snprintf(c->name, sizeof c->name, "%s", name);
}

/* ---- means ---- */

typedef struct means {
    const avi_basis *b;
    int64_t cols;
    double *feature; /* (count) */
    avi_linalg_triangle *triangle;
} means;

/* Columns: theta, features x dimensions, and the F-VI optimum, which is the target. */
static void fill_unknowns(void *self, int64_t first, int64_t count, double *z)
{
    const means *m = self;
    const avi_optimum *a = m->b->a;
    const int64_t l = a->latent, t = a->thetas;
    memset(z, 0, (size_t)(count * l * m->cols) * sizeof *z);
    for (int64_t n = first; n < first + count; n++) {
        avi_basis_features(m->b, n, m->b->count, m->feature);
        for (int64_t d = 0; d < l; d++, z += m->cols) {
            for (int64_t k = 0; k < m->b->count; k++) z[t + k * l + d] = m->feature[k];
            z[m->cols - 1] = a->mean[(1 + n) * l + d];
        }
    }
}

static avi_status take_residuals(void *self, int64_t first, int64_t count, int64_t rows, const double *out)
{
    const means *m = self;
    const int64_t most = avi_optimum_block_rows(m->b->a, m->cols);
    (void)first, (void)count;
    for (int64_t at = 0; at < rows; at += most) {
        double *room;
        const int64_t part = rows - at < most ? rows - at : most;
        AVI_TRY(avi_linalg_triangle_room(m->triangle, part, &room));
        memcpy(room, out + at * m->cols, (size_t)(part * m->cols) * sizeof *room);
    }
    return AVI_OK;
}

static avi_status best_means(avi_optimum *a, avi_best_polynomial *class, avi_linalg_triangle *triangle)
{
    const int64_t features = class->features * a->latent, k = a->thetas + features;
    double *w = malloc((size_t)k * sizeof *w), square = 0;
    avi_status status = w ? AVI_OK : avi_fail_memory((size_t)k * sizeof *w, "least squares");
    class->coefficient = avi_optimum_memory(a, features, &status);
    status = avi_agree(a->s->comm, status);
    if (status == AVI_OK) status = avi_linalg_triangle_solve(triangle, a->s->comm, k, w, &square);
    if (status == AVI_OK) memcpy(class->coefficient, w + a->thetas, (size_t)features * sizeof *w);
    class->gap_means = 0.5 * square;
    free(w);
    return status;
}

/* gap_means of every class: the columns of a lower degree come first, so one triangle serves all. */
static avi_status fit_means(avi_optimum *a, const avi_basis *b)
{
    means m = {.b = b, .cols = a->thetas + b->count * a->latent + 1};
    double *theta = calloc((size_t)m.cols, sizeof *theta);
    m.feature = malloc((size_t)b->count * sizeof *m.feature);
    avi_status status = avi_linalg_triangle_create(m.cols, avi_optimum_block_rows(a, m.cols), &m.triangle);
    if (status == AVI_OK && (!theta || !m.feature))
        status = avi_fail_memory((size_t)m.cols * sizeof *theta, "the best polynomials");
    status = avi_agree(a->s->comm, status);
    if (status == AVI_OK && a->thetas) {
        theta[0] = 1;
        theta[m.cols - 1] = a->theta_mean;
    }
    const avi_optimum_blocks blocks = {
        .cols = m.cols, .theta = theta, .self = &m, .fill = fill_unknowns, .take = take_residuals};
    if (status == AVI_OK) status = avi_optimum_residuals(a, &blocks);
    for (int d = 0; status == AVI_OK && d <= b->degrees; d++) status = best_means(a, &a->class[d], m.triangle);
    avi_linalg_triangle_destroy(&m.triangle);
    free(m.feature);
    free(theta);
    return status;
}

/* ---- variances ---- */

/* One dimension and one class: log sds s = features w, ratios a_n = p_n exp(2 s_n). */
typedef struct variances {
    const avi_basis *b;
    int64_t k, dimension;
    double *w, *direction; /* (k) */
    double *feature;       /* (k) */
} variances;

static double precision_of(const variances *v, int64_t n)
{
    const int64_t l = v->b->a->latent;
    return v->b->a->precision[(n * l + v->dimension) * l + v->dimension];
}

/* Features of row n into v->feature. */
static double ratio_of(const variances *v, int64_t n)
{
    double s = 0;
    avi_basis_features(v->b, n, v->k, v->feature);
    for (int64_t j = 0; j < v->k; j++) s += v->feature[j] * v->w[j];
    return precision_of(v, n) * exp(2 * s);
}

/* sum_n excess(a_n), over all ranks. */
static avi_status variance_gap(const variances *v, double *gap)
{
    const avi_optimum *a = v->b->a;
    *gap = 0;
    for (int64_t n = 0; n < a->rows; n++) *gap += avi_optimum_excess(ratio_of(v, n));
    return avi_comm_sum_double(a->s->comm, gap, 1);
}

/* The Newton direction: Hessian F' diag(2 a) F, gradient F' (a - 1). */
static avi_status newton_direction(const variances *v)
{
    const avi_optimum *a = v->b->a;
    const int64_t k = v->k, most = k > 256 ? 2 * k : 512, block = a->rows < most ? a->rows : most;
    avi_linalg_triangle *triangle;
    avi_status status = avi_agree(a->s->comm, avi_linalg_triangle_create(k + 1, block > 0 ? block : 1, &triangle)),
               own = AVI_OK;
    for (int64_t first = 0; status == AVI_OK && own == AVI_OK && first < a->rows; first += block) {
        const int64_t count = a->rows - first < block ? a->rows - first : block;
        double *row;
        own = avi_linalg_triangle_room(triangle, count, &row);
        for (int64_t n = 0; own == AVI_OK && n < count; n++, row += k + 1) {
            const double ratio = ratio_of(v, first + n), root = sqrt(2 * ratio);
            for (int64_t j = 0; j < k; j++) row[j] = root * v->feature[j];
            row[k] = (1 - ratio) / root;
        }
    }
    if (status == AVI_OK) status = avi_agree(a->s->comm, own);
    if (status == AVI_OK) status = avi_linalg_triangle_solve(triangle, a->s->comm, k, v->direction, NULL);
    avi_linalg_triangle_destroy(&triangle);
    return status;
}

static const double ROUNDING = 1e-13; /* of a gap */

/* The best log sd of one dimension as a combination of k features. */
static avi_status newton(const variances *v, double mean_precision, double *gap)
{
    const int64_t k = v->k;
    double *w = v->w;
    memset(w, 0, (size_t)k * sizeof *w);
    w[0] = -0.5 * log(mean_precision); /* the best constant */
    AVI_TRY(variance_gap(v, gap));
    for (int i = 0; i < MAX_NEWTON && k > 1; i++) {
        double step = 1, next = INFINITY;
        AVI_TRY(newton_direction(v));
        for (int64_t j = 0; j < k; j++) w[j] += v->direction[j];
        AVI_TRY(variance_gap(v, &next));
        /* A full step of a convex function may go too far. At the optimum it may be above by rounding: halving it until
         * that goes away would take thirty passes over the rows, or none, as luck has it. */
        while (!(next <= *gap + ROUNDING * (1 + *gap)) && step > 1e-9) {
            for (int64_t j = 0; j < k; j++) w[j] -= 0.5 * step * v->direction[j];
            step *= 0.5;
            AVI_TRY(variance_gap(v, &next));
        }
        const double gain = *gap - next;
        if (next < *gap) *gap = next;
        if (!(gain > ROUNDING * (1 + *gap))) break;
    }
    return AVI_OK;
}

/* Adds the variances of dimension d to the gaps of all classes. Equal precisions: a constant is exact. */
static avi_status fit_dimension(avi_optimum *a, variances *v)
{
    double extreme[2] = {-INFINITY, -INFINITY}, sum = 0, gap;
    for (int64_t n = 0; n < a->rows; n++) {
        const double p = precision_of(v, n);
        extreme[0] = fmax(extreme[0], p);
        extreme[1] = fmax(extreme[1], -p);
        sum += p;
    }
    AVI_TRY(avi_comm_max_double(a->s->comm, extreme, 2));
    if (extreme[0] == -extreme[1]) return AVI_OK;
    AVI_TRY(avi_comm_sum_double(a->s->comm, &sum, 1));
    for (int c = 0; c <= v->b->degrees; c++) {
        v->k = v->b->upto[c];
        AVI_TRY(newton(v, sum / (double)a->s->partition.rows, &gap));
        a->class[c].gap += gap;
    }
    return AVI_OK;
}

/* Full covariances: the same for all rows in every class, the inverse of the mean precision. */
static avi_status fit_covariances(avi_optimum *a, const avi_basis *b)
{
    const int64_t l = a->latent;
    double log_det = 0, sum = 0, *mean = calloc((size_t)(l * l), sizeof *mean);
    AVI_TRY(avi_agree_memory(a->s->comm, mean, (size_t)(l * l) * sizeof *mean, "covariances"));
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

static avi_status fit_variances(avi_optimum *a, const avi_basis *b)
{
    for (int c = 0; c <= b->degrees; c++) a->class[c].gap = a->class[c].gap_means;
    if (a->latent > 1 && avi_family_is(a->s->family, "gaussian_full")) return fit_covariances(a, b);
    double *work = malloc((size_t)(3 * b->count) * sizeof *work);
    avi_status status = avi_agree(
        a->s->comm, work ? AVI_OK : avi_fail_memory((size_t)(3 * b->count) * sizeof *work, "the best variances"));
    variances v = {.b = b, .w = work, .direction = work + b->count, .feature = work + 2 * b->count};
    for (; status == AVI_OK && v.dimension < a->latent; v.dimension++) status = fit_dimension(a, &v);
    free(work);
    return status;
}

avi_status avi_best_polynomials_find(avi_optimum *a)
{
    avi_basis b;
    const int degree = (int)avi_config_get_int(a->s->config, "run", "exact_degree");
    AVI_TRY(avi_basis_make(a, degree, &b));
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
