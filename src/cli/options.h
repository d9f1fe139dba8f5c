/* What the command line takes, for --help, the manual page and the completion of a shell. */
#ifndef AVI_CLI_OPTIONS_H
#define AVI_CLI_OPTIONS_H

#include <stdio.h>

/* An option as people read of it. `value` is what is written behind the name ("=..." or " ..."), in brackets where it
 * can be left out; NULL where there is none. `words` are the values that a shell may offer, separated by blanks. */
typedef struct avi_command_option {
    const char *name, *value, *doc, *words;
} avi_command_option;
extern const avi_command_option avi_command_options[]; /* ends with a name of NULL */

typedef struct avi_exit_status {
    int status;
    const char *doc;
} avi_exit_status;
extern const avi_exit_status avi_exit_statuses[]; /* ends with a doc of NULL */

extern const char avi_command_synopsis[], avi_command_summary[];

/* --help. Not collective. */
void avi_command_help(FILE *out);

#endif
