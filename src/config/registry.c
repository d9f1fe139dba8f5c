#include "avi/registry.h"
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct plugin_list {
    const avi_plugin **plugin;
    int count;
    char *names; /* as the choices of a key; NULL until a configuration is made */
} plugin_list;

struct avi_registry {
    plugin_list of[AVI_KINDS];
    avi_key_table *always; /* (always_count): keys in force whatever is selected */
    int always_count;
    avi_key_table *table; /* (tables): what configurations borrow; NULL until the first is made */
    int tables;
    avi_key **copies; /* (copy_count): tables of keys whose choices were filled in */
    int copy_count;
};

/* Which key selects a plug-in of the kind; tasks and closed forms have keys that are always in force. */
static const struct {
    const char *plural, *choices, *section, *key, *or_key;
} kinds[AVI_KINDS] = {
    [AVI_KIND_SOURCE] = {"data sources", AVI_CHOICES_SOURCE, "data", "source"},
    [AVI_KIND_MODEL] = {"models", AVI_CHOICES_MODEL, "model", "name"},
    [AVI_KIND_INFER] = {"inference functions", AVI_CHOICES_INFER, "inference", "function", "base"},
    [AVI_KIND_FAMILY] = {"variational families", AVI_CHOICES_FAMILY, "inference", "family"},
    [AVI_KIND_OBJECTIVE] = {"objectives", AVI_CHOICES_OBJECTIVE, "objective", "name"},
    [AVI_KIND_OPTIM] = {"optimizers", AVI_CHOICES_OPTIM, "optim", "method"},
    [AVI_KIND_TASK] = {"tasks", AVI_CHOICES_TASK, "run", "task"},
    [AVI_KIND_CLOSED_FORM] = {"closed forms", "", NULL, NULL},
};

avi_status avi_registry_create(avi_registry **registry)
{
    *registry = calloc(1, sizeof **registry);
    return *registry ? AVI_OK : avi_fail_memory(sizeof **registry, "the registry");
}

void avi_registry_destroy(avi_registry **registry)
{
    avi_registry *r = *registry;
    if (!r) return;
    for (int k = 0; k < AVI_KINDS; k++) {
        free(r->of[k].plugin);
        free(r->of[k].names);
    }
    for (int i = 0; i < r->copy_count; i++) free(r->copies[i]);
    free(r->copies);
    free(r->always);
    free(r->table);
    free(r);
    *registry = NULL;
}

static avi_status still_open(const avi_registry *r)
{
    return r->table ? avi_fail(AVI_ERR_INTERNAL, "the registry is closed: a configuration was made for it") : AVI_OK;
}

avi_status avi_registry_add(avi_registry *r, avi_kind kind, const void *plugin)
{
    const avi_plugin *p = plugin;
    plugin_list *l = &r->of[kind];
    AVI_TRY(still_open(r));
    if (!p->name || !*p->name || !p->doc)
        return avi_fail(AVI_ERR_INTERNAL, "%s: %s has no name or no doc", kinds[kind].plural,
                        p->name && *p->name ? p->name : "an entry");
    if (avi_registry_find(r, kind, p->name))
        return avi_fail(AVI_ERR_INTERNAL, "%s: the name %s is taken", kinds[kind].plural, p->name);
    const avi_plugin **more = realloc(l->plugin, ((size_t)l->count + 1) * sizeof(*l->plugin));
    if (!more) return avi_fail_memory(((size_t)l->count + 1) * sizeof(*l->plugin), "the registry");
    l->plugin = more;
    l->plugin[l->count++] = p;
    return AVI_OK;
}

avi_status avi_registry_add_keys(avi_registry *r, const avi_key *keys, int count)
{
    AVI_TRY(still_open(r));
    avi_key_table *more = realloc(r->always, ((size_t)r->always_count + 1) * sizeof *more);
    if (!more) return avi_fail_memory(((size_t)r->always_count + 1) * sizeof *more, "the registry");
    r->always = more;
    r->always[r->always_count++] = (avi_key_table){.keys = keys, .count = count};
    return AVI_OK;
}

int avi_registry_count(const avi_registry *r, avi_kind kind) { return r->of[kind].count; }
const void *avi_registry_at(const avi_registry *r, avi_kind kind, int i) { return r->of[kind].plugin[i]; }
const char *avi_registry_names(const avi_registry *r, avi_kind kind) { return r->of[kind].names; }
const char *avi_kind_plural(avi_kind kind) { return kinds[kind].plural; }

const char *avi_kind_key(avi_kind kind)
{
    static const char *const key[AVI_KINDS] = {"[data] source",      "[model] name",     "[inference] function",
                                               "[inference] family", "[objective] name", "[optim] method",
                                               "[run] task",         "[model] name"};
    return key[kind];
}

