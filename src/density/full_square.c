#include "density/full_square.h"
#include "density/kernels.h"

AVI_DENSITY_OP(full_square);
AVI_DENSITY_OP(lowrank_square);

avi_node *avi_gaussian_full_square(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols == latent + latent * (latent + 1) / 2, "full_square", "nu is not (B, L + L(L+1)/2)", nu,
                     NULL);
    return avi_custom(t, &full_square_op, nu->rows, 1, 1, &nu, NULL);
}

avi_node *avi_gaussian_lowrank_square(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols > 2 * latent && nu->cols % latent == 0, "lowrank_square", "nu is not (B, (2 + K) L)", nu,
                     NULL);
    int64_t *size = avi_tape_alloc(t, 2); /* int64 in either precision */
    *size = latent;
    return avi_custom(t, &lowrank_square_op, nu->rows, 1, 1, &nu, size);
}
