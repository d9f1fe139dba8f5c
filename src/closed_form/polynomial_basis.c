#include "closed_form/polynomial_basis.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Features and a design larger than this are left out, and the answer says so. */
enum { MAX_FEATURES = 2000, MAX_EXPONENTS = 1000000 };

/* A feature whose part that the features before it do not explain is shorter than 1e-6 of it is dropped: what it could
 * add is below rounding. */
static const double DEPENDENT = 1e-12;

static int64_t polynomial_count(int64_t inputs, int degree)
{
    const int64_t w = degree ? avi_polynomial_width(inputs, degree) : 0;
    return w > MAX_FEATURES ? 0 : w + 1;
}

/* Also their exponents (monomials, width), unless NULL. */
static void find_monomials(avi_basis *b, int64_t *exponent)
{
    const int64_t width = b->a->width;
    int64_t begin = 0, end = 1;
    for (int d = 1; d <= b->degrees; d++) {
        int64_t at = end;
        for (int64_t p = begin; p < end; p++)
            for (int64_t v = d == 1 ? 0 : b->last[p]; v < width; v++, at++) {
                b->parent[at] = p;
                b->last[at] = v;
            }
        begin = end;
        end = at;
    }
    for (int64_t k = 1; exponent && k < b->monomials; k++) {
        memcpy(exponent + k * width, exponent + b->parent[k] * width, (size_t)width * sizeof *exponent);
        exponent[k * width + b->last[k]]++;
    }
}

/* All monomials of datapoint n, -1 <= n < rows: (monomials). */
static const double *monomials_of(const avi_basis *b, int64_t n)
{
    double *f = b->all;
    avi_optimum_domain(b->a, n, b->domain);
    f[0] = 1;
    for (int64_t k = 1; k < b->monomials; k++) f[k] = f[b->parent[k]] * b->domain[b->last[k]];
    return f;
}

void avi_basis_features(const avi_basis *b, int64_t n, int64_t k, double *out)
{
    const double *f = monomials_of(b, n);
    for (int64_t i = 0, at = 0; at < k; i++)
        if (b->keep[i]) out[at++] = f[i];
}

/* F' F of all monomials over all ranks: g (monomials, monomials), lower triangle. */
static avi_status gram(const avi_basis *b, double *g)
{
    const avi_optimum *a = b->a;
    const int64_t k = b->monomials, most = k > 256 ? k : 256, block = a->rows < most ? a->rows : most;
    double *value = malloc((size_t)(block * k + 1) * sizeof *value);
    AVI_TRY(avi_agree_memory(a->s->comm, value, (size_t)(block * k) * sizeof *value, "features"));
    for (int64_t first = 0; first < a->rows; first += block) {
        const int64_t count = a->rows - first < block ? a->rows - first : block;
        for (int64_t n = 0; n < count; n++)
            memcpy(value + n * k, monomials_of(b, first + n), (size_t)k * sizeof *value);
        avi_linalg_add_gram(count, k, value, g);
    }
    free(value);
    return avi_comm_sum_double(a->s->comm, g, (size_t)(k * k));
}

/* Marks the features that do not depend on those before them: Cholesky of their Gram matrix, scaled to a unit diagonal.
 * Same on all ranks. */
static avi_status mark_independent(avi_basis *b)
{
    const avi_optimum *a = b->a;
    const int64_t k = b->monomials;
    double *g = calloc((size_t)(k * k), sizeof *g);
    AVI_TRY(avi_agree_memory(a->s->comm, g, (size_t)(k * k) * sizeof *g, "features"));
    avi_status status = gram(b, g);
    for (int64_t i = 0, kept = 0; status == AVI_OK && i < k; kept += b->keep[i++]) {
        const double whole = g[i * k + i];
        for (int64_t j = 0; j < i; j++) {
            double sum = g[i * k + j];
            for (int64_t m = 0; m < j; m++) sum -= g[i * k + m] * g[j * k + m];
            g[i * k + j] = b->keep[j] ? sum / g[j * k + j] : 0;
            g[i * k + i] -= g[i * k + j] * g[i * k + j];
        }
        b->keep[i] = whole > 0 && g[i * k + i] > DEPENDENT * whole && kept < a->s->partition.rows;
        g[i * k + i] = b->keep[i] ? sqrt(g[i * k + i]) : 1;
    }
    free(g);
    return status;
}

static void compress(avi_basis *b)
{
    avi_optimum *a = b->a;
    b->count = 0;
    for (int64_t k = 0, d = 0; k < b->monomials; k++) {
        if (b->keep[k] && a->monomial)
            memmove(a->monomial + b->count * a->width, a->monomial + k * a->width,
                    (size_t)a->width * sizeof *a->monomial);
        b->count += b->keep[k];
        while (d <= b->degrees && b->in_all[d] == k + 1) b->upto[d++] = b->count;
    }
    a->monomials = b->count;
}

static avi_status allocate_basis(avi_optimum *a, avi_basis *b)
{
    const int64_t count = b->monomials;
    avi_status status = AVI_OK;
    b->parent = avi_fields_memory(&a->fields, (size_t)count * sizeof *b->parent);
    b->last = avi_fields_memory(&a->fields, (size_t)count * sizeof *b->last);
    b->keep = avi_fields_memory(&a->fields, (size_t)count * sizeof *b->keep);
    b->all = avi_optimum_memory(a, count, &status);
    b->domain = avi_optimum_memory(a, a->width, &status);
    if (count * a->width <= MAX_EXPONENTS)
        a->monomial = avi_fields_memory(&a->fields, (size_t)(count * a->width) * sizeof *a->monomial);
    if (b->parent && b->last && b->keep && (a->monomial || count * a->width > MAX_EXPONENTS)) return status;
    return avi_fail_memory((size_t)(count * (a->width + 3)) * sizeof *a->monomial, "features");
}

avi_status avi_basis_make(avi_optimum *a, int degree, avi_basis *b)
{
    *b = (avi_basis){.a = a};
    for (int d = 0; d <= degree; d++) {
        b->in_all[d] = polynomial_count(a->width, d);
        if (b->in_all[d]) b->degrees = d;
    }
    b->monomials = b->in_all[b->degrees];
    AVI_TRY(avi_agree(a->s->comm, allocate_basis(a, b)));
    find_monomials(b, a->monomial);
    AVI_TRY(mark_independent(b));
    compress(b);
    return AVI_OK;
}
