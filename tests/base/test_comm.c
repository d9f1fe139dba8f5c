/* The communicator at any number of ranks. Expected values are closed forms in the rank r and the number of ranks P.
 * With the argument "fatal" it makes an MPI error instead, for comm_fatal.sh. */
#include "base/comm_mpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of OpenBLAS; with another BLAS they are not there. */
int openblas_get_num_threads(void) __attribute__((weak));
void openblas_set_num_threads(int threads) __attribute__((weak));

static avi_comm *world;
static int P, self;

/* Uncut messages, then messages cut so small that everything needs many. */
static const size_t limits[][2] = {{(size_t)1 << 30, 2147483647}, {24, 3}, {1, 1}};
enum { LIMITS = 3 };

static void limit(int i) { avi_comm_limit(world, limits[i][0], limits[i][1]); }

static int restore(void **state)
{
    (void)state;
    limit(0);
    avi_error_clear();
    return 0;
}

static void facts(void **state)
{
    (void)state;
    int rank, size;
    assert_int_equal(MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_SUCCESS);
    assert_int_equal(MPI_Comm_size(MPI_COMM_WORLD, &size), MPI_SUCCESS);
    assert_int_equal(self, rank);
    assert_int_equal(P, size);
    assert_true(strlen(avi_comm_host()) > 0);
    assert_non_null(strstr(avi_comm_library(), "."));
    assert_null(strchr(avi_comm_library(), '\n'));
    if (openblas_get_num_threads) assert_int_equal(openblas_get_num_threads(), 1);
    const double before = avi_seconds();
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    assert_true(before > 0 && avi_seconds() >= before);
}

static void starting_twice_is_refused(void **state)
{
    (void)state;
    avi_comm *second = world;
    assert_int_equal(avi_comm_start(NULL, NULL, &second), AVI_ERR_INTERNAL);
    assert_null(second);
    assert_non_null(strstr(avi_error_text(), "started before"));
}

static void sums(void **state)
{
    (void)state;
    enum { N = 10 };
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        double d[N + 1];
        float f[N + 1];
        int64_t k[N + 1];
        const int64_t large = ((int64_t)1 << 53) + 1; /* no double holds it */
        for (int i = 0; i <= N; i++) {
            d[i] = self + i;
            f[i] = (float)(self + i);
            k[i] = large + i;
        }
        assert_int_equal(avi_comm_sum_double(world, d, N), AVI_OK);
        assert_int_equal(avi_comm_sum_float(world, f, N), AVI_OK);
        assert_int_equal(avi_comm_sum_int64(world, k, N), AVI_OK);
        for (int i = 0; i < N; i++) {
            assert_true(d[i] == P * i + P * (P - 1) / 2);
            assert_true(f[i] == (float)(P * i + P * (P - 1) / 2));
            assert_true(k[i] == P * (large + i));
        }
        assert_true(d[N] == self + N && f[N] == (float)(self + N) && k[N] == large + N);
        assert_int_equal(avi_comm_sum_double(world, NULL, 0), AVI_OK);
    }
}

static void maxima(void **state)
{
    (void)state;
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        double d[5];
        int64_t k[5];
        for (int i = 0; i < 5; i++) {
            d[i] = i % 2 ? -1.5 - self : 0.25 * self;
            k[i] = i % 2 ? -1 - self : self;
        }
        assert_int_equal(avi_comm_max_double(world, d, 5), AVI_OK);
        assert_int_equal(avi_comm_max_int64(world, k, 5), AVI_OK);
        for (int i = 0; i < 5; i++) {
            assert_true(d[i] == (i % 2 ? -1.5 : 0.25 * (P - 1)));
            assert_true(k[i] == (i % 2 ? -1 : P - 1));
        }
    }
}

static void sums_below(void **state)
{
    (void)state;
    int64_t sum = -1;
    assert_int_equal(avi_comm_exscan_int64(world, self + 1, &sum), AVI_OK);
    assert_int_equal(sum, self * (self + 1) / 2);
    assert_int_equal(avi_comm_exscan_int64(world, (int64_t)1 << 40, &sum), AVI_OK);
    assert_true(sum == self * ((int64_t)1 << 40));
}

static void broadcasts(void **state)
{
    (void)state;
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        for (int root = 0; root < P; root++) {
            unsigned char bytes[101];
            for (int i = 0; i < 101; i++) bytes[i] = (unsigned char)(self == root ? i * 7 + root : 255);
            assert_int_equal(avi_comm_bcast(world, bytes, 100, root), AVI_OK);
            for (int i = 0; i < 100; i++) assert_int_equal(bytes[i], (unsigned char)(i * 7 + root));
            assert_int_equal(bytes[100], self == root ? (unsigned char)(700 + root) : 255);
        }
        assert_int_equal(avi_comm_bcast(world, NULL, 0, 0), AVI_OK);
    }
}

