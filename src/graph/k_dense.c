/* Rows of E_q[log p(z)] for z ~ N(0, K): dense.h. The gradient of m_n is -c_n and not -c_n / 2, because c moves with
 * every m: it is that of the sum over all rows, so all rows must carry the same weight. */
#include "avi/kernel.h"
#include "graph/dense.h"

#include <math.h>

void AVI_R(avi_forward_dense_prior)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_dense_term *term = n->data;
    const int64_t l = term->latent;
    const real *nu = n->in[0]->value;
    real *out = n->value;
    for (int64_t r = 0; r < n->rows; r++) {
        double sum = 0;
        for (int64_t k = 0; k < l; k++)
            sum += (double)nu[2 * l * r + k] * term->c[l * r + k] +
                   exp(2 * (double)nu[2 * l * r + l + k]) * term->kappa[r];
        out[r] = (real)(term->constant - 0.5 * sum);
    }
}

void AVI_R(avi_backward_dense_prior)(avi_tape *t, avi_node *n)
{
    const avi_dense_term *term = n->data;
    const int64_t l = term->latent;
    const real *nu = n->in[0]->value, *g = n->grad;
    real *dnu = avi_tape_grad(t, n->in[0]);
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t k = 0; k < l; k++) {
            dnu[2 * l * r + k] -= g[r] * (real)term->c[l * r + k];
            dnu[2 * l * r + l + k] -= g[r] * (real)(exp(2 * (double)nu[2 * l * r + l + k]) * term->kappa[r]);
        }
}
