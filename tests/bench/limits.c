/* What this machine can do: the yardstick for the benchmark's "fraction of the limit".
 *
 *   mpirun -np P limits [--seconds S] [--gemm TYPE,TA,TB,M,N,K]... [--triad BYTES]... [--allreduce BYTES]...
 *
 * TYPE is s or d, TA and TB are n or t, as cblas_?gemm takes them in row-major order. --triad BYTES is the size of the
 * three arrays of a rank together. Every rate is taken twice: on rank 0 while the other ranks sleep ("one", per rank),
 * and on all ranks at once
 * ("all", the mean of a rank). A measurement is the median of repeated timings over S seconds (default 0.1). Prints one
 * JSON object. */
#include "base/blas.h"

#include <cblas.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of OpenBLAS; another BLAS has no such name. */
char *openblas_get_corename(void) __attribute__((weak));

enum { MAX_SAMPLES = 4096 };

typedef struct {
    bool single;
    CBLAS_TRANSPOSE ta, tb;
    int m, n, k;
    float *s[3]; /* op(A) (m, k), op(B) (k, n), C (m, n); NULL in double */
    double *d[3];
} gemm;

typedef struct {
    size_t count; /* elements of one array */
    double *a, *b, *c;
} triad;

static int rank, ranks;
static double budget = 0.1; /* seconds a measurement */

static void die(const char *what)
{
    fprintf(stderr, "limits: %s\n", what);
    MPI_Abort(MPI_COMM_WORLD, 70);
}

static void *take(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes) != 0) {
        die("out of memory");
    }
    return p;
}

/* Ranks that have nothing to do sleep here, so that they do not take the core or the bandwidth of the one that is
 * measured. */
static void meet(void)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    while (!done) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        }
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of one call of work(), which is repeated inside a timing until that is long enough for the clock. */
static double seconds_of(void (*work)(void *), void *of)
{
    static double samples[MAX_SAMPLES];
    int count = 0, inner = 1;
    work(of);
    double start = MPI_Wtime();
    work(of);
    const double once = MPI_Wtime() - start;
    if (once < 1e-3) {
        inner = once > 1e-8 ? (int)(1e-3 / once) + 1 : 100000;
    }
    const double end = MPI_Wtime() + budget;
    do {
        start = MPI_Wtime();
        for (int i = 0; i < inner; i++) {
            work(of);
        }
        samples[count++] = (MPI_Wtime() - start) / inner;
    } while (count < MAX_SAMPLES && (count < 3 || MPI_Wtime() < end));
    qsort(samples, (size_t)count, sizeof samples[0], ascending);
    return samples[count / 2];
}

