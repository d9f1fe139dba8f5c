/* Stochastic gradient descent with (Nesterov) momentum. */
#include "optim/rules.h"

static const avi_key keys[] = {
    {"optim", "momentum", AVI_KEY_REAL, "0.9", 0, 0.999999, NULL, NULL, "0 = plain gradient descent"},
    {"optim", "nesterov", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL, "Nesterov's momentum"},
};

static avi_status create(avi_optim *o, const avi_config *config)
{
    o->number[0] = avi_config_get_real(config, "optim", "momentum");
    o->number[1] = avi_config_get_bool(config, "optim", "nesterov");
    return AVI_OK;
}

const avi_optim_ops avi_optim_sgd = {
    .name = "sgd",
    .doc = "stochastic gradient descent with momentum",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .slots = 1,
    .slot_name = {"velocity"},
    .create = create,
    .update = {avi_rule_sgd_f32, avi_rule_sgd_f64},
};
