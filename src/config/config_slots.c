/* The slots of a configuration: finding them, and putting them back to their defaults. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

bool avi_slot_is_named(const avi_slot *slot, const char *section, const char *key)
{
    return strcmp(slot->key->name, key) == 0 && strcmp(slot->key->section, section) == 0;
}

const avi_slot *avi_config_slot(const avi_config *config, const char *section, const char *key)
{
    for (int i = 0; i < config->slot_count; ++i)
        if (config->slots[i].force && avi_slot_is_named(&config->slots[i], section, key)) return &config->slots[i];
    return NULL;
}

avi_slot *avi_config_any_slot(const avi_config *config, const char *section, const char *key)
{
    for (int i = 0; i < config->slot_count; ++i)
        if (avi_slot_is_named(&config->slots[i], section, key)) return &config->slots[i];
    return NULL;
}

bool avi_config_has_section(const avi_config *config, const char *section)
{
    for (int i = 0; i < config->section_count; ++i)
        if (strcmp(config->sections[i], section) == 0) return true;
    return false;
}

int avi_config_line(const avi_config *config, const avi_slot *slot)
{
    return slot->given < 0 || slot->passed ? AVI_DEFAULT : config->given[slot->given].line;
}

const char *avi_config_file(const avi_config *config)
{
    return config->source.data ? avi_source_string(&config->source, 0) : "";
}

void avi_config_forget(avi_config *config)
{
    for (int i = 0; i < config->given_count; ++i) free(config->given[i].value);
    config->given_count = 0;
    free(config->source.data);
    config->source = (avi_source){0};
    free(config->folder);
    config->folder = NULL;
}

avi_status avi_config_reset(avi_config *config)
{
    avi_config_forget(config);
    for (int i = 0; i < config->slot_count; ++i) {
        avi_slot *slot = &config->slots[i];
        slot->given = -1;
        slot->bad = slot->settled = slot->force = slot->passed = false;
        avi_text wrong = {0};
        const bool good = avi_value_set(slot, slot->key->fallback, ".", &wrong);
        char *why = avi_text_take(&wrong);
        if (!good)
            avi_fail(AVI_ERR_INTERNAL, "table of keys: [%s] %s: default: %s", slot->key->section, slot->key->name,
                     why ? why : "memory is short");
        free(why);
        if (!good) return AVI_ERR_INTERNAL;
    }
    return AVI_OK;
}
