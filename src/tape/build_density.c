/* Builders of variational factors and log densities. */
#include "tape/internal.h"

static avi_node *nu_op(avi_tape *t, const avi_op *op, avi_node *nu)
{
    return avi_tape_run(t, avi_tape_node(t, op, nu->rows, 1, 1, &nu));
}

/* Dimension L of a full-covariance factor from its width L + L(L+1)/2. */
static int64_t full_dimension(const avi_node *nu)
{
    int64_t l = 0;
    while (l + l * (l + 1) / 2 < nu->cols) l++;
    avi_tape_require(l + l * (l + 1) / 2 == nu->cols, "gaussian_full", "the width is not L + L(L+1)/2", nu, NULL);
    return l;
}

avi_node *avi_gaussian_draw(avi_tape *t, avi_node *nu, avi_node *eps)
{
    avi_tape_require(!eps->needs_grad, "gaussian_draw", "eps has no gradient", nu, eps);
    avi_tape_require(nu->cols == 2 * eps->cols && eps->rows % nu->rows == 0, "gaussian_draw",
                     "nu (B, 2L), eps (B*S, L)", nu, eps);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_gaussian_draw, eps->rows, eps->cols, 2, (avi_node *[]){nu, eps}));
}

avi_node *avi_gaussian_entropy(avi_tape *t, avi_node *nu) { return nu_op(t, &avi_op_gaussian_entropy, nu); }
avi_node *avi_gaussian_kl_std(avi_tape *t, avi_node *nu) { return nu_op(t, &avi_op_gaussian_kl_std, nu); }

avi_node *avi_gaussian_logq(avi_tape *t, avi_node *nu, avi_node *z)
{
    avi_tape_require(nu->cols == 2 * z->cols && z->rows % nu->rows == 0, "gaussian_logq", "nu (B, 2L), z (B*S, L)", nu,
                     z);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_gaussian_logq, z->rows, 1, 2, (avi_node *[]){nu, z}));
}

avi_node *avi_gaussian_full_draw(avi_tape *t, avi_node *nu, avi_node *eps)
{
    avi_tape_require(!eps->needs_grad, "gaussian_full_draw", "eps has no gradient", nu, eps);
    avi_tape_require(full_dimension(nu) == eps->cols && eps->rows % nu->rows == 0, "gaussian_full_draw", "shapes", nu,
                     eps);
    return avi_tape_run(t,
                        avi_tape_node(t, &avi_op_gaussian_full_draw, eps->rows, eps->cols, 2, (avi_node *[]){nu, eps}));
}

avi_node *avi_gaussian_full_entropy(avi_tape *t, avi_node *nu)
{
    avi_node *n = avi_tape_node(t, &avi_op_gaussian_full_entropy, nu->rows, 1, 1, &nu);
    n->size[0] = full_dimension(nu);
    return avi_tape_run(t, n);
}

avi_node *avi_gaussian_full_logq(avi_tape *t, avi_node *nu, avi_node *z)
{
    avi_tape_require(full_dimension(nu) == z->cols && z->rows % nu->rows == 0, "gaussian_full_logq", "shapes", nu, z);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_gaussian_full_logq, z->rows, 1, 2, (avi_node *[]){nu, z}));
}

avi_node *avi_std_normal_lpdf(avi_tape *t, avi_node *z) { return nu_op(t, &avi_op_std_normal_lpdf, z); }

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

avi_node *avi_normal_lpdf(avi_tape *t, avi_node *x, avi_node *mean, avi_node *log_sd)
{
    const int64_t rows = larger(larger(x->rows, mean->rows), log_sd->rows);
    const int64_t cols = larger(x->cols, mean->cols);
    x = avi_tape_spread(t, x, rows, cols, true);
    mean = avi_tape_spread(t, mean, rows, cols, false);
    log_sd = avi_tape_spread(t, log_sd, rows, cols, false);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_normal_lpdf, rows, 1, 3, (avi_node *[]){x, mean, log_sd}));
}

avi_node *avi_normal_lpdf_sd(avi_tape *t, avi_node *x, avi_node *mean, double sd)
{
    const int64_t rows = larger(x->rows, mean->rows), cols = larger(x->cols, mean->cols);
    x = avi_tape_spread(t, x, rows, cols, true);
    mean = avi_tape_spread(t, mean, rows, cols, false);
    avi_node *n = avi_tape_node(t, &avi_op_normal_lpdf, rows, 1, 2, (avi_node *[]){x, mean});
    n->number[0] = sd;
    return avi_tape_run(t, n);
}

avi_node *avi_bernoulli_logit_lpdf(avi_tape *t, avi_node *x, avi_node *logits)
{
    x = avi_tape_spread(t, x, logits->rows, logits->cols, true);
    return avi_tape_run(t,
                        avi_tape_node(t, &avi_op_bernoulli_logit_lpdf, logits->rows, 1, 2, (avi_node *[]){x, logits}));
}

avi_node *avi_poisson_log_lpdf(avi_tape *t, avi_node *x, avi_node *log_rate)
{
    avi_tape_require(!x->needs_grad, "poisson_log_lpdf", "counts have no gradient", x, log_rate);
    x = avi_tape_spread(t, x, log_rate->rows, log_rate->cols, true);
    return avi_tape_run(t,
                        avi_tape_node(t, &avi_op_poisson_log_lpdf, log_rate->rows, 1, 2, (avi_node *[]){x, log_rate}));
}

avi_node *avi_categorical_logit_lpdf(avi_tape *t, avi_node *x, avi_node *logits)
{
    avi_tape_require(!x->needs_grad, "categorical_logit_lpdf", "class numbers have no gradient", x, logits);
    x = avi_tape_spread(t, x, logits->rows, 1, true);
    return avi_tape_run(
        t, avi_tape_node(t, &avi_op_categorical_logit_lpdf, logits->rows, 1, 2, (avi_node *[]){x, logits}));
}
