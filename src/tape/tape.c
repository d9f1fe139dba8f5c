#include "tape/internal.h"
#include "tape/gradient_sink.h"
#include "avi/arena.h"
#include "avi/comm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct avi_tape {
    avi_precision precision;
    avi_arena *arena;
    avi_node *newest; /* nodes in reverse order of creation, linked by next_older */
    bool out_of_memory;
    struct spare *spare;           /* where values go once memory ran out; never used for results */
    const avi_gradient_sink *sink; /* borrowed; NULL */
    bool untiled;                  /* an operation that knows no tiles gave a gradient to a leaf of the sink */
};

typedef struct spare {
    struct spare *older; /* smaller; kept, since nodes point into it */
    size_t bytes;        /* that follow */
} spare;

avi_tape *avi_tape_create(avi_precision precision)
{
    avi_tape *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->precision = precision;
    t->arena = avi_arena_create((size_t)1 << 20);
    if (!t->arena) {
        free(t);
        return NULL;
    }
    return t;
}

static void free_spare(avi_tape *t)
{
    while (t->spare) {
        spare *older = t->spare->older;
        free(t->spare);
        t->spare = older;
    }
}

void avi_tape_destroy(avi_tape **tape)
{
    if (!*tape) return;
    avi_arena_destroy(&(*tape)->arena);
    free_spare(*tape);
    free(*tape);
    *tape = NULL;
}

void avi_tape_reset(avi_tape *t)
{
    avi_arena_reset(t->arena);
    free_spare(t);
    t->newest = NULL;
    t->out_of_memory = false;
}

avi_precision avi_tape_precision(const avi_tape *t) { return t->precision; }
avi_node *avi_tape_newest(const avi_tape *t) { return t->newest; }
bool avi_tape_is_short(const avi_tape *t) { return t->out_of_memory; }
size_t avi_tape_peak(const avi_tape *t) { return avi_arena_peak(t->arena); }

avi_status avi_tape_status(const avi_tape *t)
{
    return t->out_of_memory ? avi_fail_memory(avi_arena_peak(t->arena), "the tape of a tile") : AVI_OK;
}

/* Memory that ran out must not surface in every line of a model: the tape goes on in a scratch block and says so in its
 * status. */
static void *spare_block(avi_tape *t, size_t bytes)
{
    t->out_of_memory = true;
    if (!t->spare || bytes > t->spare->bytes) {
        spare *s = malloc(sizeof *s + bytes);
        if (!s) avi_comm_abort(avi_fail_memory(bytes, "the tape of a tile"));
        *s = (spare){.older = t->spare, .bytes = bytes};
        t->spare = s;
    }
    return t->spare + 1;
}

static void *alloc_bytes(avi_tape *t, size_t bytes)
{
    void *p = t->out_of_memory ? NULL : avi_arena_alloc(t->arena, bytes);
    return p ? p : spare_block(t, bytes);
}

void *avi_tape_alloc(avi_tape *t, int64_t values)
{
    return alloc_bytes(t, (size_t)values * avi_real_size(t->precision));
}

static avi_node *append(avi_tape *t, int64_t rows, int64_t cols)
{
    avi_node *n = avi_arena_alloc(t->arena, sizeof *n);
    if (!n) avi_comm_abort(avi_fail_memory(sizeof *n, "a node of the tape"));
    memset(n, 0, sizeof *n);
    n->rows = rows;
    n->cols = cols;
    n->next_older = t->newest;
    t->newest = n;
    return n;
}

avi_node *avi_tape_node(avi_tape *t, const avi_op *op, int64_t rows, int64_t cols, int inputs, avi_node *const *in)
{
    avi_node *n = append(t, rows, cols);
    n->op = op;
    n->value = avi_tape_alloc(t, rows * cols);
    for (int i = 0; i < inputs; i++) {
        n->in[i] = in[i];
        n->needs_grad |= in[i] && in[i]->needs_grad;
    }
    return n;
}

