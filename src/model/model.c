#include "avi/model.h"
#include "config/names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AVI_MODEL(name) extern const avi_model_ops avi_model_##name;
#include "avi/registry.def"

static const avi_model_ops *const models[] = {
#define AVI_MODEL(name) &avi_model_##name,
#include "avi/registry.def"
    NULL};

enum { MODELS = (int)(sizeof models / sizeof models[0]) - 1 };

const avi_model_ops *const *avi_model_all(void) { return models; }

const avi_model_ops *avi_model_find(const char *name)
{
    for (int i = 0; i < MODELS; i++)
        if (!strcmp(models[i]->name, name)) return models[i];
    return NULL;
}

static char choices[MODELS * 32 + 1]; /* filled at the first call, constant from then on */

static const avi_key common_keys[] = {
    {"model", "name", AVI_KEY_CHOICE, "vae", 0, 0, choices, NULL, "the model (--list tells what each is)"},
    {"model", "global", AVI_KEY_CHOICE, "point", 0, 0, "point | gaussian", NULL,
     "q(theta): a point estimate or a factorized Gaussian over all global parameters"},
};

const avi_key_table *avi_model_key_tables(int *count)
{
    static avi_key_table tables[MODELS + 1]; /* as `choices` */
    if (!tables[0].count) {
        for (int i = 0; i < MODELS; i++) {
            avi_names_append(choices, sizeof choices, models[i]->name);
            tables[i + 1] = (avi_key_table){models[i]->keys, models[i]->key_count, "model", "name", models[i]->name};
        }
        tables[0] = (avi_key_table){.keys = common_keys, .count = (int)(sizeof common_keys / sizeof common_keys[0])};
    }
    *count = MODELS + 1;
    return tables;
}

avi_status avi_model_create(const avi_config *config, const avi_shape *shape, avi_model **model)
{
    avi_model *m = calloc(1, sizeof *m);
    *model = m;
    if (!m) return avi_fail_memory(sizeof *m, "the model");
    m->ops = avi_model_find(avi_config_get_string(config, "model", "name"));
    m->shape = *shape;
    m->latent = 1;
    m->initial_log_sd = -2;
    avi_status status = m->ops->create(m, config, shape);
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
