/* The configuration: tables of keys and the values of one run. */
#include "config/config_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding ----------------------------------------------------------------------------------------------------- */

/* ---- making ------------------------------------------------------------------------------------------------------ */

static bool share_a_value(const char *a, const char *b)
{
    const char *begin;
    size_t length;
    while (avi_choice_next(&a, &begin, &length)) {
        char *word = strndup(begin, length);
        const bool shared = word && avi_choice_has(b, word);
        free(word);
        if (shared) return true;
    }
    return false;
}

/* True when both tables can be in force at once, as far as the conditions alone tell. */
static bool overlap(const avi_key_table *a, const avi_key_table *b)
{
    if (!a->section || !b->section) return true;
    if (strcmp(a->section, b->section) != 0 || strcmp(a->key, b->key) != 0) return false; /* told at each read */
    return share_a_value(a->values, b->values);
}

static avi_status check_key(const avi_config *config, int i)
{
    const avi_slot *slot = &config->slots[i];
    const avi_key *key = slot->key;
    const char *wrong = NULL;
    if (!key->section || !key->name)
        return avi_fail(AVI_ERR_INTERNAL, "table of keys: entry %d has no section or no name", i);
    if (strlen(key->section) > 48) wrong = "the section's name is longer than 48 bytes";
    if (!key->fallback) wrong = "no default";
    if (key->type == AVI_KEY_CHOICE && !key->choices) wrong = "a choice without choices";
    if (key->min > key->max) wrong = "min is above max";
    if (slot->table->section && !avi_config_any_slot(config, slot->table->section, slot->table->key))
        wrong = "its table is in force by a key that no table declares";
    for (int j = 0; j < i; ++j)
        if (avi_slot_is_named(&config->slots[j], key->section, key->name) &&
            overlap(config->slots[j].table, slot->table))
            wrong = "declared by two tables that are in force at once";
    if (!wrong) return AVI_OK;
    return avi_fail(AVI_ERR_INTERNAL, "table of keys: [%s] %s: %s", key->section, key->name, wrong);
}

static avi_status fill(avi_config *config)
{
    int n = 0;
    for (int t = 0; t < config->table_count; ++t)
        for (int k = 0; k < config->tables[t].count; ++k) {
            config->slots[n++] =
                (avi_slot){.key = &config->tables[t].keys[k], .table = &config->tables[t], .given = -1};
            const char *section = config->tables[t].keys[k].section;
            if (!avi_config_has_section(config, section)) config->sections[config->section_count++] = section;
        }
    for (int i = 0; i < n; ++i) AVI_TRY(check_key(config, i));
    AVI_TRY(avi_config_reset(config));
    avi_mistakes none = {.file = ""};
    return avi_config_settle(config, &none);
}

avi_status avi_config_create(const avi_key_table *tables, int count, avi_config **config)
{
    *config = NULL;
    avi_config *new = calloc(1, sizeof *new);
    if (!new) return avi_fail_memory(sizeof *new, "the configuration");
    new->tables = tables;
    new->table_count = count;
    for (int t = 0; t < count; ++t) new->slot_count += tables[t].count;
    const size_t room = (size_t) new->slot_count + 1;
    new->slots = calloc(room, sizeof *new->slots);
    new->sections = calloc(room, sizeof *new->sections);
    new->given = calloc(room, sizeof *new->given);
    const bool good = new->slots &&new->sections &&new->given;
    const avi_status status =
        good ? fill(new) : avi_fail_memory(room * sizeof *new->slots, "the keys of the configuration");
    if (status != AVI_OK)
        avi_config_destroy(&new);
    else
        *config = new;
    return status;
}

void avi_config_destroy(avi_config **config)
{
    if (!config || !*config) return;
    avi_config *old = *config;
    if (old->given) avi_config_forget(old);
    for (int i = 0; old->slots && i < old->slot_count; ++i) avi_value_free(&old->slots[i]);
    free(old->slots);
    free(old->sections);
    free(old->given);
    free(old);
    *config = NULL;
}

void avi_config_pass_others(avi_config *config) { config->passes_others = true; }

