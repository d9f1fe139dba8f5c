/* How a gradient is summed over ranks: what the program does, and what it might do. comm_message.c calls
 * scale_allreduce where it says MPI_Allreduce. allreduce  over all ranks: the program shard      reduce-scatter, every
 * rank updates its part of the parameters, allgather leader     reduce to one rank a node, allreduce over those,
 * broadcast in the node slices     reduce-scatter in the node, allreduce of each slice over the nodes, allgather in the
 * node The algorithms are written out here, those that Open MPI takes (recursive halving and doubling, nearest ranks
 * first; Rabenseifner 2004), because SMPI's own returned wrong sums (rab, and rab_rdb at 256 ranks) and lets additions
 * take no time. */
#include "scale.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG = 7, MAX_LEVELS = 16, MAX_TAIL = 512 };

/* Ranks of a collective: `size` of them, a power of two, `stride` apart from `base`. */
typedef struct group {
    int rank, size, base, stride;
} group;

struct plan {
    plan_kind kind;
    group all, node, across; /* across: the ranks with this one's place in their nodes */
    int tail,
        large_from; /* values at the end of a gradient; a reduction of so many values and more is cut into parts */
    bool real;      /* the values of the message at hand are this rank's own, not pages that all ranks share */
    unsigned call;
    float *buffer; /* what comes in */
};

static void *must(void *p)
{
    if (p) return p;
    (void)fprintf(stderr, "scale: out of memory\n");
    exit(71);
}

static int power_of_two(int n)
{
    if (n > 0 && (n & (n - 1)) == 0) return n;
    (void)fprintf(stderr, "scale: %d ranks; use a power of two\n", n);
    exit(64);
}

void plan_start(plan_kind kind, int node, int tail, int64_t values)
{
    struct plan *p = scale_rank()->plan = must(calloc(1, sizeof *p));
    int rank, size;
    const char *large = getenv("SCALE_LARGE_FROM");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (node > size) node = size;
    p->kind = kind;
    p->tail = tail;
    p->large_from = large ? atoi(large) : 2500; /* 10 kB, as in Open MPI */
    p->all = (group){rank, power_of_two(size), 0, 1};
    p->node = (group){rank % node, power_of_two(node), rank - rank % node, 1};
    p->across = (group){rank / node, size / node, rank % node, node};
    p->buffer = must(scale_vector(64, (size_t)(values + tail) * sizeof *p->buffer / 64 * 64 + 64));
}

void plan_finish(void)
{
    struct plan *p = scale_rank()->plan;
    free(p->buffer);
    free(p);
}

/* ---- pieces ---- */

