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

/* The keys of a section: those always in force first, then table by table. */
typedef void (*visit_slot)(void *user, const avi_slot *slot, const char *kind);
static void each_slot(const avi_config *config, const char *section, visit_slot visit, void *user)
{
    for (int conditional = 0; conditional < 2; ++conditional)
        for (int i = 0; i < config->slot_count; ++i) {
            const avi_slot *slot = &config->slots[i];
            if (strcmp(slot->key->section, section) != 0 || (slot->table->section != NULL) != conditional) continue;
            char *kind = describe(slot->key);
            visit(user, slot, kind ? kind : "");
            free(kind);
        }
}

typedef struct visit_key {
    avi_key_visit visit;
    void *user;
} visit_key;

static void show_key(void *user, const avi_slot *slot, const char *kind)
{
    const visit_key *v = user;
    v->visit(v->user, slot->key, slot->table, kind);
}

void avi_config_each_key(const avi_config *config, avi_key_visit visit, void *user)
{
    visit_key v = {visit, user};
    for (int i = 0; i < config->section_count; ++i) each_slot(config, config->sections[i], show_key, &v);
}

/* Where keys are printed, and of which table the last one was: each is headed by its condition. */
typedef struct printed {
    FILE *out;
    const char *margin;
    const avi_key_table *last;
} printed;

static void print_condition(printed *p, const avi_key_table *table)
{
    if (table->section && table != p->last) {
        fprintf(p->out, "\n%s; with [%s] %s = %s", p->margin, table->section, table->key, table->values);
        if (table->or_key) fprintf(p->out, ", or %s = %s", table->or_key, table->values);
        fprintf(p->out, "\n");
    }
    p->last = table;
}

static void print_help(void *user, const avi_slot *slot, const char *kind)
{
    printed *p = user;
    const avi_key *key = slot->key;
    print_condition(p, slot->table);
    avi_text head = {0};
    avi_text_add(&head, "%s = %s", key->name, key->fallback);
    char *text = avi_text_take(&head);
    fprintf(p->out, "  %-30s (%s)\n", text ? text : "", kind);
    fprintf(p->out, "      %s\n", key->doc ? key->doc : "");
    free(text);
}

static void print_section(const avi_config *config, const char *section, visit_slot print, printed p)
{
    fprintf(p.out, "[%s]\n", section);
    each_slot(config, section, print, &p);
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
        print_section(config, config->sections[i], print_help, (printed){.out = out, .margin = "  "});
    }
    return AVI_OK;
}

/* A key whose table is not in force by default is a comment: the file as it stands is the default run. */
static void print_reference(void *user, const avi_slot *slot, const char *kind)
{
    printed *p = user;
    print_condition(p, slot->table);
    avi_text value = {0};
    avi_value_write(&value, slot->key->fallback);
    char *text = avi_text_take(&value);
    fprintf(p->out, "; %s (%s)\n", slot->key->doc ? slot->key->doc : "", kind);
    fprintf(p->out, "%s%s =%s%s\n", slot->force ? "" : "; ", slot->key->name, text && *text ? " " : "",
            text ? text : "");
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
        print_section(plain, plain->sections[i], print_reference, (printed){.out = out, .margin = ""});
    }
    avi_config_destroy(&plain);
}