static void gathers(void **state)
{
    (void)state;
    enum { N = 7 };
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        double mine[N], *all = self == 0 ? malloc((size_t)P * N * sizeof *all) : NULL;
        for (int i = 0; i < N; i++) mine[i] = 100 * self + i;
        assert_int_equal(avi_comm_gather_double(world, mine, N, all), AVI_OK);
        for (int i = 0; self == 0 && i < P * N; i++) assert_true(all[i] == 100 * (i / N) + i % N);
        free(all);
        char *copies = malloc((size_t)P * 9);
        char text[32];
        (void)snprintf(text, sizeof text, "rank%04d", self);
        assert_non_null(copies);
        assert_int_equal(avi_comm_allgather(world, text, 9, copies), AVI_OK);
        for (int r = 0; r < P; r++) {
            (void)snprintf(text, sizeof text, "rank%04d", r);
            assert_string_equal(copies + 9 * r, text);
        }
        free(copies);
    }
}

/* What rank s sends to rank r, some of it nothing, some of it more pieces than are on their way at once. */
static int64_t letter_bytes(int s, int r) { return (s * 3 + r * 5) % 4 == 1 ? 0 : 150 + 13 * s + 7 * r; }
static unsigned char letter(int s, int r, int64_t i) { return (unsigned char)(s * 31 + r * 17 + i); }

static void exchanges(void **state)
{
    (void)state;
    enum { ROOM = 512, MAX_RANKS = 64 };
    assert_true(P <= MAX_RANKS);
    int64_t out_bytes[MAX_RANKS], in_bytes[MAX_RANKS], at[MAX_RANKS];
    unsigned char *out = malloc((size_t)P * ROOM), *in = malloc((size_t)P * ROOM);
    assert_true(out && in);
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        memset(in, 0xee, (size_t)P * ROOM);
        for (int r = 0; r < P; r++) {
            at[r] = (int64_t)(P - 1 - r) * ROOM + r; /* any order, any place */
            out_bytes[r] = letter_bytes(self, r);
            in_bytes[r] = letter_bytes(r, self);
            for (int64_t i = 0; i < out_bytes[r]; i++) out[at[r] + i] = letter(self, r, i);
        }
        assert_int_equal(avi_comm_exchange(world, out, out_bytes, at, in, in_bytes, at), AVI_OK);
        for (int s = 0; s < P; s++) {
            for (int64_t i = 0; i < in_bytes[s]; i++) assert_int_equal(in[at[s] + i], letter(s, self, i));
            assert_int_equal(in[at[s] + in_bytes[s]], 0xee);
        }
    }
    free(out);
    free(in);
}

static void shifts_end_at_the_ends(void **state)
{
    (void)state;
    const int above = self + 1 < P ? self + 1 : -1, below = self - 1;
    for (int l = 0; l < LIMITS; l++) {
        limit(l);
        int mine[25], theirs[25];
        for (int i = 0; i < 25; i++) mine[i] = 1000 * self + i, theirs[i] = -7;
        assert_int_equal(avi_comm_shift(world, above < 0 ? NULL : mine, above, theirs, below, sizeof mine), AVI_OK);
        for (int i = 0; i < 25; i++) assert_int_equal(theirs[i], below < 0 ? -7 : 1000 * below + i);
        assert_int_equal(avi_comm_shift(world, mine, below, above < 0 ? NULL : theirs, above, sizeof mine), AVI_OK);
        for (int i = 0; above >= 0 && i < 25; i++) assert_int_equal(theirs[i], 1000 * above + i);
    }
}

static void splits(void **state)
{
    (void)state;
    avi_comm *part = NULL;
    assert_int_equal(avi_comm_split(world, self % 2, &part), AVI_OK);
    assert_int_equal(avi_comm_rank(part), self / 2);
    assert_int_equal(avi_comm_size(part), self % 2 ? P / 2 : (P + 1) / 2);
    int64_t one = 1;
    assert_int_equal(avi_comm_sum_int64(part, &one, 1), AVI_OK);
    assert_int_equal(one, avi_comm_size(part));
    avi_comm_destroy(&part);
    assert_null(part);
    /* One rank asks for what cannot be: nobody gets a communicator. */
    assert_int_equal(avi_comm_split(world, self == P - 1 ? -1 : 0, &part), AVI_ERR_INTERNAL);
    assert_null(part);
    assert_non_null(strstr(avi_error_text(), "colour -1"));
}

static void agreeing_that_all_is_well(void **state)
{
    (void)state;
    assert_int_equal(avi_agree(world, AVI_OK), AVI_OK);
    assert_string_equal(avi_error_text(), "");
}

