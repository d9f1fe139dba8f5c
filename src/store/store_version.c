#include "avi/store.h"

#include <hdf5.h>
#include <stdio.h>

const char *avi_store_library(void)
{
    static char text[64]; /* the same at every call */
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}
