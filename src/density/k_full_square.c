#include "avi/kernel.h"
#include "avi/vmath.h"
#include "density/full_square.h"
#include "tape/internal.h"

/* L of a factor from its width L + L(L+1)/2. */
static int64_t dimension(int64_t width)
{
    int64_t l = 0;
    while (l + l * (l + 1) / 2 < width) l++;
    return l;
}

void AVI_R(avi_forward_full_square)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *nu = n->in[0];
    const int64_t l = dimension(nu->cols);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *mean = (const real *)nu->value + b * nu->cols, *row = mean + l;
        real sum = 0;
        for (int64_t i = 0; i < l; row += ++i) {
            real of_row = mean[i] * mean[i] + vm_exp(2 * row[i]);
            for (int64_t j = 0; j < i; j++) of_row += row[j] * row[j];
            sum += of_row;
        }
        ((real *)n->value)[b] = sum;
    }
}

void AVI_R(avi_backward_full_square)(avi_tape *t, avi_node *n)
{
    avi_node *nu = n->in[0];
    const int64_t l = dimension(nu->cols);
    real *to = avi_tape_grad(t, nu);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *mean = (const real *)nu->value + b * nu->cols, *row = mean + l, g = 2 * ((const real *)n->grad)[b];
        real *d = to + b * nu->cols, *d_row = d + l;
        for (int64_t i = 0; i < l; i++) {
            d[i] += g * mean[i];
            for (int64_t j = 0; j < i; j++) d_row[j] += g * row[j];
            d_row[i] += g * vm_exp(2 * row[i]);
            row += i + 1;
            d_row += i + 1;
        }
    }
}
