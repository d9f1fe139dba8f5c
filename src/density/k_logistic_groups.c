/* Grouped Bernoulli density with linear predictor, value and gradient. Row b * S + s holds draw s of group b. */
#include "density/logistic_groups.h"
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "tape/internal.h"

/* slope[j] = x_j' beta for the trials of a group. */
static void slopes(const avi_group_shape *g, const real *restrict x, const real *restrict beta, real *restrict slope)
{
    for (int64_t j = 0; j < g->trials; j++) {
        slope[j] = 0;
        for (int64_t k = 0; k < g->covariates; k++) slope[j] += x[j * g->covariates + k] * beta[k];
    }
}

/* aux: derivative with respect to each trial's logit (R, m), then work space (m) twice. */
void AVI_R(avi_forward_group_logit)(avi_tape *t, avi_node *n)
{
    const avi_group_shape *g = n->data;
    const int64_t m = g->trials, width = n->in[0]->cols, draws = n->rows / n->in[0]->rows;
    const real *intercept = n->in[1]->value, *beta = n->in[2] ? n->in[2]->value : NULL;
    n->aux = avi_tape_alloc(t, (n->rows + 2) * m);
    real *restrict slope = (real *)n->aux + n->rows * m, *restrict term = slope + m;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict y = (const real *)n->in[0]->value + r / draws * width;
        real *restrict d = (real *)n->aux + r * m, sum = 0;
        if (r % draws == 0) slopes(g, y + m, beta, slope);
        for (int64_t j = 0; j < m; j++) {
            const real l = intercept[r] + slope[j], counts = y[j] < 0 ? R(0.0) : R(1.0);
            term[j] = counts * (y[j] * l - vm_softplus(l));
            d[j] = counts * (y[j] - vm_sigmoid(l));
        }
        for (int64_t j = 0; j < m; j++) sum += term[j];
        ((real *)n->value)[r] = sum;
    }
}

void AVI_R(avi_backward_group_logit)(avi_tape *t, avi_node *n)
{
    const avi_group_shape *g = n->data;
    const int64_t m = g->trials, p = g->covariates, width = n->in[0]->cols, draws = n->rows / n->in[0]->rows;
    real *dintercept = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *restrict dbeta = n->in[2] && n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict d = (const real *)n->aux + r * m, gr = ((const real *)n->grad)[r];
        const real *restrict x = (const real *)n->in[0]->value + r / draws * width + m;
        real sum = 0;
        for (int64_t j = 0; j < m; j++) sum += d[j];
        if (dintercept) dintercept[r] += gr * sum;
        for (int64_t j = 0; dbeta && j < m; j++)
            for (int64_t k = 0; k < p; k++) dbeta[k] += gr * d[j] * x[j * p + k];
    }
}
