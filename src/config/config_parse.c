/* Source -> values: unknown and double keys, overrides, which tables are in force. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    avi_config *config;
    avi_mistakes mistakes;
    bool short_of_memory;
} reader;

/* ---- names that nobody knows ------------------------------------------------------------------------------------- */

static void unknown_section(reader *r, int line, const char *section, const char *key)
{
    const avi_config *c = r->config;
    if (c->passes_others) return;
    /* Looking for the nearest name is work: not for a file of a million wrong lines. */
    const bool told = r->mistakes.count < AVI_MISTAKES_KEPT;
    const char *near = told ? avi_closest(section, c->sections, c->section_count) : NULL;
    if (near) {
        avi_mistake(&r->mistakes, line, section, key, "unknown section; did you mean %s?", near);
        return;
    }
    avi_text all = {0};
    for (int i = 0; told && i < c->section_count; ++i) avi_text_add(&all, "%s%s", i ? ", " : "", c->sections[i]);
    char *names = avi_text_take(&all);
    avi_mistake(&r->mistakes, line, section, key, "unknown section; sections are %s", names ? names : "many");
    free(names);
}

/* The names of the keys of a section, each once, NULL behind. Owner: caller; NULL when memory is short. */
static const char **names_of(const avi_config *c, const char *section)
{
    const char **names = calloc((size_t)c->slot_count + 1, sizeof *names);
    int count = 0;
    for (int i = 0; names && i < c->slot_count; ++i)
        if (strcmp(c->slots[i].key->section, section) == 0 &&
            avi_config_any_slot(c, section, c->slots[i].key->name) == &c->slots[i])
            names[count++] = c->slots[i].key->name;
    return names;
}

static void unknown_key(reader *r, int line, const char *section, const char *key)
{
    const avi_config *c = r->config;
    if (c->passes_others) return;
    if (r->mistakes.count >= AVI_MISTAKES_KEPT) {
        r->mistakes.count++;
        return;
    }
    for (int i = 0; i < c->slot_count; ++i)
        if (strcmp(c->slots[i].key->name, key) == 0) {
            avi_mistake(&r->mistakes, line, section, key, "unknown key; did you mean [%s] %s?",
                        c->slots[i].key->section, key);
            return;
        }
    const char **names = names_of(c, section);
    const char *near = names ? avi_closest(key, names, -1) : NULL;
    if (near) {
        avi_mistake(&r->mistakes, line, section, key, "unknown key; did you mean %s?", near);
    } else {
        avi_text all = {0};
        for (int i = 0; names && names[i]; ++i) avi_text_add(&all, "%s%s", i ? ", " : "", names[i]);
        char *text = avi_text_take(&all);
        avi_mistake(&r->mistakes, line, section, key, "unknown key; [%s] has %s", section, text ? text : "others");
        free(text);
    }
    free(names);
}

/* ---- what was given ---------------------------------------------------------------------------------------------- */

static void give(reader *r, int line, const char *section, const char *key, const char *value)
{
    avi_config *c = r->config;
    const avi_slot *known = avi_config_any_slot(c, section, key);
    if (!known) {
        unknown_key(r, line, section, key);
        return;
    }
    int index = known->given; /* on the command line the last one wins, as it wins over the file */
    if (index >= 0 && line != AVI_COMMAND_LINE) {
        avi_mistake(&r->mistakes, line, section, key, "given twice, first in line %d; leave one", c->given[index].line);
        return;
    }
    char *copy = strdup(value);
    if (!copy) {
        r->short_of_memory = true;
        return;
    }
    if (index < 0) {
        index = c->given_count++;
        c->given[index].value = NULL;
        for (int i = 0; i < c->slot_count; ++i) /* tables of several models may declare the name */
            if (strcmp(c->slots[i].key->name, key) == 0 && strcmp(c->slots[i].key->section, section) == 0)
                c->slots[i].given = index;
    }
    const bool overruled = c->given[index].value && strcmp(c->given[index].value, copy) != 0;
    free(c->given[index].value);
    c->given[index] = (avi_given){.value = copy, .line = line, .overruled = overruled};
}

