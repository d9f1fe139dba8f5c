/* What stands in for the program's own functions: work that is only counted, data that are not there, memory that ranks
 * share. */
#include "scale.h"

#include "elbo/internal.h"
#include "param/vector.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

enum { SHARE_FROM = 262144, MAX_VECTORS = 256 };

cost scale_cost;

rank_state *scale_rank(void) { return smpi_process_get_user_data(); }

/* A simulated core does 1e9 operations a second. */
void scale_owe(double seconds) { scale_rank()->debt += seconds; }

void scale_pay(void)
{
    rank_state *r = scale_rank();
    const double seconds = r->debt;
    r->debt = 0;
    if (seconds > 0) smpi_execute_flops(seconds * 1e9);
}

/* ---- work ---- */

static avi_node *filled(avi_tape *t, int64_t rows, double value)
{
    avi_node *node = avi_constant_new(t, rows, 1);
    for (int64_t i = 0; i < rows; i++) avi_vector_set(avi_tape_precision(t), node->value, i, value);
    return node;
}

void __wrap_avi_graph_build(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                            avi_graph *g);
void __wrap_avi_graph_build(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                            avi_graph *g)
{
    (void)pass, (void)first;
    *g = (avi_graph){0};
    avi_tape_reset(e->tape);
    for (int i = 0; i < runs; i++) g->rows += rows[i];
    g->elbo = filled(e->tape, g->rows, -1); /* so that the sums over all ranks are known */
    g->loglik = filled(e->tape, g->rows, -0.5);
    scale_owe(cost_block(&scale_cost, g->rows) * scale_rank()->jitter);
}

void __wrap_avi_tape_backward(avi_tape *tape, avi_node *root, double seed);
void __wrap_avi_tape_backward(avi_tape *tape, avi_node *root, double seed) { (void)tape, (void)root, (void)seed; }

/* The values are not real ones; what the check costs is among the fixed costs of a step. */
int64_t __wrap_avi_vector_nonfinite(avi_precision p, const void *v, int64_t n, int64_t *first);
int64_t __wrap_avi_vector_nonfinite(avi_precision p, const void *v, int64_t n, int64_t *first)
{
    (void)p, (void)v, (void)n;
    *first = -1;
    return 0;
}

void scale_update(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,
                  void *const *slot)
{
    (void)o, (void)u, (void)gradient, (void)slot;
    const rank_state *r = scale_rank();
    const bool global = values == r->params;
    scale_owe(scale_cost.optimizer * (double)(global ? plan_share(n) : n) * r->jitter);
    if (global) plan_updated(n, values);
}

/* ---- data and memory ---- */

avi_status __wrap_avi_data_load(avi_source *source, avi_comm *comm, const avi_partition *partition, int lookahead,
                                int halo, avi_data **data);
avi_status __wrap_avi_data_load(avi_source *source, avi_comm *comm, const avi_partition *partition, int lookahead,
                                int halo, avi_data **data)
{
    (void)halo;
    const int rank = avi_comm_rank(comm);
    avi_data *d = *data = calloc(1, sizeof *d);
    if (!d) return avi_fail_memory(sizeof *d, "the data");
    *d = (avi_data){.partition = *partition, .shape = source->shape, .lookahead = lookahead};
    d->first = avi_partition_first_row(partition, rank);
    d->count = avi_partition_first_row(partition, rank + 1) - d->first;
    return AVI_OK;
}

/* aligned_alloc of reduce.c and state.c. Vectors as long as the parameters or the local table are made once in the
 * process, one for each size: what is in them means nothing (plan.c saves the sums of a step that travel in a
 * gradient). They come from SMPI, so that it sends the lengths of messages from them and no bytes. Never freed: as long
 * as the process. */
static struct vector {
    void *memory;
    size_t bytes;
} shared[MAX_VECTORS];

void *scale_vector(size_t alignment, size_t bytes)
{
    if (bytes < SHARE_FROM) return aligned_alloc(alignment, bytes);
    int i = 0;
    while (i < MAX_VECTORS && shared[i].memory && shared[i].bytes != bytes) i++;
    if (i == MAX_VECTORS) return NULL;
    if (!shared[i].memory) shared[i] = (struct vector){SMPI_SHARED_MALLOC(bytes), bytes};
    return shared[i].memory;
}

bool scale_is_shared(const void *p)
{
    for (int i = 0; i < MAX_VECTORS; i++)
        if (p && p == shared[i].memory) return true;
    return false;
}

void __real_smpi_shared_free(void *p);
void __wrap_smpi_shared_free(void *p);
void __wrap_smpi_shared_free(void *p)
{
    if (!scale_is_shared(p)) __real_smpi_shared_free(p);
}
