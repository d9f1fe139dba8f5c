/* Status codes, the text of a failure, warnings. */
#include "avi/status.h"
#include "base/warnings.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The one mutable state of this floor that is not in an object: a failure may come from where no object exists yet, so
 * its text belongs to the thread. */
static _Thread_local char error_text[8192];

const char *avi_status_text(avi_status status)
{
    switch (status) {
#define AVI_STATUS_CASE(name, code, text)                                                                              \
    case AVI_##name:                                                                                                   \
        return text;
        AVI_STATUS_LIST(AVI_STATUS_CASE)
#undef AVI_STATUS_CASE
    }
    return "unknown status";
}

avi_status avi_fail(avi_status status, const char *format, ...)
{
    if (status == AVI_OK || error_text[0] != '\0') return status;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(error_text, sizeof error_text, format, args);
    va_end(args);
    if (length <= 0) (void)snprintf(error_text, sizeof error_text, "%s", avi_status_text(status));
    return status;
}

avi_status avi_fail_memory(size_t bytes, const char *purpose)
{
    return avi_fail(AVI_ERR_INTERNAL,
                    "out of memory: %zu bytes for %s could not be had; use more nodes, or a smaller tile or batch",
                    bytes, purpose);
}

const char *avi_error_text(void) { return error_text; }

void avi_error_clear(void) { error_text[0] = '\0'; }

/* ---- warnings ---- */

/* What this process has warned of in the runs of a sweep; like error_text there is no object that could hold it. */
static struct {
    char name[32]; /* of the run that is under way; empty: there is none */
    int64_t runs;
    avi_warning_kind kind[AVI_WARNING_KINDS];
    int kinds;
} warned;

void avi_warnings_of(const char *name)
{
    (void)snprintf(warned.name, sizeof warned.name, "%s", name ? name : "");
    warned.runs++;
}

int avi_warnings_kinds(const avi_warning_kind **list)
{
    *list = warned.kind;
    return warned.kinds;
}

static uint64_t add_letter(uint64_t h, char letter) { return (h ^ (unsigned char)letter) * UINT64_C(0x100000001b3); }

/* A kind is what a format says beside its values; of a format that says little, the message without its digits. */
static uint64_t kind_of(const char *format, const char *text)
{
    enum { LITTLE = 16 };
    uint64_t by_format = UINT64_C(0xcbf29ce484222325), by_text = by_format;
    int letters = 0;
    for (const char *at = format; *at; at++) {
        if (*at == '%') { /* to the letter of the conversion */
            while (at[1] && !strchr("diouxXeEfgGcsp%", at[1])) at++;
            if (at[1]) at++;
            continue;
        }
        by_format = add_letter(by_format, *at);
        letters++;
    }
    for (const char *at = text; *at; at++)
        if (*at < '0' || *at > '9') by_text = add_letter(by_text, *at);
    return letters > LITTLE ? by_format : by_text;
}

/* Counts a warning of the run that is under way. Returns whether it is the first of its kind; where there are too many
 * kinds to be told apart, all are. */
static bool is_first(uint64_t kind, const char *text)
{
    for (int i = 0; i < warned.kinds; i++) {
        avi_warning_kind *k = &warned.kind[i];
        if (k->kind != kind) continue;
        k->runs += k->last != warned.runs;
        k->last = warned.runs;
        return false;
    }
    if (warned.kinds == AVI_WARNING_KINDS) return true;
    avi_warning_kind *k = &warned.kind[warned.kinds++];
    *k = (avi_warning_kind){.kind = kind, .runs = 1, .last = warned.runs};
    memcpy(k->name, warned.name, sizeof k->name);
    (void)snprintf(k->text, sizeof k->text, "%.*s%s", AVI_WARNING_TEXT - 5, text,
                   strlen(text) > AVI_WARNING_TEXT - 5 ? "..." : "");
    return true;
}

void avi_warn(const char *format, ...)
{
    /* One write a line, so that lines of several ranks do not mix. */
    char line[8192];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length <= 0 || (warned.name[0] && !is_first(kind_of(format, line), line))) return;
    (void)fprintf(stderr, "avi_mpi: warning: %s%s%s\n", warned.name, warned.name[0] ? ": " : "", line);
}