/* One rank fails, each in turn: all leave with its code and its words. */
static void one_rank_fails(void **state)
{
    (void)state;
    for (int bad = 0; bad < P; bad++) {
        avi_error_clear();
        avi_status status = self == bad ? avi_fail(AVI_ERR_DATA, "row %d is short", bad) : AVI_OK;
        status = avi_agree(world, status);
        char expected[512];
        if (P == 1)
            (void)snprintf(expected, sizeof expected, "row 0 is short");
        else
            (void)snprintf(expected, sizeof expected, "row %d is short [rank %d of %d, host %s]", bad, bad, P,
                           avi_comm_host());
        assert_int_equal(status, AVI_ERR_DATA);
        assert_string_equal(avi_error_text(), expected);
        /* Agreeing again on the same failure adds nothing. */
        assert_int_equal(avi_agree(world, status), AVI_ERR_DATA);
        assert_string_equal(avi_error_text(), expected);
    }
}

static void all_ranks_fail_alike(void **state)
{
    (void)state;
    (void)avi_fail(AVI_ERR_NOINPUT, "no file a.h5");
    assert_int_equal(avi_agree(world, AVI_ERR_NOINPUT), AVI_ERR_NOINPUT);
    assert_string_equal(avi_error_text(), "no file a.h5");
}

/* Ranks 1, 2, ... fail with different codes: the largest code, the words of the lowest rank. */
static void ranks_fail_differently(void **state)
{
    (void)state;
    if (P < 3) skip();
    const avi_status mine = self == 0 ? AVI_OK : self == 1 ? AVI_ERR_DATA : AVI_ERR_IO;
    if (mine != AVI_OK) (void)avi_fail(mine, "words of %d", self);
    assert_int_equal(avi_agree(world, mine), AVI_ERR_IO);
    assert_ptr_equal(strstr(avi_error_text(), "words of 1 [rank 1 of "), avi_error_text());
}

static void a_rank_fails_without_words_or_with_too_many(void **state)
{
    (void)state;
    const bool bad = self == P - 1;
    assert_int_equal(avi_agree(world, bad ? AVI_ERR_IO : AVI_OK), AVI_ERR_IO);
    assert_ptr_equal(strstr(avi_error_text(), "input/output error"), avi_error_text());
    avi_error_clear();
    char text[9001];
    memset(text, 'x', 9000);
    text[9000] = '\0';
    if (bad) (void)avi_fail(AVI_ERR_IO, "%s", text);
    assert_int_equal(avi_agree(world, bad ? AVI_ERR_IO : AVI_OK), AVI_ERR_IO);
    assert_int_equal(strlen(avi_error_text()), 8191);
    if (P > 1) assert_non_null(strstr(avi_error_text(), "x [rank ")); /* the place is kept */
}

/* ---- functions called at the end ---- */

static char trail[16];
static void note(char c)
{
    const size_t n = strlen(trail);
    if (n + 1 < sizeof trail) trail[n] = c;
}
static void first_hook(void) { note('a'); }
static void second_hook(void)
{
    int finalized = 1;
    (void)MPI_Finalized(&finalized);
    note(finalized ? '!' : 'b');
}

static int make_error(void)
{
    int value = 0;
    (void)MPI_Bcast(&value, 1, MPI_INT, P + 7, avi_comm_mpi(world)); /* there is no such root */
    return 0;
}

int main(int argc, char **argv)
{
    if (openblas_set_num_threads) openblas_set_num_threads(2);
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) {
        (void)fprintf(stderr, "%s\n", avi_error_text());
        return 1;
    }
    self = avi_comm_rank(world);
    P = avi_comm_size(world);
    if (argc > 1 && strcmp(argv[1], "fatal") == 0) return make_error();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(facts, restore),
        cmocka_unit_test_setup(starting_twice_is_refused, restore),
        cmocka_unit_test_setup(sums, restore),
        cmocka_unit_test_setup(maxima, restore),
        cmocka_unit_test_setup(sums_below, restore),
        cmocka_unit_test_setup(broadcasts, restore),
        cmocka_unit_test_setup(gathers, restore),
        cmocka_unit_test_setup(exchanges, restore),
        cmocka_unit_test_setup(shifts_end_at_the_ends, restore),
        cmocka_unit_test_setup(splits, restore),
        cmocka_unit_test_setup(agreeing_that_all_is_well, restore),
        cmocka_unit_test_setup(one_rank_fails, restore),
        cmocka_unit_test_setup(all_ranks_fail_alike, restore),
        cmocka_unit_test_setup(ranks_fail_differently, restore),
        cmocka_unit_test_setup(a_rank_fails_without_words_or_with_too_many, restore),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    const avi_status registered[] = {avi_comm_at_finish(first_hook), avi_comm_at_finish(second_hook),
                                     avi_comm_at_finish(first_hook)};
    for (int i = 0; i < 3; i++) failed += registered[i] != AVI_OK;
    avi_comm_finish(&world);
    if (strcmp(trail, "ba") != 0 || world) {
        (void)fprintf(stderr, "functions at the end: \"%s\", expected \"ba\"\n", trail);
        failed++;
    }
    return failed != 0;
}
