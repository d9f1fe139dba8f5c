/* --help-keys and inputs/reference.ini: written from the tables, so that they are never out of date. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* "integer, 1 .. 10, rows" */
static char *describe(const avi_key *key)
{
    avi_text text = {0};
    avi_text_add(&text, "%s", avi_value_type(key->type));
    if (key->type == AVI_KEY_CHOICE) avi_text_add(&text, ": %s", key->choices);
    avi_text range = {0};
    if (key->type == AVI_KEY_INT || key->type == AVI_KEY_REAL || key->type == AVI_KEY_INT_LIST)
        avi_value_range(&range, key);
    if (range.used) avi_text_add(&text, ", %s%s", key->type == AVI_KEY_INT_LIST ? "each " : "", range.data);
    free(range.data);
    if (key->unit) avi_text_add(&text, ", %s", key->unit);
    return avi_text_take(&text);
}

typedef void (*print_key)(const avi_slot *slot, const char *kind, FILE *out);

/* Prints the keys of a section: those always in force first, then table by table, each headed by its condition. */
static void print_section(const avi_config *config, const char *section, const char *margin, print_key print, FILE *out)
{
    fprintf(out, "[%s]\n", section);
    for (int conditional = 0; conditional < 2; ++conditional) {
        const avi_key_table *last = NULL;
        for (int i = 0; i < config->slot_count; ++i) {
            const avi_slot *slot = &config->slots[i];
            if (strcmp(slot->key->section, section) != 0 || (slot->table->section != NULL) != conditional) continue;
            if (conditional && slot->table != last)
                fprintf(out, "\n%s; with [%s] %s = %s\n", margin, slot->table->section, slot->table->key,
                        slot->table->values);
            last = slot->table;
            char *kind = describe(slot->key);
            print(slot, kind ? kind : "", out);
            free(kind);
        }
    }
}

static void print_help(const avi_slot *slot, const char *kind, FILE *out)
{
    avi_text head = {0};
    avi_text_add(&head, "%s = %s", slot->key->name, slot->key->fallback);
    char *text = avi_text_take(&head);
    fprintf(out, "  %-30s (%s)\n", text ? text : "", kind);
    fprintf(out, "      %s\n", slot->key->doc ? slot->key->doc : "");
    free(text);
}

avi_status avi_config_help(const avi_config *config, const char *section, FILE *out)
{
    if (section && !avi_config_has_section(config, section)) {
        const char *near = avi_closest(section, config->sections, config->section_count);
        fprintf(out, "[%s]: unknown section", section);
        if (near) fprintf(out, "; did you mean %s?", near);
        fprintf(out, "\nsections:");
        for (int i = 0; i < config->section_count; ++i) fprintf(out, " %s", config->sections[i]);
        fprintf(out, "\n");
        return avi_fail(AVI_ERR_USAGE, "--help-keys=%s: unknown section%s%s%s", section, near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
    }
    bool first = true;
    for (int i = 0; i < config->section_count; ++i) {
        if (section && strcmp(section, config->sections[i]) != 0) continue;
        if (!first) fprintf(out, "\n");
        first = false;
        print_section(config, config->sections[i], "  ", print_help, out);
    }
    return AVI_OK;
}

/* A key whose table is not in force by default is a comment: the file as it stands is the default run. */
static void print_reference(const avi_slot *slot, const char *kind, FILE *out)
{
    avi_text value = {0};
    avi_value_write(&value, slot->key->fallback);
    char *text = avi_text_take(&value);
    fprintf(out, "; %s (%s)\n", slot->key->doc ? slot->key->doc : "", kind);
    fprintf(out, "%s%s =%s%s\n", slot->force ? "" : "; ", slot->key->name, text && *text ? " " : "", text ? text : "");
    free(text);
}

void avi_config_reference(const avi_config *config, FILE *out)
{
    avi_config *plain = NULL;
    if (avi_config_create(config->tables, config->table_count, &plain) != AVI_OK) return;
    fprintf(
        out,
        "; Every key with its default. Written by the program from its tables of keys: change those, not this file.\n"
        "; Keys of tables that the defaults do not put in force are comments.\n");
    for (int i = 0; i < plain->section_count; ++i) {
        fprintf(out, "\n");
        print_section(plain, plain->sections[i], "", print_reference, out);
    }
    avi_config_destroy(&plain);
}