static bool on_section(void *user, const char *name, int line)
{
    reader *r = user;
    const bool known = avi_config_has_section(r->config, name);
    if (!known) unknown_section(r, line, name, NULL);
    return known;
}

static void on_value(void *user, const char *section, const char *key, const char *value, int line)
{
    reader *r = user;
    if (*section)
        give(r, line, section, key, value);
    else
        avi_mistake(&r->mistakes, line, section, key, "in no section; put it below a line such as [%s]",
                    r->config->section_count ? r->config->sections[0] : "section");
}

static void on_wrong(void *user, int line, const char *what)
{
    reader *r = user;
    avi_mistake(&r->mistakes, line, NULL, NULL, "%s", what);
}

static char *trim(char *text)
{
    while (strchr(" \t\r\n", *text) && *text) ++text;
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) text[--length] = '\0';
    return text;
}

static void take_override(reader *r, const char *text)
{
    char *copy = strdup(text);
    if (!copy) {
        r->short_of_memory = true;
        return;
    }
    char *equal = strchr(copy, '=');
    if (equal) *equal = '\0';
    char *dot = strchr(copy, '.');
    if (!equal || !dot) {
        const char *key = equal ? trim(copy) : "";
        const char *section = NULL;
        for (int i = 0; i < r->config->slot_count && !section; ++i)
            if (strcmp(r->config->slots[i].key->name, key) == 0) section = r->config->slots[i].key->section;
        avi_text quoted = {0};
        avi_text_quote(&quoted, text);
        char *shown = avi_text_take(&quoted);
        avi_mistake(&r->mistakes, AVI_COMMAND_LINE, NULL, NULL, "'%s' is not an override; write %s.%s=value",
                    shown ? shown : "", section ? section : "section", section ? key : "key");
        free(shown);
    } else {
        *dot = '\0';
        const char *section = trim(copy), *key = trim(dot + 1);
        if (avi_config_has_section(r->config, section))
            give(r, AVI_COMMAND_LINE, section, key, trim(equal + 1));
        else
            unknown_section(r, AVI_COMMAND_LINE, section, key);
    }
    free(copy);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void settle_slot(avi_config *config, avi_slot *slot, avi_mistakes *mistakes)
{
    slot->settled = true;
    const char *here = config->source.data ? avi_source_string(&config->source, 1) : ".";
    avi_text wrong = {0};
    if (slot->given < 0 || slot->passed) {
        if (slot->key->type == AVI_KEY_PATH || slot->key->type == AVI_KEY_PATH_LIST)
            slot->bad = !avi_value_set(slot, slot->key->fallback, here, &wrong);
    } else {
        const avi_given *given = &config->given[slot->given];
        avi_text value = {0};
        const char *folder = given->line == AVI_COMMAND_LINE ? here : config->folder;
        slot->bad = !avi_value_expand(&config->source, given->value, &value, &wrong) ||
                    !avi_value_set(slot, value.data, folder, &wrong);
        free(value.data);
    }
    char *why = avi_text_take(&wrong);
    if (slot->bad)
        avi_mistake(mistakes, avi_config_line(config, slot), slot->key->section, slot->key->name, "%s",
                    why ? why : "memory is short");
    free(why);
}

/* True when the condition of the slot's table is settled and holds. A refused value puts no table in force: its keys
 * would be held against the wrong table. */
static bool selects(const avi_config *config, const avi_slot *slot, const char *key)
{
    const avi_slot *by = key ? avi_config_slot(config, slot->table->section, key) : NULL;
    return by && by->settled && !by->bad && avi_choice_has(slot->table->values, by->text);
}

static bool condition_holds(const avi_config *config, const avi_slot *slot)
{
    return selects(config, slot, slot->table->key) || selects(config, slot, slot->table->or_key);
}

/* Whether the file gave the value for a selection that the command line has changed. */
static bool belongs_elsewhere(const avi_config *config, const avi_slot *slot)
{
    if (!slot->table->own || slot->given < 0 || config->given[slot->given].line == AVI_COMMAND_LINE) return false;
    const avi_slot *by = avi_config_slot(config, slot->table->section, slot->table->key);
    return by && by->given >= 0 && config->given[by->given].overruled;
}

avi_status avi_config_settle(avi_config *config, avi_mistakes *mistakes)
{
    for (int i = 0; i < config->slot_count; ++i) config->slots[i].force = !config->slots[i].table->section;
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < config->slot_count; ++i) {
            avi_slot *slot = &config->slots[i];
            if (!slot->force && condition_holds(config, slot)) slot->force = changed = true;
            if (slot->force && !slot->settled) {
                slot->passed = belongs_elsewhere(config, slot);
                settle_slot(config, slot, mistakes);
                changed = true;
            }
        }
    }
    for (int i = 0; i < config->slot_count; ++i) {
        const avi_slot *slot = &config->slots[i];
        if (slot->force && avi_config_slot(config, slot->key->section, slot->key->name) != slot)
            return avi_fail(AVI_ERR_INTERNAL,
                            "table of keys: [%s] %s: declared by two tables that are in force at once",
                            slot->key->section, slot->key->name);
    }
    return AVI_OK;
}

