/* act(a), value by value. */
#include "tape/activation.h"
#include "tape/lanes.h"

void AVI_R(avi_forward_activate)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t values = n->rows * n->cols;
    memcpy(n->value, n->in[0]->value, (size_t)values * sizeof(real));
    activation_apply((avi_activation)n->size[0], n->value, NULL, values);
}

void AVI_R(avi_backward_activate)(avi_tape *t, avi_node *n)
{
    real *g = n->grad; /* nobody reads it after this */
    activation_derive((avi_activation)n->size[0], n->value, n->in[0]->value, g, n->rows * n->cols);
#define TERM(k) (g[k])
    GRADIENT(t, n->in[0], TERM);
#undef TERM
}
