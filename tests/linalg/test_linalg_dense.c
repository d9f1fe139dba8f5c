/* Dense symmetric matrices against serial LAPACK and closed forms. */
#include "linalg_test.h"

static const int64_t SIZES[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 17, 23, 29, 64, 65, 130, 201};
enum { SIZE_COUNT = sizeof(SIZES) / sizeof(SIZES[0]) };

/* A squared-exponential kernel, as a Gaussian process has it. */
static double kernel(void *self, int64_t i, int64_t j)
{
    const double d = 0.3 * (double)(i - j);
    return *(const double *)self * exp(-0.5 * d * d);
}

static double *serial_kernel(int64_t n, double scale, double jitter)
{
    double *a = numbers((size_t)(n * n));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) a[i * n + j] = kernel(&scale, i, j) + (i == j ? jitter : 0);
    return a;
}

/* The slab of a full (n, k) array. */
static double *slab_of(avi_comm *comm, int64_t n, int64_t k, const double *full)
{
    const int64_t first = slab_first(comm, n), rows = slab_end(comm, n) - first;
    double *slab = numbers((size_t)(rows * k));
    memcpy(slab, full + first * k, (size_t)(rows * k) * sizeof(double));
    return slab;
}

static void check_spd(avi_comm *comm, int64_t n, int64_t k)
{
    double scale = 1.7;
    const double jitter = 0.05;
    int info, size = (int)n, sides = (int)k;
    double *l = serial_kernel(n, scale, jitter), *inverse = numbers((size_t)(n * n)), *b = numbers((size_t)(n * k)),
           *x = numbers((size_t)(n * k));
    double *root = numbers((size_t)(n * k)), *columns = numbers((size_t)(n * k)), log_det = 0,
           *diagonal = numbers((size_t)n);
    for (int64_t i = 0; i < n * k; i++) b[i] = number(i / k, i % k);
    dpotrf_("L", &size, l, &size, &info);
    assert_int_equal(info, 0);
    for (int64_t i = 0; i < n; i++) log_det += 2 * log(l[i * n + i]);
    for (int64_t i = 0; i < n * k; i++) columns[(i % k) * n + i / k] = b[i];
    dpotrs_("L", &size, &sides, l, &size, columns, &size, &info);
    for (int64_t i = 0; i < n * k; i++) x[i] = columns[(i % k) * n + i / k];
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < k; c++)
            for (int64_t j = 0; j <= i; j++)
                root[i * k + c] += l[j * n + i] * b[j * k + c]; /* column-major lower triangle */
    memcpy(inverse, l, (size_t)(n * n) * sizeof(double));
    dpotri_("L", &size, inverse, &size, &info);
    for (int64_t i = 0; i < n; i++) {
        diagonal[i] = inverse[i * n + i];
        for (int64_t j = 0; j < i; j++) inverse[i * n + j] = inverse[j * n + i];
    }

    avi_linalg_spd *spd;
    assert_ok(avi_linalg_spd_create(comm, n, kernel, &scale, jitter, &spd));
    const int64_t rows = slab_end(comm, n) - slab_first(comm, n);
    const double got_log_det = avi_linalg_spd_log_det(spd);
    assert_close(comm, &got_log_det, &log_det, 1, 1e-12);
    for (int pass = 0; pass < 2; pass++) { /* from L, then from L^-1, which the diagonal leaves */
        double *got = slab_of(comm, n, k, b), *want = slab_of(comm, n, k, x);
        assert_ok(avi_linalg_spd_solve(spd, k, got));
        assert_close(comm, got, want, rows * k, 1e-11);
        free(got), free(want);
        got = slab_of(comm, n, k, b), want = slab_of(comm, n, k, root);
        assert_ok(avi_linalg_spd_root(spd, k, got));
        assert_close(comm, got, want, rows * k, 1e-12);
        free(want), want = slab_of(comm, n, k, b);
        assert_ok(avi_linalg_spd_whiten(spd, k, got));
        assert_close(comm, got, want, rows * k, 1e-11);
        free(got), free(want);
        got = numbers((size_t)(rows * n)), want = slab_of(comm, n, n, inverse);
        assert_ok(avi_linalg_spd_inverse_rows(spd, got));
        assert_close(comm, got, want, rows * n, 1e-11);
        free(want), want = slab_of(comm, n, 1, diagonal);
        assert_ok(avi_linalg_spd_inverse_diagonal(spd, got));
        assert_close(comm, got, want, rows, 1e-11);
        free(got), free(want);
    }
    avi_linalg_spd_destroy(&spd);
    assert_null(spd);
    free(l), free(inverse), free(b), free(x), free(root), free(columns), free(diagonal);
}

