/* The tape: reverse-mode differentiation over coarse, fused operations on matrices. Define by run: a call computes its
 * value at once and is remembered; avi_tape_backward walks back. All memory comes from one arena that is reset between
 * tiles.
 *
 * Rows. A tile has B rows of data and S draws a row: what depends on draws has B*S rows, row b*S + s. Operands with
 * fewer rows are spread: data x of (B, D) against (B*S, D): row b serves its S draws ("repeated"); everything else with
 * R' rows against R = k R' rows: row r uses r mod R' ("cyclic"): a draw of a scalar theta is (S, 1). A column count of
 * 1 spreads over columns where an operation says so.
 *
 * Not collective. A tape belongs to one run precision. Memory that runs out is remembered: builders then return a node
 * all the same and avi_tape_status() tells; no builder returns NULL. Shapes that do not fit are a mistake of the
 * program: message and abort. */
#ifndef AVI_TAPE_H
#define AVI_TAPE_H

#include "avi/param.h"

typedef struct avi_tape avi_tape;

typedef struct avi_node {
    int64_t rows, cols;
    void *value;         /* (rows, cols) of the tape's precision */
    void *grad;          /* the same shape, or NULL while nothing has flowed into it */
    bool needs_grad;     /* something upstream is a parameter */
    bool grad_set;       /* grad holds a sum already: the next contribution adds */
    bool in_sink;        /* private: a leaf whose gradient leaves by the sink (src/tape/gradient_sink.h) */
    signed char rounded; /* private: whether its rounding goes on into other values; 1, -1: no, 0: not known yet
                            (src/tape/precise.c) */
    const struct avi_op *op;
    struct avi_node *in[4];
    int64_t size[4];     /* private to the operation */
    double number[2];    /* private to the operation */
    const int64_t *runs; /* private to the operation, on the arena */
    const void *data;    /* private to the operation, borrowed */
    void *aux;           /* private to the operation, on the arena */
    double *precise;     /* (rows, cols): values in double of a tape in single precision, or NULL: precise.c */
    double *sd;          /* (rows, cols / 2): in double, of a node that is nu of Gaussian factors, or NULL: precise.c */
    struct avi_node *next_older;
} avi_node;

typedef enum avi_activation {
    AVI_IDENTITY,
    AVI_RELU,
    AVI_LEAKY_RELU, /* slope 0.2 below 0 */
    AVI_TANH,
    AVI_ACT_GELU,    /* x Phi(x) (Hendrycks & Gimpel 2016) */
    AVI_ACT_SILU,    /* x / (1 + exp(-x)) */
    AVI_ACT_SOFTPLUS /* log(1 + exp(x)) */
} avi_activation;
/* AVI_ACTIVATION_CHOICES for key tables; name -> value, which must be one of them. */
#define AVI_ACTIVATION_CHOICES "relu | leaky_relu | tanh | gelu | silu | softplus | identity"
AVI_API avi_activation avi_activation_find(const char *name);

/* Owner: caller, avi_tape_destroy. NULL when memory is short. */
AVI_API avi_tape *avi_tape_create(avi_precision precision);
AVI_API void avi_tape_destroy(avi_tape **tape);
/* Forgets all nodes and their memory. */
AVI_API void avi_tape_reset(avi_tape *tape);
AVI_API avi_precision avi_tape_precision(const avi_tape *tape);
AVI_API size_t avi_tape_peak(const avi_tape *tape); /* bytes */
/* AVI_OK, or AVI_ERR_INTERNAL when memory ran out since the last reset. */
AVI_API avi_status avi_tape_status(const avi_tape *tape);
/* Work space until the next reset. */
AVI_API void *avi_tape_alloc(avi_tape *tape, int64_t values);

/* d(sum of seed * root)/d(everything upstream); root (R, 1), the same seed for each row. Gradients of parameters are
 * ADDED to what is there. Once a graph: several roots are seeded first (avi_tape_seed), and the last one walks back for
 * all. */
AVI_API void avi_tape_backward(avi_tape *tape, avi_node *root, double seed);
AVI_API void avi_tape_seed(avi_tape *tape, avi_node *root, double seed);
/* The same with one seed for each row: seeds (R). */
AVI_API void avi_tape_backward_rows(avi_tape *tape, avi_node *root, const double *seeds);

/* Values of a (R, 1) node in double, on the tape: of a tape in single precision `precisely` works them out anew from
 * the matrices that densities stand on (data, draws, outputs of networks), so that a sum over 1e7 rows is right to 1e-9
 * relative; else the floats are converted. An operation whose values cannot be worked out anew is converted. */
