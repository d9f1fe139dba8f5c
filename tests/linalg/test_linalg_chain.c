/* Tridiagonal and block tridiagonal matrices against closed forms and serial dense LAPACK. */
#include "linalg_test.h"

static const int64_t SIZES[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 25, 31, 32, 33, 63, 64, 65, 97, 150};
enum { SIZE_COUNT = sizeof(SIZES) / sizeof(SIZES[0]) };

/* A chain by functions of the row. */
typedef double (*element)(int64_t n, int64_t i);

static avi_linalg_tridiagonal *chain(int64_t n, element diagonal, element off)
{
    const int64_t first = slab_first(world, n), rows = slab_end(world, n) - first;
    double *d = numbers((size_t)rows), *e = numbers((size_t)rows);
    for (int64_t i = 0; i < rows; i++) {
        d[i] = diagonal(n, first + i);
        e[i] = off(n, first + i);
    }
    avi_linalg_tridiagonal *tri;
    assert_ok(avi_linalg_tridiagonal_create(world, n, d, e, &tri));
    free(d), free(e);
    return tri;
}

static double hmm_diagonal(int64_t n, int64_t i) { return i == n - 1 ? 2 : 3; }
static double minus_one(int64_t n, int64_t i) { return i == n - 1 ? NAN : -1; } /* the last row's is not read */
static double two(int64_t n, int64_t i)
{
    (void)n, (void)i;
    return 2;
}
static double any_diagonal(int64_t n, int64_t i)
{
    (void)n;
    return 2.2 + number(i, 7);
}
static double any_off(int64_t n, int64_t i)
{
    (void)n;
    return 0.6 * number(i, 8);
}

/* Posterior precision of the hidden Markov model: minors are Fibonacci numbers, F_{2m+2} from the start, F_{2m+1} from
 * the end. */
static void hmm_precision(void **state)
{
    (void)state;
    double fibonacci[710];
    fibonacci[0] = 0, fibonacci[1] = 1;
    for (int i = 2; i < 710; i++) fibonacci[i] = fibonacci[i - 1] + fibonacci[i - 2];
    for (int64_t n = 1; n <= 350; n += n < 40 ? 1 : 31) {
        avi_linalg_tridiagonal *tri = chain(n, hmm_diagonal, minus_one);
        const int64_t first = slab_first(world, n), rows = slab_end(world, n) - first;
        double *diagonal = numbers((size_t)rows), *off = numbers((size_t)rows),
               log_det = avi_linalg_tridiagonal_log_det(tri), want = log(fibonacci[2 * n + 1]);
        for (int64_t r = 0; r < rows; r++) {
            const int64_t i = first + r;
            diagonal[r] = fibonacci[2 * i + 2] / fibonacci[2 * n + 1] * fibonacci[2 * (n - 1 - i) + 1];
            off[r] = i == n - 1 ? 0 : fibonacci[2 * i + 2] / fibonacci[2 * n + 1] * fibonacci[2 * (n - 2 - i) + 1];
        }
        assert_close(world, &log_det, &want, 1, 1e-14);
        assert_close(world, avi_linalg_tridiagonal_inverse_diagonal(tri), diagonal, rows, 1e-14);
        assert_close(world, avi_linalg_tridiagonal_inverse_off(tri), off, rows, 1e-14);
        double *b = numbers((size_t)rows), *x = numbers((size_t)rows); /* A 1 = (2, 1, ..., 1); n = 1: 2 */
        for (int64_t r = 0; r < rows; r++) x[r] = 1, b[r] = first + r == 0 ? 2 : 1;
        assert_ok(avi_linalg_tridiagonal_solve(tri, 1, b));
        assert_close(world, b, x, rows, 1e-13);
        avi_linalg_tridiagonal_destroy(&tri);
        free(diagonal), free(off), free(b), free(x);
    }
}

/* (-1, 2, -1): determinant n + 1, inverse min(i, j) (n + 1 - max(i, j)) / (n + 1), A^{-1} 1 = i (n + 1 - i) / 2,
 * counting from 1. */