static void spd_equals_lapack(void **state)
{
    (void)state;
    for (int s = 0; s < SIZE_COUNT; s++) {
        check_spd(world, SIZES[s], 1);
        check_spd(world, SIZES[s], 70);
    }
}

/* Sweeps split the job: matrices live side by side on parts of the ranks. */
static void parts_work_side_by_side(void **state)
{
    (void)state;
    avi_comm *part;
    assert_ok(avi_comm_split(world, world_rank % 2, &part));
    check_spd(part, 41 + 10 * (world_rank % 2), 2);
    avi_comm_destroy(&part);
    assert_ok(avi_comm_split(world, world_rank, &part));
    for (int64_t n = 1; n < 4 + world_rank; n++) check_spd(part, n, 1);
    avi_comm_destroy(&part);
}

/* Two matrices of one communicator do not touch each other, in whatever order they go. */
static void two_live_together(void **state)
{
    (void)state;
    double one = 1, four = 4, b[2] = {1, 1}, want[2], x[2];
    avi_linalg_spd *first, *second, *third;
    assert_ok(avi_linalg_spd_create(world, 2, kernel, &one, 1, &first));
    assert_ok(avi_linalg_spd_create(world, 2, kernel, &four, 1, &second));
    avi_linalg_spd_destroy(&first);
    assert_ok(avi_linalg_spd_create(world, 2, kernel, &one, 1, &third));
    want[0] = want[1] = 1 / (5 + 4 * exp(-0.045)); /* (1, 1) is an eigenvector */
    const int64_t rows = slab_end(world, 2) - slab_first(world, 2);
    memcpy(x, b, sizeof(b));
    assert_ok(avi_linalg_spd_solve(second, 1, x));
    assert_close(world, x, want, rows, 1e-14);
    avi_linalg_spd_destroy(&second);
    memcpy(x, b, sizeof(b));
    want[0] = want[1] = 1 / (2 + exp(-0.045));
    assert_ok(avi_linalg_spd_solve(third, 1, x));
    assert_close(world, x, want, rows, 1e-14);
    avi_linalg_spd_destroy(&third);
}

/* The identity with one entry of the diagonal spoilt. */
typedef struct spoilt {
    int64_t row;
    double value;
} spoilt;

static double spoilt_entry(void *self, int64_t i, int64_t j)
{
    const spoilt *s = self;
    return i != j ? 0 : i == s->row ? s->value : 1;
}

static void refuses_what_is_not_positive_definite(void **state)
{
    (void)state;
    const int64_t n = 150, rows[] = {0, 1, 37, 63, 64, 100, 149};
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        avi_linalg_spd *spd;
        spoilt s = {rows[r], -0.25};
        char text[64];
        snprintf(text, sizeof(text), "pivot %lld (of 1..150)", (long long)rows[r] + 1);
        assert_refused(avi_linalg_spd_create(world, n, spoilt_entry, &s, 0, &spd), AVI_ERR_DATA, text);
        assert_null(spd);
        s.value = NAN;
        snprintf(text, sizeof(text), "entry (%lld, %lld)", (long long)rows[r], (long long)rows[r]);
        assert_refused(avi_linalg_spd_create(world, n, spoilt_entry, &s, 0, &spd), AVI_ERR_DATA, text);
        s.value = -0.25;
        assert_ok(avi_linalg_spd_create(world, n, spoilt_entry, &s, 0.5, &spd));
        const double log_det = avi_linalg_spd_log_det(spd);
        assert_true(fabs(log_det - (149 * log(1.5) + log(0.25))) < 1e-12);
        avi_linalg_spd_destroy(&spd);
    }
}

/* Toeplitz (-1, 2, -1): eigenvalues 2 - 2 cos(pi k / (n + 1)). */
static double second_difference(void *self, int64_t i, int64_t j)
{
    (void)self;
    return i == j ? 2 : i - j == 1 || j - i == 1 ? -1 : 0;
}

