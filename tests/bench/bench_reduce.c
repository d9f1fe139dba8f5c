/* Ways to bring the gradients of all ranks together and to step the parameters, in turn, on this machine.
 *
 *   mpirun -np P bench_reduce [--seconds S] [--update BYTES]... [--overlap BYTES,ROWS]...
 *
 * --update: a gradient of BYTES in single precision is summed over the ranks and Adam steps the parameters
 *     replicated       MPI_Allreduce, every rank steps everything
 *     sharded          MPI_Reduce_scatter_block, every rank steps its share, MPI_Allgather of the parameters
 *     window_copied    the gradient is copied into shared memory, every rank sums its share there, all copy the total
 * back window           the gradient lives in shared memory: no copies; every rank steps everything window_sharded
 * gradient and parameters live in shared memory: every rank sums and steps its share allreduce, adam  the two parts of
 * `replicated` alone
 * --overlap: a backward pass of sgemms over ROWS rows of a rank makes the gradient in four parts
 *     after            MPI_Allreduce of the whole behind the last sgemm
 *     pieces_2, _4     MPI_Iallreduce of each half or quarter as soon as it is made
 *     tested_2, _4     the same, sgemms cut in eight and MPI_Test between them, so that messages move
 *     gemm             the sgemms alone
 *
 * All ways of a size take turns within a round, gradients are made anew before each off the clock, a round's time is
 * that of the slowest rank, and the median over rounds counts. Prints one JSON object. */
#include "base/blas.h"

#include <cblas.h>
#include <math.h>
#include <mpi.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAYS_OF_STEP = 5, MAX_ROUNDS = 4000, MIN_ROUNDS = 5, MAX_WAYS = 8, PARTS = 4, CUTS = 8, HEAD = 64 /* floats */ };

typedef struct bench {
    size_t n;       /* values of the gradient, padded to a multiple of the ranks and of PARTS */
    float *g, *w;   /* (n) */
    float *m, *v;   /* (n): moments of Adam */
    float *own;     /* (n / ranks) */
    MPI_Win window; /* of every rank: a head, its gradient (n); of rank 0 also the total (n) and the parameters (n) */
    float **gradients; /* (ranks): of each rank, in the window */
    float *total, *shared_w;
    _Atomic long *arrived; /* in the head of rank 0 */
    long meetings;
    int side, rows;   /* sgemms: (side, rows) x (rows, side) and (rows, side) x (side, side) */
    float *a, *b, *c; /* (rows, side), (side, side), (rows, side) */
} bench;

typedef struct way {
    const char *name;
    void (*work)(bench *b);
} way;

static int rank, ranks;
static long spins = 20000;  /* looks at the counter before a rank gives its core away */
static double budget = 0.5; /* seconds a size */

static void die(const char *what)
{
    fprintf(stderr, "bench_reduce: %s\n", what);
    MPI_Abort(MPI_COMM_WORLD, 70);
}

static float *take(size_t count)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, (count + 16) * sizeof(float)) != 0) die("out of memory");
    memset(p, 0, (count + 16) * sizeof(float));
    return p;
}

/* ---- the optimizer: as src/optim/k_rules.c has it ---- */

static void adam(size_t n, float *restrict w, const float *restrict g, float *restrict m, float *restrict v)
{
    for (size_t k = 0; k < n; k++) {
        m[k] = 0.9f * m[k] + 0.1f * g[k];
        v[k] = 0.999f * v[k] + 0.001f * g[k] * g[k];
        w[k] -= 1e-3f * m[k] / (sqrtf(v[k]) + 1e-8f);
    }
}

static void adam_all(bench *b) { adam(b->n, b->w, b->g, b->m, b->v); }

static void allreduce(bench *b) { MPI_Allreduce(MPI_IN_PLACE, b->g, (int)b->n, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); }

static void replicated(bench *b)
{
    allreduce(b);
    adam_all(b);
}

static void sharded(bench *b)
{
    const size_t share = b->n / (size_t)ranks, at = share * (size_t)rank;
    MPI_Reduce_scatter_block(b->g, b->own, (int)share, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    adam(share, b->w + at, b->own, b->m + at, b->v + at);
    MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, b->w, (int)share, MPI_FLOAT, MPI_COMM_WORLD);
}

/* ---- through shared memory ---- */

/* All ranks have written what the others are to read. */
static void meet(bench *b)
{
    const long all = ++b->meetings * ranks;
    atomic_fetch_add(b->arrived, 1);
    for (long looks = 0; atomic_load(b->arrived) < all; looks++)
        if (looks >= spins) sched_yield();
}

/* The sum over ranks of values [at, at + count) into `to`. */
static void sum_share(const bench *b, size_t at, size_t count, float *restrict to)
{
    const float *restrict first = b->gradients[0] + at;
    if (ranks == 1) memcpy(to, first, count * sizeof *to);
    for (int r = 1; r < ranks; r++) {
        const float *restrict from = r == 1 ? first : to, *restrict more = b->gradients[r] + at;
        for (size_t k = 0; k < count; k++) to[k] = from[k] + more[k];
    }
}

