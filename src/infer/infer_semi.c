/* Semi-amortized inference: another function's nu, then k steps of gradient ascent on the ELBO of the row by itself
 * (Kim, Wiseman, Miller, Sontag & Rush 2018). The steps are in graph/refinement.c, since they need the model. */
#include "avi/infer.h"

#include <string.h>

static const avi_key keys[] = {
    {"inference", "base", AVI_KEY_CHOICE, "mlp", 0, 0, AVI_CHOICES_INFER, NULL,
     "the function that the steps begin from; its keys are those that it has as inference.function"},
    {"inference", "refine_steps", AVI_KEY_INT, "5", 1, 1000, NULL, "steps",
     "steps of gradient ascent on the ELBO of the row by itself, for each row and each time that its factor is needed"},
    {"inference", "refine_rate", AVI_KEY_REAL, "0.1", 1e-12, 1e6, NULL, NULL,
     "the variational parameters of a row move by this times the gradient of its ELBO, each by 1 at most in a step; "
     "1 over the largest curvature is safe"},
    {"inference", "refine_draws", AVI_KEY_INT, "2", 0, 4096, NULL, "draws",
     "draws of z per row and step of the refinement, an even number in pairs eps, -eps; an evaluation gives all rows "
     "the same; 0: a quadrature in place of draws"},
    {"inference", "refine_gradient", AVI_KEY_CHOICE, "first_order", 0, 0, "first_order | full", NULL,
     "full: the fit's gradient goes through the steps, by two more gradients of the rows for each of them, and wants a "
     "refine_rate below 1 over the largest curvature; first_order: past them, as if the change that they make did not "
     "depend on the parameters"},
};

static avi_status create(avi_infer *f, const avi_config *config)
{
    f->refine = (avi_refine){.steps = (int)avi_config_get_int(config, "inference", "refine_steps"),
                             .rate = avi_config_get_real(config, "inference", "refine_rate"),
                             .draws = (int)avi_config_get_int(config, "inference", "refine_draws"),
                             .full = !strcmp(avi_config_get_string(config, "inference", "refine_gradient"), "full")};
    return AVI_OK;
}

const avi_infer_ops avi_infer_semi = {
    .name = "semi",
    .doc = "A-VI by another function (base), then steps of gradient ascent on each row's own ELBO",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "base = mlp\nhidden = 6\nrefine_steps = 2\nrefine_rate = 0.01\n",
    .refines = true,
    .create = create,
};
