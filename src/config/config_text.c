/* Texts of a configuration: effective, unused keys, checksum, difference to another run. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

char *avi_config_effective(const avi_config *config)
{
    avi_text text = {0};
    for (int s = 0; s < config->section_count; ++s) {
        bool headed = false;
        for (int i = 0; i < config->slot_count; ++i) {
            const avi_slot *slot = &config->slots[i];
            if (!slot->force || strcmp(slot->key->section, config->sections[s]) != 0) continue;
            if (!headed) avi_text_add(&text, "%s[%s]\n", text.used ? "\n" : "", config->sections[s]);
            headed = true;
            avi_text_add(&text, "%s = ", slot->key->name);
            avi_value_write(&text, slot->text);
            avi_text_add(&text, " ; ");
            avi_text_origin(&text, avi_config_file(config), avi_config_line(config, slot));
            avi_text_add(&text, "\n");
        }
    }
    return avi_text_take(&text);
}

static bool has_slot_in_force(const avi_config *config, int given)
{
    for (int i = 0; i < config->slot_count; ++i)
        if (config->slots[i].given == given && config->slots[i].force && !config->slots[i].passed) return true;
    return false;
}

char *avi_config_unused(const avi_config *config)
{
    avi_text text = {0};
    for (int given = 0; given < config->given_count; ++given) {
        if (has_slot_in_force(config, given)) continue;
        const avi_slot *slot = config->slots;
        while (slot->given != given) ++slot;
        avi_text_add(&text, "%s%s.%s ", text.used ? ", " : "", slot->key->section, slot->key->name);
        const int line = config->given[given].line;
        if (line == AVI_COMMAND_LINE)
            avi_text_add(&text, "(command line)");
        else
            avi_text_add(&text, "(line %d)", line);
    }
    return avi_text_take(&text);
}

const char *avi_config_passed_over(const avi_config *config, const char *section, const char *key)
{
    for (int given = 0; given < config->given_count; ++given) {
        const avi_slot *slot = config->slots;
        if (config->given[given].line != AVI_COMMAND_LINE || has_slot_in_force(config, given)) continue;
        while (slot->given != given) ++slot;
        if (avi_slot_is_named(slot, section, key)) return config->given[given].value;
    }
    return NULL;
}

const char *avi_config_text(const avi_config *config) { return config->source.data ? config->source.data : ""; }

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool is_excepted(const avi_key *key, const char *const *except)
{
    const size_t section = strlen(key->section);
    for (; except && *except; ++except)
        if (strncmp(*except, key->section, section) == 0 && (*except)[section] == '.' &&
            (strcmp(*except + section + 1, "*") == 0 || strcmp(*except + section + 1, key->name) == 0))
            return true;
    return false;
}

/* True when `text` means the slot's value: 1e3 is 1000. */
static bool means_the_same(const avi_config *config, const avi_slot *slot, const char *text)
{
    avi_slot other = {.key = slot->key};
    avi_text wrong = {0};
    const char *here = config->source.data ? avi_source_string(&config->source, 1) : ".";
    const bool same = avi_value_set(&other, text, here, &wrong) && strcmp(other.text, slot->text) == 0;
    avi_value_free(&other);
    free(wrong.data);
    return same;
}

/* FNV-1a, 64 bits; the NUL parts one string from the next. */
static uint64_t add_hash(uint64_t hash, const char *text)
{
    do hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return hash;
}

uint64_t avi_config_hash(const avi_config *config, const char *const *except)
{
    uint64_t sum = 0; /* a sum: the order of the tables does not matter */
    for (int i = 0; i < config->slot_count; ++i) {
        const avi_slot *slot = &config->slots[i];
        if (!slot->force || is_excepted(slot->key, except) || means_the_same(config, slot, slot->key->fallback))
            continue;
        uint64_t hash = UINT64_C(0xcbf29ce484222325);
        hash = add_hash(add_hash(add_hash(hash, slot->key->section), slot->key->name), slot->text);
        hash =
            (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64's finish: sums of FNV values are weak */
        hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
        sum += hash ^ hash >> 31;
    }
    return sum;
}

typedef struct comparison {
    const avi_config *config;
    char **other; /* (slot_count) value of each slot in force in the other text; NULL: not there */
} comparison;

static bool any_section(void *user, const char *name, int line)
{
    (void)user, (void)name, (void)line;
    return true;
}

/* The inverse of avi_value_write. Owner: caller. */
static char *unwrite(const char *value)
{
    avi_text text = {0};
    for (; *value; ++value)
        if (strncmp(value, "$${", 3) != 0) avi_text_bytes(&text, value, 1);
    return avi_text_take(&text);
}

static void note_other(void *user, const char *section, const char *key, const char *value, int line)
{
    (void)line;
    comparison *c = user;
    const avi_slot *slot = avi_config_slot(c->config, section, key);
    if (!slot) return;
    char **other = &c->other[slot - c->config->slots];
    free(*other);
    *other = unwrite(value);
}

static void pass_over(void *user, int line, const char *what) { (void)user, (void)line, (void)what; }

char *avi_config_difference(const avi_config *config, const char *other_effective, const char *const *except)
{
    static const avi_scan_events events = {.section = any_section, .value = note_other, .wrong = pass_over};
    comparison c = {.config = config, .other = calloc((size_t)config->slot_count + 1, sizeof *c.other)};
    if (!c.other) return NULL;
    const bool scanned = avi_scan("the other configuration", other_effective, &events, &c) == AVI_OK;
    avi_text text = {0};
    for (int i = 0; i < config->slot_count; ++i) {
        const avi_slot *slot = &config->slots[i];
        /* A key that the other program did not have yet was at what is now its default. */
        const char *other = c.other[i] ? c.other[i] : slot->key->fallback;
        if (slot->force && !is_excepted(slot->key, except) && !means_the_same(config, slot, other)) {
            avi_text_add(&text, "[%s] %s: '", slot->key->section, slot->key->name);
            avi_text_quote(&text, slot->text);
            avi_text_add(&text, "' here, '");
            avi_text_quote(&text, other);
            avi_text_add(&text, "' there\n");
        }
        free(c.other[i]);
    }
    free(c.other);
    if (!scanned) text.failed = true;
    return avi_text_take(&text);
}
