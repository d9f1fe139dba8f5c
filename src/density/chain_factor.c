#include "density/chain_factor.h"
#include "density/kernels.h"

AVI_DENSITY_OP(chain_marginal);
AVI_DENSITY_OP(chain_after);

static int64_t width_of(int64_t latent) { return latent + latent * (latent + 1) / 2 + latent * latent; }

avi_node *avi_chain_marginal(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols == width_of(latent), "chain_marginal", "nu is not (B, L + L(L+1)/2 + L^2)", nu, NULL);
    return avi_custom(t, &chain_marginal_op, nu->rows, latent + latent * (latent + 1) / 2, 1, &nu, NULL);
}

avi_node *avi_chain_draw_after(avi_tape *t, avi_node *nu, avi_node *eps, avi_node *eps_before)
{
    avi_tape_require(!eps->needs_grad && !eps_before->needs_grad, "chain_after", "draws have no gradient", eps,
                     eps_before);
    avi_tape_require(nu->cols == width_of(eps->cols) && eps->rows % nu->rows == 0, "chain_after",
                     "nu (B, L + L(L+1)/2 + L^2), eps (B*S, L)", nu, eps);
    avi_tape_require(eps_before->rows == eps->rows && eps_before->cols == eps->cols, "chain_after",
                     "eps and eps_before are of one shape", eps, eps_before);
    return avi_custom(t, &chain_after_op, eps->rows, eps->cols, 3, (avi_node *[]){nu, eps, eps_before}, NULL);
}