static void sum_in_window(bench *b)
{
    const size_t share = b->n / (size_t)ranks, at = share * (size_t)rank;
    meet(b);
    sum_share(b, at, share, b->total + at);
    meet(b);
}

static void window_copied(bench *b)
{
    memcpy(b->gradients[rank], b->g, b->n * sizeof *b->g);
    sum_in_window(b);
    memcpy(b->g, b->total, b->n * sizeof *b->g);
    adam_all(b);
}

static void window(bench *b)
{
    sum_in_window(b);
    adam(b->n, b->w, b->total, b->m, b->v);
}

static void window_sharded(bench *b)
{
    const size_t share = b->n / (size_t)ranks, at = share * (size_t)rank;
    meet(b);
    sum_share(b, at, share, b->own);
    adam(share, b->shared_w + at, b->own, b->m + at, b->v + at);
    meet(b);
}

/* ---- reduction behind the backward pass ---- */

/* A part of the gradient, its layer's sgemms cut in `cuts`; looks at the requests between the cuts. */
static void part(bench *b, int p, int cuts, int started, MPI_Request *requests)
{
    const int side = b->side, rows = b->rows;
    float *to = b->g + (size_t)p * (b->n / PARTS);
    for (int i = 0; i < cuts; i++) {
        const int s0 = side * i / cuts, s1 = side * (i + 1) / cuts, r0 = rows * i / cuts, r1 = rows * (i + 1) / cuts;
        int done;
        if (s1 > s0)
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s1 - s0, side, rows, 1.0f, b->a + s0, side, b->c, side,
                        0.0f, to + (size_t)s0 * (size_t)side, side);
        if (r1 > r0)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, r1 - r0, side, side, 1.0f,
                        b->a + (size_t)r0 * (size_t)side, side, b->b, side, 0.0f, b->c + (size_t)r0 * (size_t)side,
                        side);
        for (int k = 0; k < started; k++) MPI_Test(&requests[k], &done, MPI_STATUS_IGNORE);
    }
}

static void in_pieces(bench *b, int pieces, int cuts)
{
    MPI_Request requests[PARTS];
    const int each = PARTS / pieces;
    const size_t count = b->n / (size_t)pieces;
    for (int p = 0, started = 0; p < PARTS; p++) {
        part(b, p, cuts, cuts > 1 ? started : 0, requests);
        if ((p + 1) % each) continue;
        MPI_Iallreduce(MPI_IN_PLACE, b->g + (size_t)started * count, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                       &requests[started]);
        started++;
    }
    MPI_Waitall(pieces, requests, MPI_STATUSES_IGNORE);
}

static void gemm(bench *b)
{
    for (int p = 0; p < PARTS; p++) part(b, p, 1, 0, NULL);
}

static void after(bench *b)
{
    gemm(b);
    allreduce(b);
}

static void pieces_2(bench *b) { in_pieces(b, 2, 1); }
static void pieces_4(bench *b) { in_pieces(b, 4, 1); }
static void tested_2(bench *b) { in_pieces(b, 2, CUTS); }
static void tested_4(bench *b) { in_pieces(b, 4, CUTS); }

static const way updates[] = {{"replicated", replicated},
                              {"sharded", sharded},
                              {"window_copied", window_copied},
                              {"window", window},
                              {"window_sharded", window_sharded},
                              {"allreduce", allreduce},
                              {"adam", adam_all}};
static const way overlaps[] = {{"after", after},       {"pieces_2", pieces_2}, {"pieces_4", pieces_4},
                               {"tested_2", tested_2}, {"tested_4", tested_4}, {"gemm", gemm}};

