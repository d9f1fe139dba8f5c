/* Status codes: every function that can fail returns one, and the program exits with the same number.
 *
 * A function that fails says what happened once, where it knows most: `return avi_fail(AVI_ERR_DATA, "...", ...)`.
 * Callers pass the code up with AVI_TRY. Before a collective that not every rank may reach, avi_agree() (comm.h)
 * makes all ranks take the same way. */
#ifndef AVI_STATUS_H
#define AVI_STATUS_H

#include <stddef.h>

/* X(name, exit code, meaning) */
#define AVI_STATUS_LIST(X)                                                                                             \
    X(OK, 0, "done")                                                                                                   \
    X(ERR_BUDGET, 3, "budget spent before the stop rule was met")                                                      \
    X(ERR_DIVERGED, 4, "diverged")                                                                                     \
    X(ERR_DIFFERS, 5, "the bits of a run that is verified differ")                                                     \
    X(ERR_USAGE, 64, "wrong command line")                                                                             \
    X(ERR_DATA, 65, "bad data or checkpoint")                                                                          \
    X(ERR_NOINPUT, 66, "input not found")                                                                              \
    X(ERR_INTERNAL, 70, "internal error")                                                                              \
    X(ERR_CANTCREATE, 73, "cannot create output")                                                                      \
    X(ERR_IO, 74, "input/output error")                                                                                \
    X(ERR_STOPPED, 75, "stopped cleanly, checkpoint written: run again to resume")                                     \
    X(ERR_CONFIG, 78, "bad configuration")

typedef enum avi_status {
#define AVI_STATUS_ENUM(name, code, text) AVI_##name = code,
    AVI_STATUS_LIST(AVI_STATUS_ENUM)
#undef AVI_STATUS_ENUM
} avi_status;

/* Passes a failure up to the caller. */
#define AVI_TRY(call)                                                                                                  \
    do {                                                                                                               \
        const avi_status avi_try_status_ = (call);                                                                     \
        if (avi_try_status_ != AVI_OK) return avi_try_status_;                                                         \
    } while (0)

/* What plug-ins and programs may call: these functions, and no others, are seen from outside the library. */
#if defined(__GNUC__)
#define AVI_API __attribute__((visibility("default")))
#else
#define AVI_API
#endif

#if defined(__GNUC__)
#define AVI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define AVI_NORETURN          __attribute__((noreturn))
#else
#define AVI_PRINTF(fmt, args)
#define AVI_NORETURN
#endif

/* The meaning of a code, never NULL. Not collective. */
AVI_API const char *avi_status_text(avi_status status);

/* Records the message (printf style, cut at 8 KiB) for this rank and returns `status`. The first message of a failure
 * is kept until avi_error_clear(): callers that add less than the origin knew do not overwrite it. Not collective. */
AVI_API avi_status avi_fail(avi_status status, const char *format, ...) AVI_PRINTF(2, 3);

/* As avi_fail, for memory: AVI_ERR_INTERNAL with the size asked for in bytes and what it was for. */
AVI_API avi_status avi_fail_memory(size_t bytes, const char *purpose);

/* The recorded message of this rank, "" when there is none. Owned by the library. Not collective. */
AVI_API const char *avi_error_text(void);
AVI_API void avi_error_clear(void);

/* Tests of a message: not a failure, a warning printed once by the calling rank on stderr: "avi_mpi: warning: ...". */
AVI_API void avi_warn(const char *format, ...) AVI_PRINTF(1, 2);

#endif