/* The absolute folder of the file. Owner: caller. */
static char *folder_of(const char *file, const char *here)
{
    const char *slash = strrchr(file, '/');
    avi_text folder = {0};
    if (file[0] != '/') avi_text_add(&folder, "%s", here);
    if (slash) {
        if (file[0] != '/') avi_text_add(&folder, "/");
        avi_text_bytes(&folder, file, (size_t)(slash - file));
    }
    return avi_text_take(&folder);
}

static avi_status check_bytes(const char *file, const avi_source *source)
{
    const char *text = source->data;
    const size_t length = strlen(text);
    if (source->text_bytes > AVI_CONFIG_FILE_LIMIT)
        return avi_fail(AVI_ERR_CONFIG, "%s: larger than %d bytes; a configuration file is a short text", file,
                        AVI_CONFIG_FILE_LIMIT);
    if (length == (size_t)source->text_bytes) return AVI_OK;
    int line = 1;
    for (size_t i = 0; i < length; ++i) line += text[i] == '\n';
    return avi_fail(AVI_ERR_CONFIG, "%s:%d: a NUL byte; a configuration file is plain text", file, line);
}

avi_status avi_config_take(avi_config *config, avi_source *source)
{
    const avi_status status = avi_config_reset(config);
    config->source = *source;
    *source = (avi_source){0};
    AVI_TRY(status);
    const char *file = avi_config_file(config);
    config->folder = folder_of(file, avi_source_string(&config->source, 1));
    if (!config->folder) return avi_fail_memory(strlen(file), "the folder of the configuration");
    AVI_TRY(check_bytes(file, &config->source));

    static const avi_scan_events events = {.section = on_section, .value = on_value, .wrong = on_wrong};
    reader r = {.config = config, .mistakes = {.file = file}};
    const avi_status scanned = avi_scan(file, config->source.data, &events, &r);
    for (int64_t i = 0; i < config->source.overrides; ++i) take_override(&r, avi_source_string(&config->source, 2 + i));
    const avi_status settled = avi_config_settle(config, &r.mistakes);
    const avi_status mistakes = avi_mistakes_report(&r.mistakes);
    if (r.short_of_memory) return avi_fail(AVI_ERR_INTERNAL, "%s: memory is short", file);
    if (config->passes_others && mistakes != AVI_OK) {
        avi_error_clear(); /* all of them are printed together, by who knows all keys */
        return settled;
    }
    AVI_TRY(scanned);
    AVI_TRY(settled);
    return mistakes;
}
