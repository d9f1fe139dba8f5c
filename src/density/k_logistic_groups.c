/* Grouped Bernoulli density with linear predictor, value and gradient. Row b * S + s holds draw s of group b. Groups of
 * one width and ragged ones take the same operations in the same order: where they hold the same trials, and where
 * absent trials fill them up, their bits are the same. */
#include "density/group_rows.h"
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "tape/internal.h"

/* slope[j] = x_j' beta for the trials of a group. */
static void slopes(const group_row *g, int64_t covariates, const real *restrict beta, real *restrict slope)
{
    const real *restrict x = g->x;
    for (int64_t j = 0; j < g->trials; j++) {
        slope[j] = 0;
        for (int64_t k = 0; k < covariates; k++) slope[j] += x[j * g->x_stride + k] * beta[k];
    }
}

/* Outcomes side by side: those of ragged groups are copied. */
static const real *outcomes(const group_row *g, real *restrict copy)
{
    if (g->y_stride == 1) return g->y;
    for (int64_t j = 0; j < g->trials; j++) copy[j] = g->y[j * g->y_stride];
    return copy;
}

/* The log density of m trials, and its derivative with respect to each one's logit. */
static real density(int64_t m, const real *restrict y, real intercept, const real *restrict slope, real *restrict term,
                    real *restrict d)
{
    real sum = 0;
    for (int64_t j = 0; j < m; j++) {
        const real l = intercept + slope[j], counts = y[j] < 0 ? R(0.0) : R(1.0);
        term[j] = counts * (y[j] * l - vm_softplus(l));
        d[j] = counts * (y[j] - vm_sigmoid(l));
    }
    for (int64_t j = 0; j < m; j++) sum += term[j];
    return sum;
}

static int64_t largest_group(const avi_group_shape *s, const avi_node *x)
{
    int64_t most = s->entry ? 0 : s->trials;
    for (int64_t b = 0; s->entry && b < s->groups; b++) {
        const int64_t m = s->entry[b + 1] - s->entry[b];
        most = m > most ? m : most;
    }
    (void)x;
    return most;
}

/* aux: derivative with respect to each trial's logit, group by group (S, m of the group), then work space (largest m)
 * three times. */
void AVI_R(avi_forward_group_logit)(avi_tape *t, avi_node *n)
{
    const avi_group_shape *s = n->data;
    const avi_node *x = n->in[0];
    const int64_t groups = group_count(s, x), all = group_trials(s, x), most = largest_group(s, x),
                  draws = groups ? n->rows / groups : 1;
    const real *intercept = n->in[1]->value, *beta = n->in[2] ? n->in[2]->value : NULL;
    n->aux = avi_tape_alloc(t, draws * all + 3 * most);
    real *slope = (real *)n->aux + draws * all, *term = slope + most, *copy = term + most, *value = n->value;
    for (int64_t b = 0; b < groups; b++) {
        const group_row g = group_of(s, x, b);
        const real *y = outcomes(&g, copy);
        real *d = (real *)n->aux + draws * g.before;
        slopes(&g, s->covariates, beta, slope);
        for (int64_t i = 0; i < draws; i++)
            value[b * draws + i] = density(g.trials, y, intercept[b * draws + i], slope, term, d + i * g.trials);
    }
}

void AVI_R(avi_backward_group_logit)(avi_tape *t, avi_node *n)
{
    const avi_group_shape *s = n->data;
    const avi_node *in = n->in[0];
    const int64_t p = s->covariates, groups = group_count(s, in), draws = groups ? n->rows / groups : 1;
    real *dintercept = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *restrict dbeta = n->in[2] && n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    for (int64_t r = 0; r < n->rows; r++) {
        const group_row g = group_of(s, in, r / draws);
        const real *restrict d = (const real *)n->aux + draws * g.before + r % draws * g.trials;
        const real *restrict x = g.x, gr = ((const real *)n->grad)[r];
        real sum = 0;
        for (int64_t j = 0; j < g.trials; j++) sum += d[j];
        if (dintercept) dintercept[r] += gr * sum;
        for (int64_t j = 0; dbeta && j < g.trials; j++)
            for (int64_t k = 0; k < p; k++) dbeta[k] += gr * d[j] * x[j * g.x_stride + k];
    }
}
