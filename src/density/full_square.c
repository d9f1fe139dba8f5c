#include "density/full_square.h"
#include "tape/internal.h"

void avi_forward_full_square_f32(avi_tape *t, avi_node *n);
void avi_forward_full_square_f64(avi_tape *t, avi_node *n);
void avi_backward_full_square_f32(avi_tape *t, avi_node *n);
void avi_backward_full_square_f64(avi_tape *t, avi_node *n);

static const avi_custom_op square_op = {.name = "full_square",
                                        .forward = {avi_forward_full_square_f32, avi_forward_full_square_f64},
                                        .backward = {avi_backward_full_square_f32, avi_backward_full_square_f64}};

avi_node *avi_gaussian_full_square(avi_tape *t, avi_node *nu, int64_t latent)
{
    avi_tape_require(nu->cols == latent + latent * (latent + 1) / 2, "full_square", "nu is not (B, L + L(L+1)/2)", nu,
                     NULL);
    return avi_custom(t, &square_op, nu->rows, 1, 1, &nu, NULL);
}
