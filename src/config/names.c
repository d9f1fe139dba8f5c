#include "config/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void avi_names_append(char *list, size_t size, const char *name)
{
    const size_t used = strlen(list);
    const int n = snprintf(list + used, size - used, "%s%s", used ? " | " : "", name);
    if (n < 0 || (size_t)n >= size - used) abort();
}
