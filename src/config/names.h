/* Lists of registered names as the text of a CHOICE key: "vae | linear | saw". */
#ifndef AVI_CONFIG_NAMES_H
#define AVI_CONFIG_NAMES_H

#include <stddef.h>

/* Appends `name` to `list` (size bytes), with " | " between names. A name that does not fit is a mistake of the
 * program: abort. */
void avi_names_append(char *list, size_t size, const char *name);

#endif