static void second_difference(void **state)
{
    (void)state;
    const int64_t sizes[] = {5, 100, 1001, 20011};
    for (int s = 0; s < 4; s++) {
        const int64_t n = sizes[s];
        avi_linalg_tridiagonal *tri = chain(n, two, minus_one);
        const int64_t first = slab_first(world, n), rows = slab_end(world, n) - first;
        const double log_det = avi_linalg_tridiagonal_log_det(tri), want = log((double)n + 1);
        const double tolerance = 1e-15 * (double)n * (double)n + 1e-13; /* the condition number is about 0.4 n^2 */
        assert_close(world, &log_det, &want, 1, 1e-12 * (double)n);
        double *diagonal = numbers((size_t)rows), *b = numbers((size_t)rows), *x = numbers((size_t)rows);
        for (int64_t r = 0; r < rows; r++) {
            const double i = (double)(first + r + 1), m = (double)n + 1;
            diagonal[r] = i * (m - i) / m;
            x[r] = i * (m - i) / 2;
            b[r] = 1;
        }
        assert_close(world, avi_linalg_tridiagonal_inverse_diagonal(tri), diagonal, rows, tolerance);
        assert_ok(avi_linalg_tridiagonal_solve(tri, 1, b));
        assert_close(world, b, x, rows, tolerance);
        avi_linalg_tridiagonal_destroy(&tri);
        free(diagonal), free(b), free(x);
    }
}

static void tridiagonal_equals_dense(void **state)
{
    (void)state;
    for (int s = 0; s < SIZE_COUNT; s++) {
        const int64_t n = SIZES[s], k = 3, first = slab_first(world, n), rows = slab_end(world, n) - first;
        avi_linalg_tridiagonal *tri = chain(n, any_diagonal, any_off);
        double *a = numbers((size_t)(n * n)), *b = numbers((size_t)(n * k)), *x = numbers((size_t)(n * k)),
               *got = numbers((size_t)(rows * k));
        double *product = numbers((size_t)(n * k)), forms[9] = {0}, want_forms[9] = {0};
        for (int64_t i = 0; i < n; i++) {
            a[i * n + i] = any_diagonal(n, i);
            if (i + 1 < n) a[i * n + i + 1] = a[(i + 1) * n + i] = any_off(n, i);
        }
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < k; c++) x[c * n + i] = b[i * k + c] = number(i, 20 + c);
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < k; c++)
                for (int64_t j = 0; j < n; j++) product[i * k + c] += a[i * n + j] * b[j * k + c];
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < 9; c++) want_forms[c] += b[i * k + c / 3] * product[i * k + c % 3];
        int size = (int)n, sides = (int)k, info;
        dpotrf_("L", &size, a, &size, &info);
        assert_int_equal(info, 0);
        dpotrs_("L", &size, &sides, a, &size, x, &size, &info);
        double *solution = numbers((size_t)(n * k));
        for (int64_t i = 0; i < n * k; i++) solution[i] = x[(i % k) * n + i / k];

        memcpy(got, b + first * k, (size_t)(rows * k) * sizeof(double));
        assert_ok(avi_linalg_tridiagonal_solve(tri, k, got));
        assert_close(world, got, solution + first * k, rows * k, 1e-12);
        assert_ok(avi_linalg_tridiagonal_multiply(tri, k, got));
        assert_close(world, got, b + first * k, rows * k, 1e-12);
        assert_ok(avi_linalg_tridiagonal_multiply(tri, k, got));
        assert_close(world, got, product + first * k, rows * k, 1e-12);
        memcpy(got, b + first * k, (size_t)(rows * k) * sizeof(double));
        assert_ok(avi_linalg_tridiagonal_whiten(tri, k, got));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t c = 0; c < 9; c++) forms[c] += got[i * k + c / 3] * got[i * k + c % 3];
        assert_ok(avi_comm_sum_double(world, forms, 9));
        assert_close(world, forms, want_forms, 9, 1e-12);
        double log_det = 0, got_log_det = avi_linalg_tridiagonal_log_det(tri);
        for (int64_t i = 0; i < n; i++) log_det += 2 * log(a[i * n + i]);
        assert_close(world, &got_log_det, &log_det, 1, 1e-13);
        avi_linalg_tridiagonal_destroy(&tri);
        free(a), free(b), free(x), free(got), free(product), free(solution);
    }
}