avi_node *avi_tape_run(avi_tape *t, avi_node *n)
{
    if (!t->out_of_memory) n->op->forward[t->precision](t, n);
    return n;
}

avi_node *avi_constant(avi_tape *t, int64_t rows, int64_t cols, const void *values)
{
    return avi_parameter(t, rows, cols, values, NULL);
}

avi_node *avi_constant_new(avi_tape *t, int64_t rows, int64_t cols)
{
    avi_node *n = append(t, rows, cols);
    n->value = avi_tape_alloc(t, rows * cols);
    return n;
}

avi_node *avi_parameter(avi_tape *t, int64_t rows, int64_t cols, const void *values, void *grad)
{
    avi_node *n = append(t, rows, cols);
    n->value = (void *)(uintptr_t)values; /* read only by every operation */
    n->grad = grad;
    n->needs_grad = n->grad_set = grad != NULL;
    return n;
}

avi_node *avi_detach(avi_tape *t, avi_node *a) { return avi_constant(t, a->rows, a->cols, a->value); }

void avi_tape_set_sink(avi_tape *t, const avi_gradient_sink *sink) { t->sink = sink; }
const avi_gradient_sink *avi_tape_sink(const avi_tape *t) { return t->sink; }

bool avi_tape_take_untiled(avi_tape *t)
{
    const bool untiled = t->untiled;
    t->untiled = false;
    return untiled;
}

void *avi_tape_grad_fresh(avi_tape *t, avi_node *n, bool *fresh)
{
    t->untiled |= n->in_sink;
    return avi_tape_affine_grad(t, n, fresh);
}

void *avi_tape_affine_grad(avi_tape *t, avi_node *n, bool *fresh)
{
    *fresh = !n->grad_set;
    if (!n->needs_grad) return NULL;
    if (!n->grad) n->grad = avi_tape_alloc(t, n->rows * n->cols);
    n->grad_set = true;
    return n->grad;
}

void *avi_tape_grad(avi_tape *t, avi_node *n)
{
    bool fresh;
    void *g = avi_tape_grad_fresh(t, n, &fresh);
    if (g && fresh) memset(g, 0, (size_t)(n->rows * n->cols) * avi_real_size(t->precision));
    return g;
}

static void walk_back(avi_tape *t)
{
    for (avi_node *n = t->newest; n; n = n->next_older)
        if (n->op && n->grad_set && n->needs_grad) n->op->backward[t->precision](t, n);
}

static void seed_row(avi_tape *t, void *g, int64_t r, double seed)
{
    avi_vector_set(t->precision, g, r, avi_vector_get(t->precision, g, r) + seed);
}

void avi_tape_seed(avi_tape *t, avi_node *root, double seed)
{
    avi_tape_require(root->cols == 1, "backward", "the root is not (R, 1)", root, NULL);
    void *g = avi_tape_grad(t, root);
    for (int64_t r = 0; g && r < root->rows; r++) seed_row(t, g, r, seed);
}

void avi_tape_backward_rows(avi_tape *t, avi_node *root, const double *seeds)
{
    avi_tape_require(root->cols == 1, "backward", "the root is not (R, 1)", root, NULL);
    void *g = avi_tape_grad(t, root);
    for (int64_t r = 0; g && r < root->rows; r++) seed_row(t, g, r, seeds[r]);
    if (!t->out_of_memory) walk_back(t);
}

void avi_tape_backward(avi_tape *t, avi_node *root, double seed)
{
    avi_tape_seed(t, root, seed);
    if (!t->out_of_memory) walk_back(t);
}

void avi_tape_require(bool holds, const char *op, const char *what, const avi_node *a, const avi_node *b)
{
    if (holds) return;
    fprintf(stderr, "avi_mpi: internal error: tape operation %s: %s", op, what);
    if (a) fprintf(stderr, "; a is (%lld, %lld)", (long long)a->rows, (long long)a->cols);
    if (b) fprintf(stderr, ", b is (%lld, %lld)", (long long)b->rows, (long long)b->cols);
    fprintf(stderr, "\n");
    abort();
}
