/* Status codes, the text of a failure, warnings. */
#include "avi/status.h"

#include <stdarg.h>
#include <stdio.h>

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

void avi_warn(const char *format, ...)
{
    /* One write a line, so that lines of several ranks do not mix. */
    char line[8192];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length > 0) (void)fprintf(stderr, "avi_mpi: warning: %s\n", line);
}
