/* The configuration: INI text + command-line overrides -> typed values, driven by tables of keys.
 *
 * Each part of the program declares its keys in a table that stands next to the code that reads them. The tables drive
 * parsing, checks, --help-keys, inputs/reference.ini and the effective configuration in the output. Unknown keys are
 * fatal. */
#ifndef AVI_CONFIG_H
#define AVI_CONFIG_H

#include "avi/comm.h"
#include "avi/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum avi_key_type {
    AVI_KEY_INT,    /* 64-bit integer; 1e6 and 1_000_000 are read too when whole */
    AVI_KEY_REAL,   /* double */
    AVI_KEY_BOOL,   /* yes | no (also true, false, on, off, 1, 0) */
    AVI_KEY_STRING, /* any text, may be empty */
    AVI_KEY_CHOICE, /* one of `choices`, separated by " | " */
    AVI_KEY_PATH, /* text; relative to the folder of the INI file when it came from the file (to the current folder from
                     an override) */
    AVI_KEY_INT_LIST, /* integers separated by commas or blanks, may be empty: "400" "256, 256" "" */
    AVI_KEY_PATH_LIST /* paths separated by commas, may be empty; each as a PATH */
} avi_key_type;

typedef struct avi_key {
    const char *section, *name;
    avi_key_type type;
    const char *fallback; /* default, as text */
    double min, max;      /* range of numbers (each element of a list), inclusive; min = max = 0: no limits */
    const char *choices;  /* AVI_KEY_CHOICE: "yes | no | auto"; NULL else */
    const char *unit;     /* "nats", "rows", "minutes"; NULL when it has none */
    const char *doc;      /* one line */
} avi_key;

/* A table of keys and when it is in force: always (section == NULL), or when [section] key is one of `values`
 * (separated by " | "): the keys of a model are in force when [model] name selects it. A key of a table that is
 * registered but not in force is accepted and reported as unused: one file serves several models or inference
 * functions. */
typedef struct avi_key_table {
    const avi_key *keys;
    int count;
    const char *section, *key, *values;
    /* Values that the file gives belong to the selection that the file makes: when the command line selects another
     * one, these keys of the file are passed over (and reported as unused), as if nobody had given them. */
    bool own;
    const char *or_key; /* in force too when [section] or_key is one of `values`; NULL: there is no such key */
} avi_key_table;

typedef struct avi_config avi_config;
typedef struct avi_registry avi_registry; /* registry.h: what can be chosen by name */

/* Not collective. Borrows the tables, which must outlive it. Owner: caller, avi_config_destroy. */
avi_status avi_config_create(const avi_key_table *tables, int count, avi_config **config);
void avi_config_destroy(avi_config **config);
/* The registry that the configuration was made for (avi_registry_config), NULL for one of bare tables. Not collective.
 */
const avi_registry *avi_config_registry(const avi_config *config);

/* Not collective. From now on what is read may have sections and keys that no table declares, and other mistakes: they
 * are passed over, for another configuration to report (avi_config_derive). */
void avi_config_pass_others(avi_config *config);

/* Collective. Rank 0 reads `path` (NULL: an empty text), all ranks parse the same text. `overrides` are
 * "section.key=value" and win over the file. ${NAME} expands environment variables. All mistakes are reported in one
 * message, each as file:line: [section] key: what is wrong; what to use instead. Errors: NOINPUT (file missing or a
 * folder), CONFIG (all others; also a file over 1 MiB, a NUL byte, a key twice, a variable not set). */
avi_status avi_config_read(avi_config *config, avi_comm *comm, const char *path, int count,
                           const char *const *overrides);
/* Collective. The same from the text of rank 0; `name` stands for the file in messages. */
avi_status avi_config_read_text(avi_config *config, avi_comm *comm, const char *name, const char *text, int count,
                                const char *const *overrides);
/* Not collective. The same from text; `name` stands for the file in messages. */
avi_status avi_config_parse(avi_config *config, const char *name, const char *text, int count,
                            const char *const *overrides);
