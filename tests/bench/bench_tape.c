/* What the tape's operations cost, in ns a value, forward and backward, single precision: not a test, the clock decides
 * nothing here. bench_tape            all operations over (100000, 1), (1024, 784), (1024, 20) backward includes the
 * walk and the gradient of every operand that has one. Best of several rounds. */
#include "avi/rng.h"
#include "tape/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct work {
    avi_tape *t;
    int64_t rows, cols;
    float *a, *b, *c; /* (rows, 2 cols) each */
} work;

/* Wants a gradient as a node inside a model does: its first contribution is written, not added. */
static avi_node *leaf(const work *w, const float *values, int64_t rows, int64_t cols)
{
    avi_node *n = avi_constant(w->t, rows, cols, values);
    n->needs_grad = true;
    return n;
}
static avi_node *data(const work *w, const float *values) { return avi_constant(w->t, w->rows, w->cols, values); }
static avi_node *first(const work *w) { return leaf(w, w->a, w->rows, w->cols); }
static avi_node *second(const work *w) { return leaf(w, w->b, w->rows, w->cols); }
static avi_node *factor(const work *w) { return leaf(w, w->a, w->rows, 2 * w->cols); }

#define MAP(name, f)                                                                                                   \
    static avi_node *name(const work *w) { return avi_map(w->t, first(w), f); }
MAP(map_sin, AVI_SIN)
MAP(map_exp, AVI_EXP)
MAP(map_log, AVI_LOG)
MAP(map_softplus, AVI_SOFTPLUS)
MAP(map_sigmoid, AVI_SIGMOID)
MAP(map_square, AVI_SQUARE)
MAP(map_tanh, AVI_FN_TANH)

static avi_node *add(const work *w) { return avi_add(w->t, first(w), second(w)); }
static avi_node *mul(const work *w) { return avi_mul(w->t, first(w), second(w)); }
static avi_node *scale(const work *w) { return avi_scale(w->t, first(w), 2, 1); }
static avi_node *add_row(const work *w) { return avi_add(w->t, first(w), leaf(w, w->b, 1, w->cols)); }
static avi_node *mul_value(const work *w) { return avi_mul(w->t, first(w), leaf(w, w->b, 1, 1)); }
static avi_node *add_draws(const work *w) { return avi_add(w->t, first(w), leaf(w, w->b, 8, 1)); }
static avi_node *repeat(const work *w) { return avi_repeat(w->t, leaf(w, w->a, w->rows / 8, w->cols), 8); }
static avi_node *slice(const work *w) { return avi_slice(w->t, factor(w), w->cols, w->cols); }
static avi_node *concat(const work *w) { return avi_concat(w->t, first(w), second(w)); }
static avi_node *row_sum(const work *w) { return avi_row_sum(w->t, first(w)); }
static avi_node *draw_mean(const work *w) { return avi_draw_mean(w->t, first(w), 8, NULL); }
static avi_node *draw_logsumexp(const work *w)
{
    return avi_draw_logsumexp(w->t, leaf(w, w->a, w->rows * w->cols, 1), 8);
}
static avi_node *polynomial(const work *w) { return avi_polynomial(w->t, first(w), 2); }
static avi_node *draw(const work *w) { return avi_gaussian_draw(w->t, factor(w), data(w, w->b)); }
static avi_node *draw8(const work *w)
{
    return avi_gaussian_draw(w->t, leaf(w, w->a, w->rows / 8, 2 * w->cols), data(w, w->b));
}
static avi_node *entropy(const work *w) { return avi_gaussian_entropy(w->t, factor(w)); }
static avi_node *kl_std(const work *w) { return avi_gaussian_kl_std(w->t, factor(w)); }
static avi_node *logq(const work *w) { return avi_gaussian_logq(w->t, factor(w), second(w)); }
static avi_node *std_normal(const work *w) { return avi_std_normal_lpdf(w->t, first(w)); }
static avi_node *normal(const work *w) { return avi_normal_lpdf(w->t, data(w, w->c), first(w), second(w)); }
static avi_node *normal_sd(const work *w) { return avi_normal_lpdf_sd(w->t, data(w, w->c), first(w), 0.5); }
static avi_node *bernoulli(const work *w) { return avi_bernoulli_logit_lpdf(w->t, data(w, w->c), first(w)); }
static avi_node *poisson(const work *w) { return avi_poisson_log_lpdf(w->t, data(w, w->c), first(w)); }
static avi_node *categorical(const work *w)
{
    return avi_categorical_logit_lpdf(w->t, avi_constant(w->t, w->rows, 1, w->c), first(w));
}

