/* Shared by the tests of the linear algebra floor: the world, serial LAPACK as the reference, agreement before an
 * assertion (so that all ranks fail together and none waits for another). */
#ifndef LINALG_TEST_H
#define LINALG_TEST_H

#include "avi/comm.h"
#include "avi/linalg.h"
#include "avi/partition.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info);
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w, double *work,
             const int *lwork, int *iwork, const int *liwork, int *info);
void dgels_(const char *trans, const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b,
            const int *ldb, double *work, const int *lwork, int *info);

static const double PI = 3.14159265358979323846;

static avi_comm *world;
static int world_size, world_rank;

/* A fixed number in (-1, 1) for (a, b): the same on every rank and at every rank count. */
static inline double number(int64_t a, int64_t b)
{
    const double s = sin(12.9898 * (double)(a + 1) + 78.233 * (double)(b + 1)) * 43758.5453;
    return 2 * (s - floor(s)) - 1;
}

static inline double *numbers(size_t n)
{
    double *v = calloc(n + 1, sizeof(double));
    if (!v) abort();
    return v;
}

static inline int64_t slab_first(avi_comm *comm, int64_t n)
{
    return avi_slab_first(n, avi_comm_size(comm), avi_comm_rank(comm));
}
static inline int64_t slab_end(avi_comm *comm, int64_t n)
{
    return avi_slab_first(n, avi_comm_size(comm), avi_comm_rank(comm) + 1);
}

/* Collective: the largest |a - b| on any rank, relative to the largest |b| (at least 1). NaN counts as infinity. */
static inline double worst(avi_comm *comm, const double *a, const double *b, int64_t n)
{
    double most[2] = {0, 1};
    for (int64_t i = 0; i < n; i++) {
        const double e = fabs(a[i] - b[i]);
        if (!(e <= most[0])) most[0] = isfinite(e) ? e : HUGE_VAL;
        most[1] = fmax(most[1], fabs(b[i]));
    }
    assert_int_equal(avi_comm_max_double(comm, most, 2), AVI_OK);
    return most[0] / most[1];
}

#define assert_close(comm, a, b, n, tolerance)                                                                         \
    do {                                                                                                               \
        const double error_ = worst(comm, a, b, n);                                                                    \
        if (!(error_ <= (tolerance)))                                                                                  \
            fail_msg("%s differs from %s by %g (allowed %g)", #a, #b, error_, (double)(tolerance));                    \
    } while (0)

/* Collective: the same status on every rank, and `text` in every rank's message. */
static inline void assert_refused(avi_status got, avi_status want, const char *text)
{
    int64_t mistake = got != want || !strstr(avi_error_text(), text);
    const int64_t mine = mistake;
    assert_int_equal(avi_comm_max_int64(world, &mistake, 1), AVI_OK);
    if (mine)
        fail_msg("status %d (wanted %d), message \"%s\" (wanted \"%s\")", (int)got, (int)want, avi_error_text(), text);
    if (mistake) fail_msg("another rank failed");
    avi_error_clear();
}

#define assert_ok(call)                                                                                                \
    do {                                                                                                               \
        if ((call) != AVI_OK) fail_msg("%s: %s", #call, avi_error_text());                                             \
    } while (0)

static inline int run_linalg_tests(int argc, char **argv, int (*tests)(void))
{
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) return 1;
    world_size = avi_comm_size(world);
    world_rank = avi_comm_rank(world);
    const int failed = tests();
    avi_comm_finish(&world);
    return failed;
}

#endif