/* Not collective. What `base` has read, text, folder, environment and overrides, with more overrides
 * ("section.key=value"), which win over those of base. `base` may have been refused for its mistakes; the same rank 0's
 * file is behind both. Errors: as avi_config_parse. */
avi_status avi_config_derive(avi_config *config, const avi_config *base, int count, const char *const *overrides);

/* Typed values. A (section, key, type) that no table in force declares is a mistake of the program: message and abort.
 * Not collective. */
AVI_API int64_t avi_config_get_int(const avi_config *config, const char *section, const char *key);
AVI_API double avi_config_get_real(const avi_config *config, const char *section, const char *key);
AVI_API bool avi_config_get_bool(const avi_config *config, const char *section, const char *key);
/* STRING, CHOICE, PATH, and PATH_LIST (with ", " between the paths). Owned by the config. */
AVI_API const char *avi_config_get_string(const avi_config *config, const char *section, const char *key);
/* Number of elements; the first `max` go to `out`. */
AVI_API int avi_config_get_int_list(const avi_config *config, const char *section, const char *key, int64_t *out,
                                    int max);
/* True when a table in force declares the key: it can be read. */
AVI_API bool avi_config_has(const avi_config *config, const char *section, const char *key);
/* True when the file or an override gave the key. */
AVI_API bool avi_config_is_given(const avi_config *config, const char *section, const char *key);

/* The integer key in force (a number or a list) of a section that has the largest value: which key to name when what
 * it sets is too large. NULL when the section has none. Owned by the config. */
const char *avi_config_largest(const avi_config *config, const char *section);

/* Not collective, to be called alike on all ranks before the value is read by others. Replaces the default of a number
 * that the data cannot have; a value that somebody gave stays. It is in force from now on, also in the effective text,
 * so that a run from that text is the same run. */
void avi_config_bend_int(const avi_config *config, const char *section, const char *key, int64_t value);

/* A mistake found later, by the code that reads the value: "file:line: [section] key = value: <message>". Returns
 * AVI_ERR_CONFIG. */
AVI_API avi_status avi_config_fail(const avi_config *config, const char *section, const char *key, const char *format,
                                   ...) AVI_PRINTF(4, 5);

/* Texts. Owner: caller, free(). NULL when memory is short. */
char *avi_config_effective(const avi_config *config); /* every key in force, value, origin as a comment; PATHs absolute;
                                                         reads back as the same run */
char *
avi_config_unused(const avi_config *config); /* "model.tau (line 12), ..." keys given but not in force; "" when none */
/* What the command line gives a key that no table in force declares, as typed; NULL when it does not. Owned by the
 * config. */
const char *avi_config_passed_over(const avi_config *config, const char *section, const char *key);
const char *avi_config_text(const avi_config *config); /* the file's text as given; owned by the config */
/* A 64-bit checksum over all values in force that are not their table's defaults (a program with more keys has the
 * same), except those named in `except` ("section.key" list that ends with NULL; "section.*" allowed). */
uint64_t avi_config_hash(const avi_config *config, const char *const *except);
/* One line per key in force whose value differs between `config` and the effective text of another run, for refusals;
 * same `except`. Owner: caller. */
char *avi_config_difference(const avi_config *config, const char *other_effective, const char *const *except);

/* --help-keys[=section] (NULL: all), and inputs/reference.ini. Not collective. */
avi_status avi_config_help(const avi_config *config, const char *section,
                           FILE *out); /* USAGE: no such section; `out` then names those there are */
void avi_config_reference(const avi_config *config, FILE *out);
/* Calls `visit` for every key, section by section, in the order of --help-keys: those always in force first, then table
 * by table. `kind` is the type, range and unit in words. Not collective. */
typedef void (*avi_key_visit)(void *user, const avi_key *key, const avi_key_table *table, const char *kind);
void avi_config_each_key(const avi_config *config, avi_key_visit visit, void *user);

/* The nearest of `names` (count, or ends with NULL when count < 0) by edit distance, NULL when nothing is near. For
 * "did you mean". */
const char *avi_closest(const char *word, const char *const *names, int count);

#endif