static void eigenvalues_of_toeplitz(void **state)
{
    (void)state;
    for (int s = 0; s < SIZE_COUNT; s++) {
        const int64_t n = SIZES[s];
        double *values = numbers((size_t)n), *want = numbers((size_t)n), *vectors = numbers((size_t)(n * n)),
               *sine = numbers((size_t)(n * n));
        for (int64_t k = 0; k < n; k++) want[k] = 2 - 2 * cos(PI * (double)(k + 1) / (double)(n + 1));
        assert_ok(avi_linalg_eigen(world, n, second_difference, NULL, values, 0, NULL));
        assert_close(world, values, want, n, 1e-13);
        assert_ok(avi_linalg_eigen(world, n, second_difference, NULL, values, n, vectors));
        assert_close(world, values, want, n, 1e-13);
        for (int64_t k = 0; k < n;
             k++) { /* sqrt(2/(n+1)) sin(pi (i+1) m / (n+1)), up to sign: compare the projections */
            double dot = 0, square = 0;
            for (int64_t i = 0; i < n; i++) {
                sine[i] = sqrt(2 / (double)(n + 1)) * sin(PI * (double)(i + 1) * (double)(n - k) / (double)(n + 1));
                dot += sine[i] * vectors[k * n + i];
                square += vectors[k * n + i] * vectors[k * n + i];
            }
            assert_true(fabs(fabs(dot) - 1) < 1e-11);
            assert_true(fabs(square - 1) < 1e-12);
        }
        free(values), free(want), free(vectors), free(sine);
    }
}

/* The rule of signs, written here anew. */
static void fix_sign(double *v, int64_t n, int64_t stride)
{
    double largest = 0;
    int64_t i = 0;
    for (int64_t k = 0; k < n; k++) largest = fmax(largest, fabs(v[k * stride]));
    while (fabs(v[i * stride]) < (1 - 1e-6) * largest) i++;
    if (v[i * stride] > 0) return;
    for (int64_t k = 0; k < n; k++) v[k * stride] *= -1;
}

static void eigen_equals_lapack(void **state)
{
    (void)state;
    for (int s = 0; s < SIZE_COUNT; s++) {
        const int64_t n = SIZES[s], keep = n < 3 ? n : 3;
        double *a = numbers((size_t)(n * n)), *work = numbers((size_t)(1 + 6 * n + 2 * n * n)),
               *want = numbers((size_t)n);
        int *iwork = calloc((size_t)(3 + 5 * n), sizeof(int)), size = (int)n, lwork = (int)(1 + 6 * n + 2 * n * n),
            liwork = (int)(3 + 5 * n), info;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j <= i; j++)
                a[i * n + j] = a[j * n + i] = number(i, j) + (i == j ? 3.0 * (double)(i % 7) : 0);
        double *slab = slab_of(world, n, n, a), *values = numbers((size_t)n), *top = numbers((size_t)(keep * n));
        const int64_t first = slab_first(world, n), rows = slab_end(world, n) - first;
        double *vectors = numbers((size_t)(rows * n)), *want_rows = numbers((size_t)(n * n));
        const avi_linalg_dense dense = {a, n};
        assert_ok(avi_linalg_eigen(world, n, avi_linalg_dense_entry, (void *)&dense, values, keep, top));
        double *from_rows = numbers((size_t)n);
        assert_ok(avi_linalg_eigen_rows(world, n, slab, from_rows, vectors));
        dsyevd_("V", "L", &size, a, &size, want, work, &lwork, iwork, &liwork, &info);
        assert_int_equal(info, 0);
        assert_close(world, values, want, n, 1e-13);
        assert_close(world, from_rows, want, n, 1e-13);
        for (int64_t k = 0; k < n; k++) {
            fix_sign(a + k * n, n, 1);
            for (int64_t i = 0; i < n; i++) want_rows[i * n + k] = a[k * n + i];
        }
        assert_close(world, vectors, want_rows + first * n, rows * n, 1e-10);
        for (int64_t k = 0; k < keep; k++) assert_close(world, top + k * n, a + (n - 1 - k) * n, n, 1e-10);
        free(a), free(work), free(want), free(iwork), free(slab), free(values), free(top), free(vectors),
            free(want_rows), free(from_rows);
    }
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(spd_equals_lapack),       cmocka_unit_test(two_live_together),
        cmocka_unit_test(parts_work_side_by_side), cmocka_unit_test(refuses_what_is_not_positive_definite),
        cmocka_unit_test(eigenvalues_of_toeplitz), cmocka_unit_test(eigen_equals_lapack),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv) { return run_linalg_tests(argc, argv, tests); }
