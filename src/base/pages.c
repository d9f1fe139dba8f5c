#define _DEFAULT_SOURCE /* madvise */
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, PAGE = 2 << 20, LONG = 16 * PAGE };

void *avi_pages_alloc(size_t bytes)
{
    const size_t unit = bytes < LONG ? LINE : PAGE, whole = (bytes + unit - 1) / unit * unit;
    if (whole < bytes) return NULL;
    void *v = aligned_alloc(unit, whole ? whole : unit);
#if defined(MADV_HUGEPAGE)
    if (v && unit == PAGE) (void)madvise(v, whole, MADV_HUGEPAGE); /* advice: without it the pages are small */
#endif
    return v;
}