const void *avi_registry_find(const avi_registry *r, avi_kind kind, const char *name)
{
    for (int i = 0; i < r->of[kind].count; i++)
        if (!strcmp(r->of[kind].plugin[i]->name, name)) return r->of[kind].plugin[i];
    return NULL;
}

avi_status avi_plugin_status(avi_kind kind, const void *plugin, avi_status status)
{
    const avi_plugin *p = plugin;
    switch (status) {
#define KNOWN(name, code, text) case AVI_##name:
        AVI_STATUS_LIST(KNOWN)
#undef KNOWN
        break;
    default:
        return avi_fail(AVI_ERR_INTERNAL, "%s: create of %s returned %d, which is no avi_status", kinds[kind].plural,
                        p->name, (int)status);
    }
    if (status != AVI_OK && !*avi_error_text())
        return avi_fail(status, "%s: create of %s failed without a message; use avi_config_fail or avi_fail in it",
                        kinds[kind].plural, p->name);
    return status;
}

/* ---- the tables of keys ---- */

static avi_status list_names(avi_registry *r)
{
    for (int k = 0; k < AVI_KINDS; k++) {
        avi_text text = {0};
        avi_text_add(&text, "%s", "");
        for (int i = 0; i < r->of[k].count; i++) avi_text_add(&text, "%s%s", i ? " | " : "", r->of[k].plugin[i]->name);
        r->of[k].names = avi_text_take(&text);
        if (!r->of[k].names) return avi_fail_memory(1, "the registry");
    }
    return AVI_OK;
}

static int kind_of_choices(const avi_key *key)
{
    for (int k = 0; key->type == AVI_KEY_CHOICE && key->choices && k < AVI_KINDS; k++)
        if (*kinds[k].choices && !strcmp(key->choices, kinds[k].choices)) return k;
    return -1;
}

/* The table itself, or a copy in which lists of registered names are filled in. */
static avi_status fill_choices(avi_registry *r, avi_key_table *table)
{
    bool asks = false;
    for (int i = 0; i < table->count; i++) asks = asks || kind_of_choices(&table->keys[i]) >= 0;
    if (!asks) return AVI_OK;
    avi_key **more = realloc(r->copies, ((size_t)r->copy_count + 1) * sizeof(*r->copies));
    if (!more) return avi_fail_memory(sizeof *table->keys, "the registry");
    r->copies = more;
    avi_key *copy = malloc((size_t)table->count * sizeof *copy);
    if (!copy) return avi_fail_memory((size_t)table->count * sizeof *copy, "the registry");
    r->copies[r->copy_count++] = copy;
    memcpy(copy, table->keys, (size_t)table->count * sizeof *copy);
    for (int i = 0; i < table->count; i++) {
        const int k = kind_of_choices(&copy[i]);
        if (k >= 0) copy[i].choices = r->of[k].names;
    }
    table->keys = copy;
    return AVI_OK;
}

/* The table that declares a key cannot be in force by it alone. */
static bool declares(const avi_plugin *p, const char *key)
{
    for (int i = 0; i < p->key_count; i++)
        if (!strcmp(p->keys[i].name, key)) return true;
    return false;
}

static avi_status make_tables(avi_registry *r)
{
    int n = r->always_count;
    for (int k = 0; k < AVI_KINDS; k++) n += r->of[k].count;
    AVI_TRY(list_names(r));
    avi_key_table *table = calloc((size_t)n + 1, sizeof *table);
    if (!table) return avi_fail_memory((size_t)n * sizeof *table, "the registry");
    r->table = table;
    for (int i = 0; i < r->always_count; i++) table[r->tables++] = r->always[i];
    for (int k = 0; k < AVI_KINDS; k++)
        for (int i = 0; i < r->of[k].count; i++) {
            const avi_plugin *p = r->of[k].plugin[i];
            if (!p->keys || !p->key_count) continue;
            table[r->tables] = (avi_key_table){.keys = p->keys, .count = p->key_count};
            if (k != AVI_KIND_TASK && kinds[k].section) {
                table[r->tables].section = kinds[k].section;
                table[r->tables].key = kinds[k].key;
                table[r->tables].values = p->name;
                if (kinds[k].or_key && !declares(p, kinds[k].or_key)) table[r->tables].or_key = kinds[k].or_key;
                table[r->tables].own = k == AVI_KIND_SOURCE; /* rows of one source say nothing of another's */
            }
            r->tables++;
        }
    for (int i = 0; i < r->tables; i++) AVI_TRY(fill_choices(r, &table[i]));
    return AVI_OK;
}

avi_status avi_registry_config(avi_registry *r, avi_config **config)
{
    *config = NULL;
    if (!r->table) AVI_TRY(make_tables(r));
    AVI_TRY(avi_config_create(r->table, r->tables, config));
    (*config)->registry = r;
    return AVI_OK;
}

const avi_registry *avi_config_registry(const avi_config *config) { return config->registry; }
