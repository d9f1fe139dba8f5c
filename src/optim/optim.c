#include "avi/optim.h"

#include <string.h>

avi_status avi_optim_register(avi_registry *registry, const avi_optim_ops *ops)
{
    if (!ops->create)
        return avi_fail(AVI_ERR_INTERNAL, "optimizer %s has no create", ops->name ? ops->name : "without a name");
    return avi_registry_add(registry, AVI_KIND_OPTIM, ops);
}

static const avi_key common_keys[] = {
    {"optim", "method", AVI_KEY_CHOICE, "adam", 0, 0, AVI_CHOICES_OPTIM, NULL,
     "the optimizer (--list prints what each is)"},
    {"optim", "learning_rate", AVI_KEY_REAL, "1e-3", 0, 1e3, NULL, NULL,
     "step size (its largest value under a schedule)"},
    {"optim", "schedule", AVI_KEY_CHOICE, "constant", 0, 0, "constant | step | cosine", NULL,
     "constant; step: times schedule_factor every schedule_every steps; cosine: half a cosine from learning_rate to 0 "
     "over the run"},
    {"optim", "schedule_every", AVI_KEY_INT, "1000", 1, 1e15, NULL, "steps", "length of a stair of schedule = step"},
    {"optim", "schedule_factor", AVI_KEY_REAL, "0.5", 1e-6, 1, NULL, NULL, "height of a stair of schedule = step"},
    {"optim", "warmup", AVI_KEY_INT, "0", 0, 1e12, NULL, "steps",
     "steps over which the learning rate rises linearly from 0 at the start"},
    {"optim", "clip_norm", AVI_KEY_REAL, "0", 0, 1e30, NULL, NULL,
     "largest norm of the whole gradient (of -ELBO/N, over all ranks, local rows included); 0 = no clipping"},
    {"optim", "batch", AVI_KEY_INT, "1024", 0, 1e12, NULL, "rows",
     "rows per step, over all ranks together; 0 = all rows"},
    {"optim", "tile", AVI_KEY_INT, "0", 0, 1e7, NULL, "rows",
     "rows of a tile (batch / tile lanes, the largest useful number of ranks); 0 = chosen from the model and the "
     "batch"},
    {"optim", "local_rows", AVI_KEY_CHOICE, "batch", 0, 0, "batch | all", NULL,
     "F-VI: whose factors a step moves. batch: those of its rows, each once an epoch; all: every row's at every step, "
     "by the steps of an epoch times the gradient of the likelihood of the "
     "batch's rows, and by that of the KL of all rows, as a program does that minimises one loss of all parameters (KL "
     "in closed form "
     "only)"},
    {"optim", "local_learning_rate", AVI_KEY_STRING, "auto", 0, 0, NULL, NULL,
     "F-VI: step size of a row's own factor, under the same schedule: a number, or auto: for adam by minibatches of "
     "independent rows, where a row is seen once an epoch alone, 0.2 / sqrt(1 + epoch / 20), for means times the root "
     "of the factor's sd where that is below 1; else learning_rate"},
    {"optim", "local_steps", AVI_KEY_INT, "0", 0, 1024, NULL, "steps",
     "F-VI by minibatches: steps of a row's own factor each time that it is in the batch; 0 = 4 where "
     "local_learning_rate = auto gives it a step of its own, else 1"},
    {"optim", "epochs", AVI_KEY_INT, "20", 0, 1e9, NULL, "epochs", "length of the run"},
    {"optim", "steps", AVI_KEY_INT, "0", 0, 999999999, NULL, "steps",
     "length of the run in steps; > 0 wins over epochs"},
};

avi_status avi_optim_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, common_keys, (int)(sizeof common_keys / sizeof common_keys[0]));
}

avi_status avi_optim_create(const avi_config *config, avi_optim *optim)
{
    *optim = (avi_optim){.ops = avi_registry_find(avi_config_registry(config), AVI_KIND_OPTIM,
                                                  avi_config_get_string(config, "optim", "method"))};
    return avi_plugin_status(AVI_KIND_OPTIM, optim->ops, optim->ops->create(optim, config));
}
