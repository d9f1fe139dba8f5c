/* What the files of the config floor share and nobody else sees. */
#ifndef AVI_CONFIG_CONFIG_INTERNAL_H
#define AVI_CONFIG_CONFIG_INTERNAL_H

#include "avi/config.h"

#include <limits.h>

#define AVI_CONFIG_FILE_LIMIT  (1 << 20) /* bytes of a file or text */
#define AVI_CONFIG_VALUE_LIMIT (1 << 16) /* bytes of one value after ${NAME} is expanded */
#define AVI_COMMAND_LINE       INT_MAX   /* stands for the line number of an override: sorts after the file */
#define AVI_DEFAULT            0         /* stands for the line number of a value that nobody gave */

/* ---- text.c: a text that grows; once memory is short it stays failed ------------------------------------------- */
typedef struct avi_text {
    char *data; /* NUL-terminated when not NULL */
    size_t used, room;
    bool failed;
} avi_text;
void avi_text_add(avi_text *text, const char *format, ...) AVI_PRINTF(2, 3);
void avi_text_bytes(avi_text *text, const char *bytes, size_t count);
/* Adds text from outside so that a terminal is safe: control bytes as \xNN, cut after 80 bytes. */
void avi_text_quote(avi_text *text, const char *outside);
/* The bytes, owned by the caller; NULL when memory was short. Leaves `text` empty. */
char *avi_text_take(avi_text *text);

/* ---- mistakes.c: what is wrong, collected to be told at once --------------------------------------------------- */
enum { AVI_MISTAKES_KEPT = 100 };
typedef struct avi_mistakes {
    const char *file;
    struct {
        int line; /* AVI_COMMAND_LINE for an override */
        char *text;
    } kept[AVI_MISTAKES_KEPT];
    int count; /* all, also those not kept */
} avi_mistakes;
/* Adds "file:line: [section] key: <message>"; parts that are NULL are left out. */
void avi_mistake(avi_mistakes *mistakes, int line, const char *section, const char *key, const char *format, ...)
    AVI_PRINTF(5, 6);
/* AVI_OK when there are none, else AVI_ERR_CONFIG with the message, by line. Frees what was kept. */
avi_status avi_mistakes_report(avi_mistakes *mistakes);
/* "file:12", "command line" or "default" */
void avi_text_origin(avi_text *text, const char *file, int line);

/* ---- scan.c: INI text -> sections and key = value -------------------------------------------------------------- */
typedef struct avi_scan_events {
    /* Returns false when the keys of this section are to be passed over. */
    bool (*section)(void *user, const char *name, int line);
    void (*value)(void *user, const char *section, const char *key, const char *value, int line);
    void (*wrong)(void *user, int line, const char *what);
} avi_scan_events;
avi_status avi_scan(const char *file, const char *text, const avi_scan_events *events, void *user);

/* ---- config_source.c: all that a parse depends on, in one block that travels from rank 0 ----------------------- */
typedef struct avi_source {
    int64_t text_bytes; /* without the NUL behind it */
    int64_t overrides;
    int64_t bytes;
    char *data; /* text, then NUL-terminated strings: file name, current folder, overrides, NAME=value ... */
} avi_source;
avi_status avi_source_create(const char *file, const char *text, size_t text_bytes, int count,
                             const char *const *overrides, avi_source *source);
/* The value of an environment variable of rank 0, NULL when it was not set. `length` is that of `name`. */
const char *avi_source_variable(const avi_source *source, const char *name, size_t length);
/* String number i behind the text: 0 file, 1 current folder, 2 first override ... */
const char *avi_source_string(const avi_source *source, int64_t i);

/* ---- config_value.c: text -> typed value ----------------------------------------------------------------------- */
/* A key as declared in one table, with its value. */
typedef struct avi_slot {
    const avi_key *key;
    const avi_key_table *table;
    int given;    /* index into config->given, -1 when nobody gave it */
    bool force;   /* the table is in force */
    bool settled; /* the value that was given has been read */
    bool bad;     /* ... and was refused */
    bool passed;  /* given by the file for another selection than the one in force: not read */
    char *text;   /* canonical text of the value */
    int64_t integer;
    double real;
    bool yes;
    int64_t *list; /* (list_count) */
    int list_count;
} avi_slot;
/* Sets the value from `text` (expanded). A PATH, or each of a list, is taken relative to `folder`. False: `wrong` says
 * what is wrong and what to use instead; the slot keeps its old value. */
bool avi_value_set(avi_slot *slot, const char *text, const char *folder, avi_text *wrong);
void avi_value_free(avi_slot *slot);
/* "1 .. 10", "at least 1", "" */
void avi_value_range(avi_text *text, const avi_key *key);
const char *avi_value_type(avi_key_type type);
/* Walks through "a | b | c": *list moves on, the word is [begin, begin + length). False at the end. */
bool avi_choice_next(const char **list, const char **begin, size_t *length);
bool avi_choice_has(const char *list, const char *word);
/* True when the value means the same after it was written and read; false: `wrong` says why not. */
bool avi_value_can_be_written(const char *value, avi_text *wrong);
/* Expands ${NAME}; $${ stands for a plain ${. False: `wrong` says why. */
bool avi_value_expand(const avi_source *source, const char *raw, avi_text *out, avi_text *wrong);
/* Writes a value so that it reads back: ${ as $${. */
void avi_value_write(avi_text *out, const char *value);

/* ---- config.c --------------------------------------------------------------------------------------------------- */
typedef struct avi_given {
    char *value; /* as typed, not expanded */
    int line;
    bool overruled; /* by the command line, which says something else than the file */
} avi_given;

struct avi_config {
    const avi_registry *registry; /* borrowed; NULL: made of bare tables */
    const avi_key_table *tables;
    int table_count;
    bool passes_others; /* what no table declares, and other mistakes, are passed over */
    avi_slot *slots;    /* (slot_count), in the order of the tables */
    int slot_count;
    const char **sections; /* (section_count), in order of first mention, NULL behind */
    int section_count;
    avi_given *given; /* (given_count), room for slot_count */
    int given_count;
    avi_source source;
    char *folder; /* of the file, absolute */
};
/* ---- config_slots.c ---------------------------------------------------------------------------------------------- */
bool avi_slot_is_named(const avi_slot *slot, const char *section, const char *key);
/* Frees what a read has left. */
void avi_config_forget(avi_config *config);
/* Forgets what a read has left; all values are the defaults. */
avi_status avi_config_reset(avi_config *config);
/* The slot in force, NULL when there is none. */
const avi_slot *avi_config_slot(const avi_config *config, const char *section, const char *key);
/* Any slot of that name, in force or not. */
avi_slot *avi_config_any_slot(const avi_config *config, const char *section, const char *key);
bool avi_config_has_section(const avi_config *config, const char *section);
/* Line number, AVI_COMMAND_LINE or AVI_DEFAULT. */
int avi_config_line(const avi_config *config, const avi_slot *slot);
const char *avi_config_file(const avi_config *config);

/* ---- config_parse.c --------------------------------------------------------------------------------------------- */
/* Takes `source` over, also when it fails. */
avi_status avi_config_take(avi_config *config, avi_source *source);
/* Reads the values that were given and decides which tables are in force. INTERNAL when two declarations of a key are.
 */
avi_status avi_config_settle(avi_config *config, avi_mistakes *mistakes);

#endif
