/* L-BFGS for full batches and a function without noise: objective.draws = 0, or the same draws at every step. The
 * driver is train/lbfgs_step.c. */
#include "avi/optim.h"

static const avi_key keys[] = {
    {"optim", "memory", AVI_KEY_INT, "20", 1, 1000, NULL, "pairs", "pairs of past steps that L-BFGS keeps"},
    {"optim", "tolerance", AVI_KEY_REAL, "1e-8", 0, 1, NULL, "nats per row",
     "the run is done when the largest value of the gradient of -ELBO/N is below it"},
    {"optim", "newton", AVI_KEY_INT, "20", 1, 1000, NULL, "iterations",
     "most Newton iterations of local factors for each set of global parameters (factorized)"},
};

static avi_status create(avi_optim *o, const avi_config *config)
{
    if (avi_config_get_int(config, "optim", "batch") != 0)
        return avi_config_fail(config, "optim", "batch", "lbfgs takes all rows at every step; use batch = 0");
    o->number[0] = (double)avi_config_get_int(config, "optim", "memory");
    o->number[1] = avi_config_get_real(config, "optim", "tolerance");
    o->number[2] = (double)avi_config_get_int(config, "optim", "newton");
    return AVI_OK;
}

const avi_optim_ops avi_optim_lbfgs = {
    .name = "lbfgs",
    .doc = "L-BFGS over global parameters, with safeguarded Newton steps for every local factor (full batch, no noise)",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .create = create,
};
