#include "density/chain_factor.h"
#include "tape/internal.h"

void avi_forward_chain_marginal_f32(avi_tape *t, avi_node *n);
void avi_forward_chain_marginal_f64(avi_tape *t, avi_node *n);
void avi_backward_chain_marginal_f32(avi_tape *t, avi_node *n);
void avi_backward_chain_marginal_f64(avi_tape *t, avi_node *n);
void avi_forward_chain_after_f32(avi_tape *t, avi_node *n);
void avi_forward_chain_after_f64(avi_tape *t, avi_node *n);
void avi_backward_chain_after_f32(avi_tape *t, avi_node *n);
void avi_backward_chain_after_f64(avi_tape *t, avi_node *n);

static const avi_custom_op marginal_op = {
    .name = "chain_marginal",
    .forward = {avi_forward_chain_marginal_f32, avi_forward_chain_marginal_f64},
    .backward = {avi_backward_chain_marginal_f32, avi_backward_chain_marginal_f64}};
static const avi_custom_op after_op = {.name = "chain_after",
                                       .forward = {avi_forward_chain_after_f32, avi_forward_chain_after_f64},
                                       .backward = {avi_backward_chain_after_f32, avi_backward_chain_after_f64}};

static int64_t width_of(int64_t latent) { return latent + latent * (latent + 1) / 2 + latent * latent; }

avi_node *avi_chain_marginal(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols == width_of(latent), "chain_marginal", "nu is not (B, L + L(L+1)/2 + L^2)", nu, NULL);
    return avi_custom(t, &marginal_op, nu->rows, latent + latent * (latent + 1) / 2, 1, &nu, NULL);
}

avi_node *avi_chain_draw_after(avi_tape *t, avi_node *nu, avi_node *eps, avi_node *eps_before)
{
    avi_tape_require(!eps->needs_grad && !eps_before->needs_grad, "chain_after", "draws have no gradient", eps,
                     eps_before);
    avi_tape_require(nu->cols == width_of(eps->cols) && eps->rows % nu->rows == 0, "chain_after",
                     "nu (B, L + L(L+1)/2 + L^2), eps (B*S, L)", nu, eps);
    avi_tape_require(eps_before->rows == eps->rows && eps_before->cols == eps->cols, "chain_after",
                     "eps and eps_before are of one shape", eps, eps_before);
    return avi_custom(t, &after_op, eps->rows, eps->cols, 3, (avi_node *[]){nu, eps, eps_before}, NULL);
}