/* ---- measuring ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* As the backward pass of this rank would have left it. */
static void make_gradient(bench *b)
{
    for (size_t k = 0; k < b->n; k++) b->g[k] = b->gradients[rank][k] = 1e-3f * (float)(k % 13);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* The same step from the same state: sum of the parameters that a way leaves behind. */
static double outcome(bench *b, const way *which)
{
    float *w = which->work == window_sharded ? b->shared_w : b->w;
    double sum = 0;
    make_gradient(b);
    for (size_t k = 0; k < b->n; k++) w[k] = b->m[k] = b->v[k] = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    which->work(b);
    for (size_t k = 0; k < b->n; k++) sum += (double)w[k];
    return sum;
}

/* Also first touches and connections. The first WAYS_OF_STEP ways of an update must agree on the parameters. */
static void warm_up(bench *b, const way *ways, int count)
{
    double first = 0;
    for (int i = 0; i < count; i++) {
        const double sum = outcome(b, &ways[i]);
        if (i == 0) first = sum;
        if (ways == updates && i < WAYS_OF_STEP && !(fabs(sum - first) <= 1e-5 * fabs(first))) die(ways[i].name);
    }
}

/* Median seconds of every way; returns the number of rounds. */
static int measure(bench *b, const way *ways, int count, double *median)
{
    static double samples[MAX_WAYS][MAX_ROUNDS];
    int rounds = 0, more = 1;
    warm_up(b, ways, count);
    const double end = MPI_Wtime() + budget;
    while (more) {
        double seconds[MAX_WAYS];
        for (int i = 0; i < count; i++) {
            const int at = (i + rounds) % count; /* none always comes behind the same */
            make_gradient(b);
            const double start = MPI_Wtime();
            ways[at].work(b);
            seconds[at] = MPI_Wtime() - start;
        }
        MPI_Allreduce(MPI_IN_PLACE, seconds, count, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        for (int i = 0; i < count; i++) samples[i][rounds] = seconds[i];
        rounds++;
        more = rounds < MIN_ROUNDS || (rounds < MAX_ROUNDS && MPI_Wtime() < end);
        MPI_Bcast(&more, 1, MPI_INT, 0, MPI_COMM_WORLD);
    }
    for (int i = 0; i < count; i++) {
        qsort(samples[i], (size_t)rounds, sizeof samples[i][0], ascending);
        median[i] = samples[i][rounds / 2];
    }
    return rounds;
}

static void open_window(bench *b)
{
    const size_t mine = HEAD + b->n * (rank == 0 ? 3 : 1);
    float *base;
    MPI_Aint bytes;
    int unit;
    if (MPI_Win_allocate_shared((MPI_Aint)(mine * sizeof(float)), 1, MPI_INFO_NULL, MPI_COMM_WORLD, &base,
                                &b->window) != MPI_SUCCESS)
        die("no shared memory: all ranks must be on one machine");
    memset(base, 0, mine * sizeof(float));
    b->gradients = calloc((size_t)ranks, sizeof *b->gradients);
    if (!b->gradients) die("out of memory");
    for (int r = 0; r < ranks; r++) {
        MPI_Win_shared_query(b->window, r, &bytes, &unit, &base);
        b->gradients[r] = base + HEAD;
        if (r) continue;
        b->arrived = (_Atomic long *)(void *)base;
        b->total = base + HEAD + b->n;
        b->shared_w = b->total + b->n;
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void make_bench(double bytes, int rows, bench *b)
{
    if (!(bytes >= 4.0) || bytes > 4e9 || rows < 1) die("--update takes BYTES, --overlap takes BYTES,ROWS");
    const size_t unit = (size_t)(ranks * PARTS), values = (size_t)(bytes / 4.0);
    *b = (bench){.n = (values + unit - 1) / unit * unit, .rows = rows};
    b->side = (int)floor(sqrt((double)(b->n / PARTS)));
    const size_t square = (size_t)b->side * (size_t)b->side, tall = (size_t)rows * (size_t)b->side;
    float **arrays[] = {&b->g, &b->w, &b->m, &b->v, &b->own, &b->a, &b->b, &b->c};
    const size_t counts[] = {b->n, b->n, b->n, b->n, b->n / (size_t)ranks, tall, square, tall};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = take(counts[i]);
    for (size_t k = 0; k < tall; k++) b->a[k] = b->c[k] = 0.1f * (float)(k % 7);
    open_window(b);
}

static void free_bench(bench *b)
{
    float *arrays[] = {b->g, b->w, b->m, b->v, b->own, b->a, b->b, b->c};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    free(b->gradients);
    MPI_Win_free(&b->window);
}

static void list_of(const char *name, const char *option, const way *ways, int count, int argc, char **argv)
{
    bool first = true;
    if (rank == 0) printf(", \"%s\": [", name);
    for (int i = 1; i + 1 < argc; i += 2) {
        double bytes = 0, median[MAX_WAYS];
        int rows = 1;
        bench b;
        if (strcmp(argv[i], option) != 0) continue;
        if (sscanf(argv[i + 1], "%lf,%d", &bytes, &rows) < (ways == overlaps ? 2 : 1)) die("a size is missing");
        make_bench(bytes, rows, &b);
        const int rounds = measure(&b, ways, count, median);
        free_bench(&b);
        if (rank != 0) continue;
        printf("%s{\"bytes\": %.0f, \"rows\": %d, \"rounds\": %d", first ? "" : ", ", bytes, rows, rounds);
        for (int k = 0; k < count; k++) printf(", \"%s\": %.6g", ways[k].name, median[k]);
        printf("}");
        first = false;
    }
    if (rank == 0) printf("]");
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const bool oversubscribed = ranks > sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || (strcmp(argv[i], "--seconds") != 0 && strcmp(argv[i], "--update") != 0 &&
                              strcmp(argv[i], "--overlap") != 0))
            die("usage: bench_reduce [--seconds S] [--update BYTES]... [--overlap BYTES,ROWS]...");
        if (strcmp(argv[i], "--seconds") == 0) budget = strtod(argv[i + 1], NULL);
    }
    if (oversubscribed) spins = 100;
    avi_blas_one_thread();
    if (rank == 0) printf("{\"ranks\": %d, \"oversubscribed\": %s", ranks, oversubscribed ? "true" : "false");
    list_of("update", "--update", updates, (int)(sizeof updates / sizeof *updates), argc, argv);
    list_of("overlap", "--overlap", overlaps, (int)(sizeof overlaps / sizeof *overlaps), argc, argv);
    if (rank == 0) printf("}\n");
    MPI_Finalize();
    return 0;
}
