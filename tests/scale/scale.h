/* The program's step loop under SimGrid: seconds come from a table instead of from the processor. See README.md. */
#ifndef AVI_TESTS_SCALE_H
#define AVI_TESTS_SCALE_H

#include "avi/optim.h"

#include <stdint.h>

/* What one core takes, measured by profile.py; read once and the same for all ranks, which share the memory of the
 * simulation. */
enum { COST_POINTS = 32 };
typedef struct cost {
    int points;
    double rows[COST_POINTS], seconds[COST_POINTS]; /* forward and backward of a block of so many rows, ascending */
    double fixed;     /* of a step, whatever its rows: draws of theta, clearing, checks, chain rule */
    double optimizer; /* a value */
    double combine;   /* adding one value of a message to another */
    double jitter;    /* work of a rank and step is multiplied by 1 + jitter * (an exponential variable of mean 1) */
} cost;

typedef enum plan_kind { PLAN_ALLREDUCE, PLAN_SHARD, PLAN_LEADER, PLAN_SLICES } plan_kind;

/* A rank of the simulation. */
typedef struct rank_state {
    double debt;        /* seconds of work done since the clock last moved */
    double message;     /* seconds in messages of gradients and parameters, waiting for others included */
    double jitter;      /* factor on the work of this step */
    const void *params; /* global parameters, to tell their update from that of local rows */
    struct plan *plan;
} rank_state;

rank_state *scale_rank(void); /* NULL before main has set it */

/* cost.c. Both exit with a message when a file does not serve. */
void cost_read(const char *path, cost *out);
double cost_block(const cost *c, int64_t rows);
extern cost scale_cost;

/* Work that takes no time yet: the clock moves when the rank next sends or is asked for the time. */
void scale_owe(double seconds);
void scale_pay(void);

/* plan.c. Collective. */
/* node: ranks of a node; tail: values at the end of the gradient that are sums of the step; values: before them. */
void plan_start(plan_kind kind, int node, int tail, int64_t values);
void plan_finish(void);
/* Values of the optimizer's vector that this rank updates, and what follows the update. */
int64_t plan_share(int64_t n);
void plan_updated(int64_t n, void *values);

/* instead.c. scale_vector: memory of a rank, or, when long, of all ranks together; free() serves. */
void *scale_vector(size_t alignment, size_t bytes);
bool scale_is_shared(const void *p);
void scale_update(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,
                  void *const *slot);

#endif