/* ---- values ------------------------------------------------------------------------------------------------------ */

static const avi_slot *must_find(const avi_config *config, const char *section, const char *key, unsigned types)
{
    const avi_slot *slot = avi_config_slot(config, section, key);
    if (slot && (types >> slot->key->type & 1u)) return slot;
    fprintf(stderr, "avi_mpi: internal error: config: [%s] %s is %s\n", section, key,
            slot ? "of another type" : "declared by no table in force");
    abort();
}

bool avi_config_has(const avi_config *config, const char *section, const char *key)
{
    return avi_config_slot(config, section, key) != NULL;
}

int64_t avi_config_get_int(const avi_config *config, const char *section, const char *key)
{
    return must_find(config, section, key, 1u << AVI_KEY_INT)->integer;
}

double avi_config_get_real(const avi_config *config, const char *section, const char *key)
{
    return must_find(config, section, key, 1u << AVI_KEY_REAL)->real;
}

bool avi_config_get_bool(const avi_config *config, const char *section, const char *key)
{
    return must_find(config, section, key, 1u << AVI_KEY_BOOL)->yes;
}

const char *avi_config_get_string(const avi_config *config, const char *section, const char *key)
{
    return must_find(config, section, key,
                     1u << AVI_KEY_STRING | 1u << AVI_KEY_CHOICE | 1u << AVI_KEY_PATH | 1u << AVI_KEY_PATH_LIST)
        ->text;
}

int avi_config_get_int_list(const avi_config *config, const char *section, const char *key, int64_t *out, int max)
{
    const avi_slot *slot = must_find(config, section, key, 1u << AVI_KEY_INT_LIST);
    for (int i = 0; i < slot->list_count && i < max; ++i) out[i] = slot->list[i];
    return slot->list_count;
}

static int64_t largest_of(const avi_slot *slot)
{
    int64_t largest = slot->key->type == AVI_KEY_INT ? slot->integer : INT64_MIN;
    for (int i = 0; slot->key->type == AVI_KEY_INT_LIST && i < slot->list_count; ++i)
        if (slot->list[i] > largest) largest = slot->list[i];
    return largest;
}

const char *avi_config_largest(const avi_config *config, const char *section)
{
    const char *name = NULL;
    int64_t largest = INT64_MIN;
    for (int i = 0; i < config->slot_count; ++i) {
        const avi_slot *slot = &config->slots[i];
        if (!slot->force || strcmp(slot->key->section, section) != 0 || largest_of(slot) <= largest) continue;
        largest = largest_of(slot);
        name = slot->key->name;
    }
    return name;
}

bool avi_config_is_given(const avi_config *config, const char *section, const char *key)
{
    const avi_slot *slot = avi_config_slot(config, section, key);
    if (!slot) slot = avi_config_any_slot(config, section, key);
    return slot && slot->given >= 0 && !slot->passed;
}

void avi_config_bend_int(const avi_config *config, const char *section, const char *key, int64_t value)
{
    (void)must_find(config, section, key, 1u << AVI_KEY_INT);
    avi_slot *slot = config->slots + (avi_config_slot(config, section, key) - config->slots);
    char text[32];
    avi_text wrong = {0};
    if (slot->given >= 0) return;
    snprintf(text, sizeof text, "%lld", (long long)value);
    (void)avi_value_set(slot, text, ".", &wrong);
    free(avi_text_take(&wrong));
}

avi_status avi_config_fail(const avi_config *config, const char *section, const char *key, const char *format, ...)
{
    char message[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    avi_text text = {0};
    const avi_slot *slot = avi_config_slot(config, section, key);
    avi_text_origin(&text, avi_config_file(config), slot ? avi_config_line(config, slot) : AVI_DEFAULT);
    avi_text_add(&text, ": [%s] %s = ", section, key);
    avi_text_quote(&text, slot ? slot->text : "");
    avi_text_add(&text, ": %s", message);
    char *whole = avi_text_take(&text);
    avi_fail(AVI_ERR_CONFIG, "%s", whole ? whole : message);
    free(whole);
    return AVI_ERR_CONFIG;
}
