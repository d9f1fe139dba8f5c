/* Warnings of many runs in one job: each names its run, and the same one is not printed for every run. */
#ifndef AVI_BASE_WARNINGS_H
#define AVI_BASE_WARNINGS_H

#include <stdint.h>

enum { AVI_WARNING_KINDS = 32, AVI_WARNING_TEXT = 240 };

/* Warnings that differ in numbers and names alone are of one kind. */
typedef struct avi_warning_kind {
    uint64_t kind;
    int64_t runs;                /* in so many */
    int64_t last;                /* the last of them, by its number among the calls of avi_warnings_of */
    char name[32];               /* of the first of them */
    char text[AVI_WARNING_TEXT]; /* its warning, cut */
} avi_warning_kind;

/* From here on warnings of this process are those of the run `name`: the first one of a kind is printed with that name,
 * those of other runs are counted. NULL: each is printed, without a name. Not collective. */
void avi_warnings_of(const char *name);
/* The kinds so far; owned by the library. Not collective. */
int avi_warnings_kinds(const avi_warning_kind **list);

#endif