/* amount / seconds: on rank 0 alone, and the mean over ranks when all work at once. */
static void rates_of(void (*work)(void *), void *of, double amount, double *one, double *all)
{
    meet();
    *one = rank == 0 ? amount / seconds_of(work, of) : 0.0;
    meet();
    MPI_Barrier(MPI_COMM_WORLD);
    const double mine = amount / seconds_of(work, of);
    MPI_Allreduce(&mine, all, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    *all /= ranks;
}

static void work_gemm(void *of)
{
    const gemm *g = of;
    const int lda = g->ta == CblasNoTrans ? g->k : g->m, ldb = g->tb == CblasNoTrans ? g->n : g->k;
    if (g->single) {
        cblas_sgemm(CblasRowMajor, g->ta, g->tb, g->m, g->n, g->k, 1.0f, g->s[0], lda, g->s[1], ldb, 0.0f, g->s[2],
                    g->n);
    } else {
        cblas_dgemm(CblasRowMajor, g->ta, g->tb, g->m, g->n, g->k, 1.0, g->d[0], lda, g->d[1], ldb, 0.0, g->d[2], g->n);
    }
}

static void work_triad(void *of)
{
    const triad *t = of;
    double *restrict a = t->a;
    const double *restrict b = t->b, *restrict c = t->c;
    for (size_t i = 0; i < t->count; i++) {
        a[i] = b[i] + 0.5 * c[i];
    }
}

static void measure_gemm(const char *spec, bool first)
{
    char type, ta, tb;
    gemm g = {0};
    if (sscanf(spec, "%c,%c,%c,%d,%d,%d", &type, &ta, &tb, &g.m, &g.n, &g.k) != 6 || (type != 's' && type != 'd') ||
        g.m < 1 || g.n < 1 || g.k < 1) {
        die("--gemm takes TYPE,TA,TB,M,N,K, for example s,n,t,512,400,784");
    }
    g.single = type == 's';
    g.ta = ta == 't' ? CblasTrans : CblasNoTrans;
    g.tb = tb == 't' ? CblasTrans : CblasNoTrans;
    const size_t sizes[3] = {(size_t)g.m * (size_t)g.k, (size_t)g.k * (size_t)g.n, (size_t)g.m * (size_t)g.n};
    for (int i = 0; i < 3; i++) {
        if (g.single) {
            g.s[i] = take(sizes[i] * sizeof(float));
        } else {
            g.d[i] = take(sizes[i] * sizeof(double));
        }
        for (size_t j = 0; j < sizes[i]; j++) {
            if (g.single) {
                g.s[i][j] = (float)(j % 7) * 0.1f;
            } else {
                g.d[i][j] = (double)(j % 7) * 0.1;
            }
        }
    }
    double one, all;
    rates_of(work_gemm, &g, 2.0 * g.m * (double)g.n * g.k, &one, &all);
    if (rank == 0) {
        printf("%s{\"spec\": \"%s\", \"one\": %.6g, \"all\": %.6g}", first ? "" : ", ", spec, one, all);
    }
    for (int i = 0; i < 3; i++) {
        free(g.s[i]);
        free(g.d[i]);
    }
}

static void measure_triad(const char *spec, bool first)
{
    const double bytes = strtod(spec, NULL);
    if (!(bytes >= 24.0) || bytes > 1e12) {
        die("--triad takes a number of bytes");
    }
    triad t = {.count = (size_t)(bytes / 24.0)};
    t.a = take(t.count * sizeof(double));
    t.b = take(t.count * sizeof(double));
    t.c = take(t.count * sizeof(double));
    for (size_t i = 0; i < t.count; i++) {
        t.a[i] = 0.0;
        t.b[i] = 1.0;
        t.c[i] = 2.0;
    }
    double one, all;
    rates_of(work_triad, &t, 24.0 * (double)t.count, &one, &all);
    if (rank == 0) {
        printf("%s{\"bytes\": %.0f, \"one\": %.6g, \"all\": %.6g}", first ? "" : ", ", bytes, one, all);
    }
    free(t.a);
    free(t.b);
    free(t.c);
}

/* Seconds of one in-place sum of single-precision numbers over all ranks. */
static void measure_allreduce(const char *spec, bool first)
{
    const double bytes = strtod(spec, NULL);
    if (!(bytes >= 4.0) || bytes > 4e9) {
        die("--allreduce takes a number of bytes");
    }
    static double samples[MAX_SAMPLES];
    const int count = (int)(bytes / 4.0);
    float *buffer = take((size_t)count * sizeof(float));
    memset(buffer, 0, (size_t)count * sizeof(float));
    int taken = 0, more = 1;
    const double end = MPI_Wtime() + budget;
    while (more) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = MPI_Wtime();
        for (int i = 0; i < 4; i++) {
            MPI_Allreduce(MPI_IN_PLACE, buffer, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        }
        samples[taken++] = (MPI_Wtime() - start) / 4.0;
        more = taken < 3 || (taken < MAX_SAMPLES && MPI_Wtime() < end);
        MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    qsort(samples, (size_t)taken, sizeof samples[0], ascending);
    if (rank == 0) {
        printf("%s{\"bytes\": %.0f, \"seconds\": %.6g}", first ? "" : ", ", bytes, samples[taken / 2]);
    }
    free(buffer);
}

/* Runs measure() on the value of every argument `option`, as a JSON list. */
static void list_of(const char *name, const char *option, int argc, char **argv,
                    void (*measure)(const char *spec, bool first))
{
    bool first = true;
    if (rank == 0) {
        printf(", \"%s\": [", name);
    }
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], option) == 0) {
            measure(argv[i + 1], first);
            first = false;
        }
    }
    if (rank == 0) {
        printf("]");
    }
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || (strcmp(argv[i], "--seconds") != 0 && strcmp(argv[i], "--gemm") != 0 &&
                              strcmp(argv[i], "--triad") != 0 && strcmp(argv[i], "--allreduce") != 0)) {
            die("usage: limits [--seconds S] [--gemm TYPE,TA,TB,M,N,K]... [--triad BYTES]... [--allreduce BYTES]...");
        }
        if (strcmp(argv[i], "--seconds") == 0) {
            budget = strtod(argv[i + 1], NULL);
        }
    }
    avi_blas_one_thread();
    if (rank == 0) {
        printf("{\"ranks\": %d, \"blas\": \"%s\", \"core\": \"%s\"", ranks, avi_blas_library(),
               openblas_get_corename ? openblas_get_corename() : "");
    }
    list_of("gemm", "--gemm", argc, argv, measure_gemm);
    list_of("triad", "--triad", argc, argv, measure_triad);
    list_of("allreduce", "--allreduce", argc, argv, measure_allreduce);
    if (rank == 0) {
        printf("}\n");
    }
    MPI_Finalize();
    return 0;
}
