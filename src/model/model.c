#include "avi/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

avi_status avi_model_register(avi_registry *registry, const avi_model_ops *ops)
{
    const char *missing = NULL;
    if (!ops->create) missing = "create";
    if (!ops->log_likelihood) missing = "log_likelihood";
    if (ops->coupling == AVI_CHAIN && (!ops->log_transition || !ops->log_initial))
        missing = "log_transition or log_initial, which a chain needs";
    if (ops->coupling == AVI_DENSE && !ops->covariance) missing = "covariance, which dense coupling needs";
    if (ops->simulates_ragged && (!ops->simulated_entries || !ops->simulate_rows))
        missing = "simulated_entries or simulate_rows, which simulated ragged data need";
    if (ops->ragged && (ops->coupling != AVI_INDEPENDENT || ops->lookahead))
        missing = "independent rows without lookahead, which ragged rows need";
    if (missing)
        return avi_fail(AVI_ERR_INTERNAL, "model %s has no %s", ops->name ? ops->name : "without a name", missing);
    return avi_registry_add(registry, AVI_KIND_MODEL, ops);
}

const avi_model_ops *avi_model_selected(const avi_config *config)
{
    return avi_registry_find(avi_config_registry(config), AVI_KIND_MODEL,
                             avi_config_get_string(config, "model", "name"));
}

static const avi_key common_keys[] = {
    {"model", "name", AVI_KEY_CHOICE, "vae", 0, 0, AVI_CHOICES_MODEL, NULL, "the model (--list prints what each is)"},
    {"model", "global", AVI_KEY_CHOICE, "point", 0, 0, "point | gaussian | gaussian_full | gaussian_lowrank", NULL,
     "q(theta): a point estimate, or a Gaussian over all global parameters: factorized, with a full covariance, or "
     "correlated in global_rank directions"},
    {"model", "global_rank", AVI_KEY_INT, "1", 1, 64, NULL, "directions",
     "directions in which global parameters are correlated, where global = gaussian_lowrank"},
    {"model", "theta_from", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "the run (folder or checkpoint, relative to where the command runs) whose global parameters a fit starts from; "
     "with data.standardise its columns' means and sds are taken too. Given with a run folder in place of FILE.ini: "
     "encode, evaluate, reconstruct and sample take that run's global parameters in place of the fit's own"},
    {"model", "theta_fixed", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "yes: the global parameters stay those of theta_from, and only q(z) is fitted"},
};

avi_status avi_model_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, common_keys, (int)(sizeof common_keys / sizeof common_keys[0]));
}

static avi_status refuse_ragged(const avi_config *config, const avi_model_ops *ops)
{
    const avi_registry *r = avi_config_registry(config);
    char names[256] = "";
    size_t used = 0;
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_MODEL) && used < sizeof names; i++) {
        const avi_model_ops *m = avi_registry_at(r, AVI_KIND_MODEL, i);
        if (m->ragged) used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? " or " : "", m->name);
    }
    return avi_config_fail(config, "model", "name",
                           "%s explains rows of one width, and these data are groups of any number of entries; use "
                           "model.name = %s, or data with rows of one width",
                           ops->name, names);
}

avi_status avi_model_create(const avi_config *config, const avi_shape *shape, avi_model **model)
{
    avi_model *m = calloc(1, sizeof *m);
    *model = m;
    if (!m) return avi_fail_memory(sizeof *m, "the model");
    m->ops = avi_model_selected(config);
    m->shape = *shape;
    m->latent = 1;
    m->initial_log_sd = -2;
    avi_status status = shape->ragged && !m->ops->ragged ? refuse_ragged(config, m->ops) : AVI_OK;
    if (status == AVI_OK) status = avi_plugin_status(AVI_KIND_MODEL, m->ops, m->ops->create(m, config, shape));
    if (status != AVI_OK) avi_model_destroy(model);
    return status;
}

void avi_model_destroy(avi_model **model)
{
    avi_model *m = *model;
    if (!m) return;
    if (m->ops->destroy)
        m->ops->destroy(m);
    else
        free(m->self);
    avi_params_free(&m->theta);
    free(m);
    *model = NULL;
}

bool avi_model_simulates(const avi_model_ops *ops) { return ops->simulate || ops->simulate_rows; }

avi_status avi_model_simulate(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count,
                              double *out)
{
    enum { BLOCK = 256 };
    int64_t row[BLOCK];
    if (!m->ops->simulate_rows) return m->ops->simulate(m, seed, rows, first, count, out);
    AVI_TRY(m->ops->simulate_rows(m, seed, NULL, 0, NULL));
    for (int64_t done = 0; done < count; done += BLOCK) {
        const int64_t n = count - done < BLOCK ? count - done : BLOCK;
        for (int64_t i = 0; i < n; i++) row[i] = first + done + i;
        AVI_TRY(m->ops->simulate_rows(m, seed, row, n, out + done * m->shape.width));
    }
    return AVI_OK;
}