static const struct {
    const char *name;
    avi_node *(*build)(const work *w);
    int64_t most_cols;
} ops[] = {
    {"add", add, 0},
    {"mul", mul, 0},
    {"scale", scale, 0},
    {"add (1, C)", add_row, 0},
    {"mul (1, 1)", mul_value, 0},
    {"add (8, 1)", add_draws, 0},
    {"repeat 8", repeat, 0},
    {"slice", slice, 0},
    {"concat", concat, 0},
    {"row_sum", row_sum, 0},
    {"draw_mean 8", draw_mean, 0},
    {"draw_logsumexp 8", draw_logsumexp, 1},
    {"polynomial 2", polynomial, 20},
    {"sin", map_sin, 0},
    {"exp", map_exp, 0},
    {"log", map_log, 0},
    {"softplus", map_softplus, 0},
    {"sigmoid", map_sigmoid, 0},
    {"square", map_square, 0},
    {"tanh", map_tanh, 0},
    {"gaussian_draw", draw, 0},
    {"gaussian_draw 8", draw8, 0},
    {"gaussian_entropy", entropy, 0},
    {"gaussian_kl_std", kl_std, 0},
    {"gaussian_logq", logq, 0},
    {"std_normal_lpdf", std_normal, 0},
    {"normal_lpdf", normal, 0},
    {"normal_lpdf_sd", normal_sd, 0},
    {"bernoulli_logit", bernoulli, 0},
    {"poisson_log", poisson, 0},
    {"categorical_logit", categorical, 0},
};
enum { OPS = (int)(sizeof ops / sizeof ops[0]), ROUNDS = 30 };

static double now(void)
{
    struct timespec s;
    clock_gettime(CLOCK_MONOTONIC, &s);
    return (double)s.tv_sec + 1e-9 * (double)s.tv_nsec;
}

/* As avi_tape_backward, from a node of any shape whose gradient is 1 everywhere. */
static void walk_back(const work *w, avi_node *y)
{
    for (avi_node *n = y; n; n = n->next_older)
        if (n->op && n->grad_set && n->needs_grad) n->op->backward[AVI_PRECISION_SINGLE](w->t, n);
}

static void time_op(const work *w, int i, double *forward, double *backward)
{
    *forward = *backward = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        avi_tape_reset(w->t);
        const double start = now();
        avi_node *y = ops[i].build(w);
        const double middle = now();
        float *g = avi_tape_grad(w->t, y);
        for (int64_t k = 0; k < y->rows * y->cols; k++) g[k] = 1;
        const double then = now();
        walk_back(w, y);
        const double end = now();
        if (middle - start < *forward) *forward = middle - start;
        if (end - then < *backward) *backward = end - then;
    }
}

static int make(work *w, int64_t rows, int64_t cols)
{
    const int64_t n = 2 * rows * cols;
    *w = (work){.t = avi_tape_create(AVI_PRECISION_SINGLE), .rows = rows, .cols = cols};
    float **of[] = {&w->a, &w->b, &w->c};
    double *u = malloc((size_t)n * sizeof *u);
    if (!w->t || !u) {
        free(u);
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        *of[i] = calloc((size_t)n, sizeof(float));
        if (!*of[i]) {
            free(u);
            return 0;
        }
        avi_uniform_f64(avi_stream_make(1, AVI_DRAW_TEST, (uint64_t)i), 0, rows, 0, 2 * cols, u);
        avi_vector_from_double(AVI_PRECISION_SINGLE, u, n, *of[i]);
    }
    for (int64_t k = 0; k < n; k++) w->c[k] = w->c[k] > 0.5f;
    free(u);
    return 1;
}

int main(void)
{
    static const int64_t shape[][2] = {{100000, 1}, {1024, 784}, {1024, 20}};
    work w[3];
    printf("%-18s", "ns a value");
    for (int s = 0; s < 3; s++) {
        if (!make(&w[s], shape[s][0], shape[s][1])) return 1;
        printf("   (%6lld, %3lld)     ", (long long)shape[s][0], (long long)shape[s][1]);
    }
    printf("\n%-18s   forward backward    forward backward    forward backward\n", "");
    for (int i = 0; i < OPS; i++) {
        printf("%-18s", ops[i].name);
        for (int s = 0; s < 3; s++) {
            double f, b;
            if (ops[i].most_cols && w[s].cols > ops[i].most_cols) {
                printf("         -        -");
                continue;
            }
            time_op(&w[s], i, &f, &b);
            const double values = 1e-9 * (double)(w[s].rows * w[s].cols);
            printf("   %7.2f %8.2f ", f / values, b / values);
        }
        printf("\n");
    }
    return 0;
}
