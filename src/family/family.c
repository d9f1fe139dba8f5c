#include "avi/family.h"

#include <string.h>

#define AVI_FAMILY(name) extern const avi_family avi_family_##name;
#include "avi/registry.def"

static const avi_family *const families[] = {
#define AVI_FAMILY(name) &avi_family_##name,
#include "avi/registry.def"
    NULL};

const avi_family *const *avi_family_all(void) { return families; }

const avi_family *avi_family_find(const char *name)
{
    for (const avi_family *const *f = families; *f; f++)
        if (!strcmp((*f)->name, name)) return *f;
    return NULL;
}