static void refuses_what_is_not_positive_definite(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 60; n += 9) {
        for (int64_t bad = 0; bad < n; bad++) {
            const int64_t first = slab_first(world, n), rows = slab_end(world, n) - first;
            double *d = numbers((size_t)rows), *e = numbers((size_t)rows);
            for (int64_t r = 0; r < rows; r++) d[r] = first + r == bad ? 0.1 : 2, e[r] = 1;
            if (bad == 0 && rows > 0 && first == 0) d[0] = -1;
            avi_linalg_tridiagonal *tri;
            char text[64];
            snprintf(text, sizeof(text), "the pivot of row %lld (of", (long long)bad);
            assert_refused(avi_linalg_tridiagonal_create(world, n, d, e, &tri), AVI_ERR_DATA, text);
            assert_null(tri);
            for (int64_t r = 0; r < rows; r++) d[r] = first + r == bad ? NAN : 2;
            snprintf(text, sizeof(text), "row %lld of a tridiagonal matrix is", (long long)bad);
            assert_refused(avi_linalg_tridiagonal_create(world, n, d, e, &tri), AVI_ERR_DATA, text);
            free(d), free(e);
        }
    }
}

/* Block tridiagonal, as a dense matrix: block (i, i) = M_i M_i' + 3 l, block (i + 1, i) any. */
static void check_blocks(int64_t n, int64_t l)
{
    const int64_t size = n * l;
    double *dense = numbers((size_t)(size * size)), *diagonal = numbers((size_t)(n * l * l)),
           *off = numbers((size_t)(n * l * l));
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < l; i++)
            for (int64_t j = 0; j < l; j++) {
                double v = i == j ? 3.0 * (double)l : 0;
                for (int64_t p = 0; p < l; p++) v += number(b * l + i, p) * number(b * l + j, p);
                diagonal[(b * l + i) * l + j] = dense[(b * l + i) * size + b * l + j] = v;
                if (b + 1 == n) continue;
                off[(b * l + i) * l + j] = number(b * l + i, 50 + j);
                dense[((b + 1) * l + i) * size + b * l + j] = dense[(b * l + j) * size + (b + 1) * l + i] =
                    off[(b * l + i) * l + j];
            }
    avi_linalg_blocks *blocks;
    assert_ok(avi_linalg_blocks_create(n, l, diagonal, n > 1 ? off : NULL, &blocks));
    double *x = numbers((size_t)size), *want = numbers((size_t)size), log_det = 0,
           got_log_det = avi_linalg_blocks_log_det(blocks);
    for (int64_t i = 0; i < size; i++) x[i] = want[i] = number(i, 99);
    int rows = (int)size, one = 1, info;
    dpotrf_("L", &rows, dense, &rows, &info);
    assert_int_equal(info, 0);
    for (int64_t i = 0; i < size; i++) log_det += 2 * log(dense[i * size + i]);
    dpotrs_("L", &rows, &one, dense, &rows, want, &rows, &info);
    avi_linalg_blocks_solve(blocks, x);
    assert_close(world, x, want, size, 1e-13);
    assert_close(world, &got_log_det, &log_det, 1, 1e-13);
    dpotri_("L", &rows, dense, &rows, &info); /* column-major lower triangle: entry (i, j), i >= j, at j size + i */
    double *inverse = numbers((size_t)(n * l * l)), *inverse_off = numbers((size_t)(n * l * l));
    assert_ok(avi_linalg_blocks_inverse(blocks, inverse, inverse_off));
    for (int64_t b = 0; b < n; b++)
        for (int64_t i = 0; i < l; i++)
            for (int64_t j = 0; j < l; j++) {
                const int64_t r = b * l + i, c = b * l + j;
                diagonal[r * l + j] = r >= c ? dense[c * size + r] : dense[r * size + c];
                if (b + 1 < n) off[r * l + j] = dense[c * size + r + l];
            }
    assert_close(world, inverse, diagonal, n * l * l, 1e-14);
    assert_close(world, inverse_off, off, (n - 1) * l * l, 1e-14);
    avi_linalg_blocks_destroy(&blocks);
    free(dense), free(diagonal), free(off), free(x), free(want), free(inverse), free(inverse_off);
}

static void blocks_equal_dense(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 12; n += 2)
        for (int64_t l = 1; l < 6; l++) check_blocks(n, l);
    const double bad[8] = {2, 0, 0, 2, 1, 0, 0, 1}, off[4] = {0, 0, 0, 3};
    avi_linalg_blocks *blocks;
    assert_refused(avi_linalg_blocks_create(2, 2, bad, off, &blocks), AVI_ERR_DATA, "row 1 of block 1");
    assert_null(blocks);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(hmm_precision),
        cmocka_unit_test(second_difference),
        cmocka_unit_test(tridiagonal_equals_dense),
        cmocka_unit_test(refuses_what_is_not_positive_definite),
        cmocka_unit_test(blocks_equal_dense),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv) { return run_linalg_tests(argc, argv, tests); }
