/* Mean, covariance and least squares of rows spread over ranks, against textbook sums and serial LAPACK. */
#include "linalg_test.h"

/* Rows of rank r: uneven on purpose, none on rank 1. */
static int64_t rows_of(int64_t n, int rank, int ranks)
{
    if (ranks == 1) return n;
    if (rank == 1) return 0;
    if (ranks == 2) return n;
    return rank == 0 ? n - (ranks - 2) * (n / ranks) : n / ranks;
}

static int64_t first_row(int64_t n)
{
    int64_t first = 0;
    for (int r = 0; r < world_rank; r++) first += rows_of(n, r, world_size);
    return first;
}

static double cell(int64_t i, int64_t j, double centre)
{
    return centre + (1 + 0.1 * (double)j) * number(i, j) + (j > 0 ? 0.5 * number(i, j - 1) : 0);
}

static void check_covariance(int64_t n, int64_t d, double centre, double tolerance)
{
    const int64_t first = first_row(n), rows = rows_of(n, world_rank, world_size);
    double *x = numbers((size_t)(rows * d)), *mean = numbers((size_t)d), *covariance = numbers((size_t)(d * d)),
           *want_mean = numbers((size_t)d), *want = numbers((size_t)(d * d));
    for (int64_t i = 0; i < rows * d; i++) x[i] = cell(first + i / d, i % d, centre);
    for (int64_t i = 0; i < n; i++) /* about zero, where nothing cancels */
        for (int64_t j = 0; j < d; j++) want_mean[j] += cell(i, j, 0) / (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            for (int64_t k = 0; k < d; k++)
                want[j * d + k] += (cell(i, j, 0) - want_mean[j]) * (cell(i, k, 0) - want_mean[k]) / (double)n;
    for (int64_t j = 0; j < d; j++) want_mean[j] += centre;
    assert_ok(avi_linalg_covariance(world, rows, d, x, mean, covariance));
    assert_close(world, mean, want_mean, d, 1e-14);
    assert_close(world, covariance, want, d * d, tolerance);

    avi_linalg_moments *moments;
    int64_t count = 0, half = rows / 3;
    assert_ok(avi_linalg_moments_create(d, &moments));
    assert_ok(avi_linalg_moments_add(moments, half, x));
    assert_ok(avi_linalg_moments_add(moments, 0, x));
    assert_ok(avi_linalg_moments_add(moments, rows - half, x + half * d));
    for (int again = 0; again < 2; again++) {
        assert_ok(avi_linalg_moments_allreduce(moments, world, &count, mean, covariance));
        assert_int_equal(count, n);
        assert_close(world, mean, want_mean, d, 1e-14);
        assert_close(world, covariance, want, d * d, tolerance);
    }
    avi_linalg_moments_destroy(&moments);
    free(x), free(mean), free(covariance), free(want_mean), free(want);
}

static void covariance_equals_sums(void **state)
{
    (void)state;
    const int64_t sizes[] = {1, 2, 5, 100, 777, 1500};
    for (int s = 0; s < 6; s++) {
        check_covariance(sizes[s], 1, 0, 1e-13);
        check_covariance(sizes[s], 9, 3, 1e-13);
        check_covariance(sizes[s], 4, 1e8, 1e-7); /* the input itself is rounded to 1e-8 */
    }
    double none[4], x[2] = {1, world_rank == world_size - 1 ? NAN : 2};
    assert_refused(avi_linalg_covariance(world, 0, 2, none, none, none), AVI_ERR_DATA, "no rows");
    double mean[2], covariance[4];
    assert_refused(avi_linalg_covariance(world, 1, 2, x, mean, covariance), AVI_ERR_DATA, "not finite");
}

static void check_least_squares(int64_t n, int64_t k, int64_t m, double stretch)
{
    const int64_t first = first_row(n), rows = rows_of(n, world_rank, world_size);
    double *a = numbers((size_t)(n * k)), *y = numbers((size_t)(n * m)), *at = numbers((size_t)(n * k)),
           *yt = numbers((size_t)(n * m));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < k; j++)
            at[j * n + i] = a[i * k + j] = pow(stretch, (double)j) * (number(i, j) + (j == 0 ? 2 : 0));
        for (int64_t c = 0; c < m; c++) yt[c * n + i] = y[i * m + c] = number(i, 40 + c);
    }
    double *w = numbers((size_t)(k * m)), *want = numbers((size_t)(k * m)), *residual = numbers((size_t)m),
           *want_residual = numbers((size_t)m), work[20000];
    int in = (int)n, ik = (int)k, im = (int)m, lwork = 20000, info;
    assert_ok(avi_linalg_least_squares(world, rows, k, a + first * k, m, y + first * m, w, residual));
    dgels_("N", &in, &ik, &im, at, &in, yt, &in, work, &lwork, &info);
    assert_int_equal(info, 0);
    for (int64_t c = 0; c < m; c++) {
        for (int64_t j = 0; j < k; j++) {
            w[j * m + c] *= pow(stretch, (double)j);
            want[j * m + c] = yt[c * n + j] * pow(stretch, (double)j);
        }
        for (int64_t i = k; i < n; i++) want_residual[c] += yt[c * n + i] * yt[c * n + i];
    }
    assert_close(world, w, want, k * m, 1e-10);
    assert_close(world, residual, want_residual, m, 1e-12);
    assert_ok(avi_linalg_least_squares(world, rows, k, a + first * k, m, y + first * m, w, NULL));
    free(a), free(y), free(at), free(yt), free(w), free(want), free(residual), free(want_residual);
}

