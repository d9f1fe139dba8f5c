#include "avi/infer.h"
#include "config/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AVI_INFER(name) extern const avi_infer_ops avi_infer_##name;
#include "avi/registry.def"

static const avi_infer_ops *const functions[] = {
#define AVI_INFER(name) &avi_infer_##name,
#include "avi/registry.def"
    NULL};

enum { FUNCTIONS = (int)(sizeof functions / sizeof functions[0]) - 1 };

const avi_infer_ops *const *avi_infer_all(void) { return functions; }

const avi_infer_ops *avi_infer_find(const char *name)
{
    for (int i = 0; i < FUNCTIONS; i++)
        if (!strcmp(functions[i]->name, name)) return functions[i];
    return NULL;
}

static char choices[FUNCTIONS * 32 + 1]; /* filled at the first call, constant from then on */

static const avi_key common_keys[] = {
    {"inference", "function", AVI_KEY_CHOICE, "mlp", 0, 0, choices, NULL,
     "where a row's variational parameters come from (--list tells what each is)"},
    {"inference", "family", AVI_KEY_CHOICE, "gaussian", 0, 0, "gaussian | gaussian_full", NULL,
     "q(z_n): Gaussian with independent dimensions or with full covariance"},
    {"inference", "domain", AVI_KEY_STRING, "self", 0, 0, NULL, NULL,
     "the rows that the function sees: self | next (n, n+1) | ahead (n+1 alone) | window:w (n-w..n+w)"},
};

const avi_key_table *avi_infer_key_tables(int *count)
{
    static avi_key_table tables[FUNCTIONS + 1]; /* as `choices` */
    if (!tables[0].count) {
        for (int i = 0; i < FUNCTIONS; i++) {
            avi_names_append(choices, sizeof choices, functions[i]->name);
            tables[i + 1] = (avi_key_table){functions[i]->keys, functions[i]->key_count, "inference", "function",
                                            functions[i]->name};
        }
        tables[0] = (avi_key_table){.keys = common_keys, .count = (int)(sizeof common_keys / sizeof common_keys[0])};
    }
    *count = FUNCTIONS + 1;
    return tables;
}

int64_t avi_domain_rows(const avi_domain *d) { return d->only_next ? 1 : d->before + 1 + d->after; }

avi_status avi_domain_read(const avi_config *config, avi_domain *d)
{
    const char *text = avi_config_get_string(config, "inference", "domain");
    char *end;
    *d = (avi_domain){0};
    if (!strcmp(text, "self")) return AVI_OK;
    if (!strcmp(text, "next") || !strcmp(text, "ahead")) {
        d->after = 1;
        d->only_next = !strcmp(text, "ahead");
        return AVI_OK;
    }
    if (!strncmp(text, "window:", 7)) {
        const long w = strtol(text + 7, &end, 10);
        if (end != text + 7 && !*end && w >= 0 && w <= 4096) {
            d->before = d->after = w;
            return AVI_OK;
        }
    }
    return avi_config_fail(config, "inference", "domain",
                           "unknown domain; self, next, ahead or window:w with w from 0 to 4096 would serve");
}

avi_status avi_infer_create(const avi_config *config, int64_t inputs, int64_t outputs, int64_t latent,
                            avi_infer **infer)
{
    avi_infer *f = calloc(1, sizeof *f);
    *infer = f;
    if (!f) return avi_fail_memory(sizeof *f, "the inference function");
    f->ops = avi_infer_find(avi_config_get_string(config, "inference", "function"));
    f->inputs = inputs;
    f->outputs = outputs;
    f->latent = latent;
    avi_status status = f->ops->create(f, config);
    if (status != AVI_OK) avi_infer_destroy(infer);
    return status;
}

void avi_infer_destroy(avi_infer **infer)
{
    if (!*infer) return;
    free((*infer)->self);
    avi_params_free(&(*infer)->phi);
    free(*infer);
    *infer = NULL;
}
