/* A gradient case: leaves, and how a graph of one operation is built on them. The harness (gradient.c) reduces what it
 * builds to a scalar with random weights, in either precision, directly on parameters or on nodes between. */
#ifndef AVI_TEST_GRADIENT_H
#define AVI_TEST_GRADIENT_H

#include "tape/internal.h"

enum { MAX_LEAVES = 4, MAX_VALUES = 2048 };

typedef struct leaf {
    int64_t rows, cols;
    double low, high; /* values are uniform in (low, high) */
    bool fixed;       /* a constant: eps, x of a count */
    bool whole;       /* values rounded down to integers */
} leaf;

typedef struct graph {
    avi_tape *tape;
    avi_node *in[MAX_LEAVES]; /* what the operation is applied to */
    void *value[MAX_LEAVES];  /* of the leaves, in the tape's precision */
    void *grad[MAX_LEAVES];   /* NULL when fixed */
    const struct gradient_case *c;
} graph;

typedef struct gradient_case {
    const avi_op *op; /* must be part of what build returns; NULL: a custom operation */
    const char *label;
    leaf leaf[MAX_LEAVES]; /* ends with rows == 0 */
    avi_node *(*build)(const graph *g);
    int64_t number; /* for build: an activation, a function, a count */
} gradient_case;

extern const gradient_case gradient_cases[];
extern const int gradient_case_count;

/* How the leaves reach the operation: parameters themselves (gradients are added to the flat vector), nodes between
 * (a first contribution), nodes that something later has used already (a second contribution). */
typedef enum wiring { WIRE_PARAMETER, WIRE_FRESH, WIRE_USED_TWICE, WIRINGS } wiring;

typedef struct outcome {
    double value;                        /* sum over rows of seed * root */
    double grad[MAX_LEAVES][MAX_VALUES]; /* what backward added */
    bool has_op;                         /* the graph contains the case's operation */
} outcome;

/* Values of the leaves, representable in single precision: x (MAX_LEAVES, MAX_VALUES). */
void gradient_values(const gradient_case *c, double (*x)[MAX_VALUES]);
/* Value and, when backward, gradients. */
void gradient_run(const gradient_case *c, avi_precision p, wiring w, double (*x)[MAX_VALUES], bool backward,
                  outcome *out);

#endif
