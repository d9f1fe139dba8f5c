#include "density/full_square.h"
#include "density/kernels.h"

AVI_DENSITY_OP(full_square);

avi_node *avi_gaussian_full_square(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols == latent + latent * (latent + 1) / 2, "full_square", "nu is not (B, L + L(L+1)/2)", nu,
                     NULL);
    return avi_custom(t, &full_square_op, nu->rows, 1, 1, &nu, NULL);
}