static void least_squares_equals_lapack(void **state)
{
    (void)state;
    for (int64_t k = 1; k < 9; k += 3)
        for (int64_t m = 1; m < 4; m++) {
            check_least_squares(k, k, m, 1); /* as many rows as columns */
            check_least_squares(k + 1, k, m, 1);
            check_least_squares(10, k, m, 1);
            check_least_squares(311, k, m, 50);
        }
    check_least_squares(500, 70, 40, 1);
    check_least_squares(61, 60, 33, 1);
}

static void least_squares_refuses(void **state)
{
    (void)state;
    const int64_t n = 40, first = first_row(n), rows = rows_of(n, world_rank, world_size);
    double *a = numbers((size_t)(n * 3)), *y = numbers((size_t)n), w[3];
    for (int64_t i = 0; i < n; i++) {
        a[i * 3] = number(i, 0), a[i * 3 + 1] = number(i, 1), y[i] = number(i, 2);
        a[i * 3 + 2] = 2 * a[i * 3] - 1e3 * a[i * 3 + 1];
    }
    assert_refused(avi_linalg_least_squares(world, rows, 3, a + first * 3, 1, y + first, w, NULL), AVI_ERR_DATA,
                   "column 2 depends");
    for (int64_t i = 0; i < n; i++) a[i * 3 + 1] = 0;
    assert_refused(avi_linalg_least_squares(world, rows, 3, a + first * 3, 1, y + first, w, NULL), AVI_ERR_DATA,
                   "column 1 is zero");
    y[n - 1] = NAN;
    assert_refused(avi_linalg_least_squares(world, rows, 3, a + first * 3, 1, y + first, w, NULL), AVI_ERR_DATA,
                   "of the right-hand side");
    assert_refused(avi_linalg_least_squares(world, world_rank == 0 ? 2 : 0, 3, a, 1, y, w, NULL), AVI_ERR_DATA,
                   "2 rows cannot determine 3 columns");
    free(a), free(y);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(covariance_equals_sums),
        cmocka_unit_test(least_squares_equals_lapack),
        cmocka_unit_test(least_squares_refuses),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv) { return run_linalg_tests(argc, argv, tests); }
