/* Adam (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019) when asked for. */
#include "optim/rules.h"

static const avi_key keys[] = {
    {"optim", "beta1", AVI_KEY_REAL, "0.9", 0, 0.999999, NULL, NULL, "decay of the mean of gradients"},
    {"optim", "beta2", AVI_KEY_REAL, "0.999", 0, 0.99999999, NULL, NULL, "decay of the mean of squared gradients"},
    {"optim", "epsilon", AVI_KEY_REAL, "1e-8", 1e-16, 1, NULL, NULL,
     "added to the root of the mean of squares; below 1e-16 it would vanish in single precision and leave 0 / 0"},
    {"optim", "weight_decay", AVI_KEY_REAL, "0", 0, 1, NULL, NULL, "decoupled weight decay (AdamW); 0 = none"},
};

static avi_status create(avi_optim *o, const avi_config *config)
{
    for (int i = 0; i < 4; i++) o->number[i] = avi_config_get_real(config, "optim", keys[i].name);
    return AVI_OK;
}

const avi_optim_ops avi_optim_adam = {
    .name = "adam",
    .doc = "Adam; AdamW with weight_decay > 0",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .slots = 2,
    .slot_name = {"first_moment", "second_moment"},
    .slot_of_squares = {false, true},
    .create = create,
    .update = {avi_rule_adam_f32, avi_rule_adam_f64},
};
