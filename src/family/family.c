#include "avi/family.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FULL = 4096 /* values of theta: a triangle of 8.4 million */ };

avi_status avi_family_register(avi_registry *registry, const avi_family_ops *ops)
{
    if (!ops->create || !ops->draw || !ops->moments)
        return avi_fail(AVI_ERR_INTERNAL, "variational family %s has no create, draw or moments",
                        ops->name ? ops->name : "without a name");
    return avi_registry_add(registry, AVI_KIND_FAMILY, ops);
}

static avi_status create_with(const avi_config *config, const char *name, int64_t latent, const char *section,
                              const char *rank, avi_family **family)
{
    avi_family *f = *family = calloc(1, sizeof *f);
    if (!f) return avi_fail_memory(sizeof *f, "the variational family");
    f->ops = avi_registry_find(avi_config_registry(config), AVI_KIND_FAMILY, name);
    f->latent = latent;
    f->rank_section = section;
    f->rank_key = rank;
    const avi_status status = avi_plugin_status(AVI_KIND_FAMILY, f->ops, f->ops->create(f, config));
    if (status != AVI_OK) avi_family_destroy(family);
    return status;
}

static avi_status create(const avi_config *config, const char *name, int64_t latent, avi_family **family)
{
    return create_with(config, name, latent, "inference", "rank", family);
}

avi_status avi_family_create_global(const avi_config *config, int64_t values, avi_family **family)
{
    const char *name = avi_config_get_string(config, "model", "global");
    *family = NULL;
    if (values == 0 || !strcmp(name, "point") || !strcmp(name, "gaussian")) return AVI_OK;
    if (!strcmp(name, "gaussian_full") && values > MOST_FULL)
        return avi_config_fail(config, "model", "global",
                               "gaussian_full of %lld global parameters would have %lld values, and is for %d "
                               "parameters at most; use gaussian_lowrank, or gaussian",
                               (long long)values, (long long)(values + values * (values + 1) / 2), MOST_FULL);
    return create_with(config, name, values, "model", "global_rank", family);
}

avi_status avi_family_create(const avi_config *config, int64_t latent, avi_family **family)
{
    return create(config, avi_config_get_string(config, "inference", "family"), latent, family);
}

avi_status avi_family_create_full(const avi_config *config, int64_t latent, avi_family **family)
{
    return create(config, "gaussian_full", latent, family);
}

void avi_family_destroy(avi_family **family)
{
    avi_family *f = *family;
    if (!f) return;
    if (f->ops->destroy)
        f->ops->destroy(f);
    else
        free(f->self);
    free(f);
    *family = NULL;
}

avi_status avi_family_declare(avi_family *f, avi_params *phi)
{
    f->first = phi->count;
    if (f->ops->declare) AVI_TRY(f->ops->declare(f, phi));
    f->count = phi->count - f->first;
    return AVI_OK;
}

bool avi_family_is(const avi_family *f, const char *name) { return !strcmp(f->ops->name, name); }

bool avi_family_has_kl(const avi_family *f) { return f->ops->kl_std && !f->kl_by_draws; }