AVI_API const double *avi_tape_row_values(avi_tape *t, avi_node *n, bool precisely);

/* ---- leaves ---- */
/* Borrowed values; no gradient. */
AVI_API avi_node *avi_constant(avi_tape *t, int64_t rows, int64_t cols, const void *values);
/* New constant whose values the caller fills (node->value). */
AVI_API avi_node *avi_constant_new(avi_tape *t, int64_t rows, int64_t cols);
/* Borrowed values and gradient; gradient is added to. grad NULL: a constant. */
AVI_API avi_node *avi_parameter(avi_tape *t, int64_t rows, int64_t cols, const void *values, void *grad);
/* Rows of a table (total, cols) of the tape's precision, in `segments` runs: run i takes count[i] rows from row
 * first[i]. Gradients are added to the same rows of table_grad (may be NULL). */
AVI_API avi_node *avi_gather(avi_tape *t, int64_t cols, const void *table, void *table_grad, int segments,
                             const int64_t *first, const int64_t *count);

/* ---- structure ---- */
AVI_API avi_node *avi_slice(avi_tape *t, avi_node *a, int64_t first_col, int64_t cols);      /* (R, cols) */
AVI_API avi_node *avi_slice_rows(avi_tape *t, avi_node *a, int64_t first_row, int64_t rows); /* (rows, C) */
AVI_API avi_node *avi_concat(avi_tape *t, avi_node *a, avi_node *b);                         /* (R, Ca + Cb) */
AVI_API avi_node *avi_concat_rows(avi_tape *t, avi_node *a, avi_node *b); /* a above b: (Ra + Rb, C) */
AVI_API avi_node *avi_repeat(avi_tape *t, avi_node *a, int64_t times);    /* (R*times, C), row r*times + s = a[r] */
/* The values of a in their order: (R, C) -> (rows, cols), R C = rows cols. */
AVI_API avi_node *avi_reshape(avi_tape *t, avi_node *a, int64_t rows, int64_t cols);
AVI_API avi_node *avi_detach(avi_tape *t, avi_node *a); /* same values, no gradient */

/* ---- rows in segments: entries of ragged datapoints. Index arrays are borrowed until the
 * next reset. ---- */
/* Rows r of a as row[r] lists them, in any order and as often as listed: (A, C) -> (rows, C), 0 <= row[r] < A. */
AVI_API avi_node *avi_gather_rows(avi_tape *t, avi_node *a, int64_t rows, const int64_t *row);
/* Segment b is rows [first[b], first[b + 1]) of a, first (segments + 1) ascending from 0 to E; empty segments give 0.
 * Their sums, and their means: (E, C) -> (segments, C). */
AVI_API avi_node *avi_segment_sum(avi_tape *t, avi_node *a, int64_t segments, const int64_t *first);
AVI_API avi_node *avi_segment_mean(avi_tape *t, avi_node *a, int64_t segments, const int64_t *first);
/* A node of entries knows where those of each datapoint begin, (datapoints + 1), once somebody has said so: borrowed
 * like other index arrays. NULL: nobody has. */
AVI_API void avi_set_segments(avi_node *leaf, const int64_t *first);
AVI_API const int64_t *avi_segments(const avi_node *leaf);

/* ---- arithmetic; a is (R, C), b spreads over rows (cyclic) and columns ---- */
AVI_API avi_node *avi_add(avi_tape *t, avi_node *a, avi_node *b);
AVI_API avi_node *avi_sub(avi_tape *t, avi_node *a, avi_node *b);
AVI_API avi_node *avi_mul(avi_tape *t, avi_node *a, avi_node *b);
AVI_API avi_node *avi_scale(avi_tape *t, avi_node *a, double factor, double offset); /* factor * a + offset */
typedef enum avi_function {
    AVI_SIN,
    AVI_COS,
    AVI_EXP,
    AVI_LOG,
    AVI_SOFTPLUS,
    AVI_SIGMOID,
    AVI_SQUARE,
    AVI_FN_TANH
} avi_function;
AVI_API avi_node *avi_map(avi_tape *t, avi_node *a, avi_function f);
AVI_API avi_node *avi_row_sum(avi_tape *t, avi_node *a); /* (R, 1) */
/* Mean over the S draws of each row, or the sum with `weights` (S doubles, borrowed): (B*S, C) -> (B, C). */
AVI_API avi_node *avi_draw_mean(avi_tape *t, avi_node *a, int64_t draws, const double *weights);
/* log sum_s exp a[b*S + s]: (B*S, 1) -> (B, 1). */
AVI_API avi_node *avi_draw_logsumexp(avi_tape *t, avi_node *a, int64_t draws);
/* 1, x_1 .. x_D, all monomials up to `degree` without the 1: (B, D) -> (B, F), F = C(D + degree, degree) - 1. */
AVI_API avi_node *avi_polynomial(avi_tape *t, avi_node *x, int degree);
AVI_API int64_t avi_polynomial_width(int64_t inputs, int degree); /* INT64_MAX when it is beyond that */

