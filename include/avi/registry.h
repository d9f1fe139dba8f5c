/* The registry: everything that is chosen by name, each with its keys.
 *
 * A plug-in is a table of functions whose first fields are those of avi_plugin. What is built in is listed in
 * registry.def; shared objects add more at the start of a run (run.plugins). A configuration is made for a registry and
 * leads to it, so that there is no global list. */
#ifndef AVI_REGISTRY_H
#define AVI_REGISTRY_H

#include "avi/config.h"

typedef enum avi_kind {
    AVI_KIND_SOURCE,      /* [data] source:        avi_source_ops, data.h */
    AVI_KIND_MODEL,       /* [model] name:         avi_model_ops, model.h */
    AVI_KIND_INFER,       /* [inference] function: avi_infer_ops, infer.h */
    AVI_KIND_FAMILY,      /* [inference] family:   avi_family_ops, family.h */
    AVI_KIND_OBJECTIVE,   /* [objective] name:     avi_objective_ops, objective.h */
    AVI_KIND_OPTIM,       /* [optim] method:       avi_optim_ops, optim.h */
    AVI_KIND_TASK,        /* [run] task:           avi_task_ops, tasks/task.h */
    AVI_KIND_CLOSED_FORM, /* by the model's name:  avi_exact_ops, closed_form/optimum.h */
    AVI_KINDS
} avi_kind;

/* The fields that every plug-in's table begins with. */
#define AVI_PLUGIN_FIELDS                                                                                              \
    struct {                                                                                                           \
        const char *name, *doc; /* required: as it is typed, and one line for people */                                \
        const avi_key *keys;    /* in force when the plug-in is selected; a task's always; NULL: none */               \
        int key_count;                                                                                                 \
        const char *small; /* lines of keys, for tests of all plug-ins: "latent = 2\n"; NULL: it is small by itself */ \
    }
typedef struct avi_plugin {
    const char *name, *doc;
    const avi_key *keys;
    int key_count;
    const char *small;
} avi_plugin;

/* As `choices` of an AVI_KEY_CHOICE: replaced by the names that are registered of the kind. */
#define AVI_CHOICES_SOURCE    "<source>"
#define AVI_CHOICES_MODEL     "<model>"
#define AVI_CHOICES_INFER     "<inference function>"
#define AVI_CHOICES_FAMILY    "<variational family>"
#define AVI_CHOICES_OBJECTIVE "<objective>"
#define AVI_CHOICES_OPTIM     "<optimizer>"
#define AVI_CHOICES_TASK      "<task>"

/* Nothing here is collective. Owner: caller. A registry outlives the configurations that are made for it. */
avi_status avi_registry_create(avi_registry **registry);
void avi_registry_destroy(avi_registry **registry);

/* Adds a plug-in, a table that begins with AVI_PLUGIN_FIELDS and outlives the registry (borrowed). The floor of a kind
 * checks its required entries before it calls this. Errors: INTERNAL when name or doc is missing, the name is taken, or
 * a configuration has been made already. */
avi_status avi_registry_add(avi_registry *registry, avi_kind kind, const void *plugin);
/* Keys that are always in force; borrowed. Errors: INTERNAL. */
AVI_API avi_status avi_registry_add_keys(avi_registry *registry, const avi_key *keys, int count);

/* The plug-ins of a kind in the order in which they were added; the caller casts to the kind's table. */
int avi_registry_count(const avi_registry *registry, avi_kind kind);
const void *avi_registry_at(const avi_registry *registry, avi_kind kind, int i);
/* NULL when there is none of that name. */
const void *avi_registry_find(const avi_registry *registry, avi_kind kind, const char *name);
/* "vae | linear | saw": owned by the registry, valid once a configuration has been made. */
const char *avi_registry_names(const avi_registry *registry, avi_kind kind);
/* For people: "models", "inference functions", and the key that chooses: "[model] name". */
const char *avi_kind_plural(avi_kind kind);
const char *avi_kind_key(avi_kind kind);

/* The status that a plug-in's create has returned, as it is passed up: with a message where the plug-in has left none,
 * and INTERNAL in place of a number that is no status. Not collective. */
avi_status avi_plugin_status(avi_kind kind, const void *plugin, avi_status status);

/* A configuration that knows every key of the registry; the registry takes nothing more from then on.
 * Owner: caller, avi_config_destroy. Errors: INTERNAL (memory, or keys that contradict each other). */
avi_status avi_registry_config(avi_registry *registry, avi_config **config);

#endif