static void swap(const group *g, int peer, const float *out, int n_out, float *in, int n_in)
{
    const int rank = g->base + peer * g->stride;
    MPI_Sendrecv(out, n_out, MPI_FLOAT, rank, TAG, in, n_in, MPI_FLOAT, rank, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void add(const struct plan *p, float *v, int n)
{
    for (int i = 0; p->real && i < n; i++) v[i] += p->buffer[i];
    smpi_execute_flops(scale_cost.combine * n * 1e9);
}

/* Part [from[l], to[l]) is what this rank works on at level l; level 0 is everything. Returns the number of levels
 * below. */
static int halve(const struct plan *p, const group *g, float *v, int n, int *from, int *to)
{
    int level = 0;
    from[0] = 0;
    to[0] = n;
    for (int mask = 1; mask < g->size; mask *= 2, level++) {
        const int peer = g->rank ^ mask, middle = from[level] + (to[level] - from[level]) / 2;
        const bool lower = g->rank < peer;
        from[level + 1] = lower ? from[level] : middle;
        to[level + 1] = lower ? middle : to[level];
        const int there = lower ? middle : from[level],
                  sent = to[level] - from[level] - (to[level + 1] - from[level + 1]);
        swap(g, peer, v + there, sent, p->buffer, to[level + 1] - from[level + 1]);
        add(p, v + from[level + 1], to[level + 1] - from[level + 1]);
    }
    return level;
}

/* The way back: everyone gets everyone's part. */
static void join(const group *g, float *v, int levels, const int *from, const int *to)
{
    for (int l = levels; l > 0; l--) {
        const int peer = g->rank ^ (1 << (l - 1));
        const bool lower = g->rank < peer;
        const int theirs = lower ? to[l] : from[l - 1], count = to[l - 1] - from[l - 1] - (to[l] - from[l]);
        swap(g, peer, v + from[l], to[l] - from[l], v + theirs, count);
    }
}

/* Short messages: log2(size) exchanges of everything. */
static void double_up(const struct plan *p, const group *g, float *v, int n)
{
    for (int mask = 1; mask < g->size; mask *= 2) {
        swap(g, g->rank ^ mask, v, n, p->buffer, n);
        add(p, v, n);
    }
}

static void sum_over(const struct plan *p, const group *g, float *v, int n)
{
    int from[MAX_LEVELS], to[MAX_LEVELS];
    if (n < p->large_from) {
        double_up(p, g, v, n);
    } else {
        const int levels = halve(p, g, v, n, from, to);
        join(g, v, levels, from, to);
    }
}

/* ---- plans ---- */

/* Binomial trees within the node. */
static void sum_leader(const struct plan *p, float *v, int n)
{
    const group *g = &p->node;
    for (int mask = 1; mask < g->size; mask *= 2) {
        if (g->rank & mask) {
            MPI_Send(v, n, MPI_FLOAT, g->base + g->rank - mask, TAG, MPI_COMM_WORLD);
            break;
        }
        MPI_Recv(p->buffer, n, MPI_FLOAT, g->base + g->rank + mask, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        add(p, v, n);
    }
    if (g->rank == 0) sum_over(p, &p->across, v, n);
    int mask = 1;
    while (mask < g->size && !(g->rank & mask)) mask *= 2;
    if (g->rank > 0) MPI_Recv(v, n, MPI_FLOAT, g->base + g->rank - mask, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    while ((mask /= 2) > 0) MPI_Send(v, n, MPI_FLOAT, g->base + g->rank + mask, TAG, MPI_COMM_WORLD);
}

static void sum_slices(const struct plan *p, float *v, int n)
{
    int from[MAX_LEVELS], to[MAX_LEVELS];
    const int levels = halve(p, &p->node, v, n, from, to);
    sum_over(p, &p->across, v + from[levels], to[levels] - from[levels]);
    join(&p->node, v, levels, from, to);
}

static void sum_shard(const struct plan *p, float *v, int n)
{
    int from[MAX_LEVELS], to[MAX_LEVELS];
    const int levels = halve(p, &p->all, v, n - p->tail, from, to);
    double_up(p, &p->all, v + n - p->tail, p->tail);
    /* With values of one's own the parts are put together, for the checks; in pages that are shared they are together.
     * The parameters travel after the update. */
    if (p->real) join(&p->all, v, levels, from, to);
}

int64_t plan_share(int64_t n)
{
    const struct plan *p = scale_rank()->plan;
    return p->kind == PLAN_SHARD ? (n + p->all.size - 1) / p->all.size : n;
}

void plan_updated(int64_t n, void *values)
{
    rank_state *r = scale_rank();
    const struct plan *p = r->plan;
    int from[MAX_LEVELS] = {0}, to[MAX_LEVELS] = {(int)n}, level = 0;
    if (p->kind != PLAN_SHARD) return;
    scale_pay();
    const double start = MPI_Wtime();
    for (int mask = 1; mask < p->all.size; mask *= 2, level++) {
        const int middle = from[level] + (to[level] - from[level]) / 2;
        const bool upper = (p->all.rank & mask) != 0;
        from[level + 1] = upper ? middle : from[level];
        to[level + 1] = upper ? to[level] : middle;
    }
    join(&p->all, values, level, from, to);
    r->message += MPI_Wtime() - start;
}

/* ---- the sums of a step in pages that are shared ---- */

/* A gradient in shared pages has the ends of all ranks in one place, so they are added up on the side: put before
 * anything is sent, taken when all have come, which a reduction must see to. Two of them, since a rank may be one
 * reduction ahead. */
static struct side {
    double sum[MAX_TAIL];
    int put, taken;
} side[2];

static void put_tail(struct plan *p, const float *tail)
{
    struct side *s = &side[p->call % 2];
    for (int i = 0; i < p->tail; i++) s->sum[i] = (s->put ? s->sum[i] : 0) + (double)tail[i];
    s->put++;
}

static void take_tail(struct plan *p, float *tail)
{
    struct side *s = &side[p->call++ % 2];
    if (s->put != p->all.size) {
        (void)fprintf(stderr, "scale: a rank left the reduction when %d of %d had come\n", s->put, p->all.size);
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    for (int i = 0; i < p->tail; i++) tail[i] = (float)s->sum[i];
    if (++s->taken == p->all.size) s->put = s->taken = 0;
}

int scale_allreduce(const void *send, void *values, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm);
int scale_allreduce(const void *send, void *values, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    rank_state *r = scale_rank();
    struct plan *p = r ? r->plan : NULL;
    if (!p || type != MPI_FLOAT || op != MPI_SUM) return MPI_Allreduce(send, values, n, type, op, comm);
    float *v = values, *tail = v + n - p->tail;
    p->real = !scale_is_shared(values);
    if (!p->real) put_tail(p, tail);
    scale_pay();
    const double start = MPI_Wtime();
    switch (p->kind) {
    case PLAN_ALLREDUCE:
        sum_over(p, &p->all, v, n);
        break;
    case PLAN_SHARD:
        sum_shard(p, v, n);
        break;
    case PLAN_LEADER:
        sum_leader(p, v, n);
        break;
    case PLAN_SLICES:
        sum_slices(p, v, n);
        break;
    }
    r->message += MPI_Wtime() - start;
    if (!p->real) take_tail(p, tail);
    return MPI_SUCCESS;
}