/* ---- networks ---- */
/* act(x W' + b): x (R, in), W (out, in), b (1, out) or NULL -> (R, out). */
AVI_API avi_node *avi_affine(avi_tape *t, avi_node *x, avi_node *w, avi_node *b, avi_activation act);
AVI_API avi_node *avi_activate(avi_tape *t, avi_node *a, avi_activation act); /* (R, C) */

/* ---- Gaussian factors. nu = (mean, log_sd): (B, 2L) ---- */
AVI_API avi_node *avi_gaussian_draw(avi_tape *t, avi_node *nu,
                                    avi_node *eps);                /* mean + sd * eps: eps (B*S, L) -> (B*S, L) */
AVI_API avi_node *avi_gaussian_entropy(avi_tape *t, avi_node *nu); /* (B, 1) */
AVI_API avi_node *avi_gaussian_kl_std(avi_tape *t, avi_node *nu);  /* KL(q || N(0, 1)): (B, 1) */
AVI_API avi_node *avi_gaussian_logq(avi_tape *t, avi_node *nu, avi_node *z); /* log q(z): (B*S, 1) */
/* Full covariance: nu = (mean (L), rows of the lower Cholesky factor, its diagonal as logarithm): (B, L + L(L+1)/2). */
AVI_API avi_node *avi_gaussian_full_draw(avi_tape *t, avi_node *nu, avi_node *eps);
AVI_API avi_node *avi_gaussian_full_entropy(avi_tape *t, avi_node *nu);
AVI_API avi_node *avi_gaussian_full_logq(avi_tape *t, avi_node *nu, avi_node *z);

/* ---- log densities, summed over columns: (R, 1). All normalizing constants are kept. x (B, D) is repeated over draws;
 * it may have a gradient, unless it is a count or a class. ---- */
AVI_API avi_node *avi_std_normal_lpdf(avi_tape *t, avi_node *z);
/* log_sd spreads over rows (cyclic) and columns. */
AVI_API avi_node *avi_normal_lpdf(avi_tape *t, avi_node *x, avi_node *mean, avi_node *log_sd);
AVI_API avi_node *avi_normal_lpdf_sd(avi_tape *t, avi_node *x, avi_node *mean, double sd);
AVI_API avi_node *avi_bernoulli_logit_lpdf(avi_tape *t, avi_node *x, avi_node *logits); /* x in [0, 1] */
AVI_API avi_node *avi_poisson_log_lpdf(avi_tape *t, avi_node *x, avi_node *log_rate);
AVI_API avi_node *avi_categorical_logit_lpdf(avi_tape *t, avi_node *x,
                                             avi_node *logits); /* x (B, 1) class number; logits (R, C) */

/* ---- hand-written operations ---- */
/* forward fills out->value from in[0..n-1]->value; backward adds to in[i]->grad where in[i]->needs_grad, through
 * avi_tape_grad(), which returns (R, C) zeroed or holding a sum. One function each for both precisions: write it in a
 * file k_<name>.c. precise is optional: the values (R, C) in double on a tape in single precision, for densities whose
 * rows share rounding (avi_tape_row_values). */
typedef struct avi_custom_op {
    const char *name;
    void (*forward[2])(avi_tape *t, avi_node *out);
    void (*backward[2])(avi_tape *t, avi_node *out);
    void (*precise)(avi_tape *t, avi_node *n, double *out);
} avi_custom_op;
AVI_API avi_node *avi_custom(avi_tape *t, const avi_custom_op *op, int64_t rows, int64_t cols, int inputs,
                             avi_node *const *in, const void *data);
/* The gradient of a node to add to (allocated and zeroed when it is the first contribution). */
AVI_API void *avi_tape_grad(avi_tape *t, avi_node *node);

#endif
