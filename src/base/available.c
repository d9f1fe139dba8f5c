#include "base/available.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 4096 };

/* Files of a version of control groups. */
typedef struct version {
    const char *mount, *limit, *usage, *reclaimed; /* reclaimed: the line of memory.stat with file pages that are given
                                                      up when memory is short */
    const char *by;
} version;

static const version first = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                              "total_inactive_file", "the memory limit of the control group"};
static const version second = {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file",
                               "the memory limit of the control group"};

/* The number behind `name` in a file of lines "name 123" or "name: 123 kB"; the first number where name is NULL. False:
 * none, or "max". */
static bool read_number(const char *path, const char *name, double *value)
{
    char line[LINE_BYTES];
    bool found = false;
    FILE *file = fopen(path, "r");
    if (!file) return false;
    const size_t length = name ? strlen(name) : 0;
    while (!found && fgets(line, sizeof line, file)) {
        if (name && (strncmp(line, name, length) != 0 || !strchr(" :\t", line[length]))) continue;
        char *at = line + length, *end;
        at += strspn(at, " :\t");
        *value = strtod(at, &end);
        found = end > at;
        if (found && strstr(end, "kB")) *value *= 1024;
        if (!name) break;
    }
    fclose(file);
    return found;
}

static double meminfo(const char *root, const char *name, double otherwise)
{
    char path[PATH_BYTES];
    double value;
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    return read_number(path, name, &value) ? value : otherwise;
}

/* What the group in `folder` leaves; HUGE_VAL without a limit. */
static double left_in(const version *v, const char *folder)
{
    char path[PATH_BYTES + 64];
    double limit, usage, reclaimed;
    snprintf(path, sizeof path, "%s/%s", folder, v->limit);
    if (!read_number(path, NULL, &limit) || limit > 0x1p60) return HUGE_VAL; /* "max", or version 1's word for none */
    snprintf(path, sizeof path, "%s/%s", folder, v->usage);
    if (!read_number(path, NULL, &usage)) return HUGE_VAL;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    if (!read_number(path, v->reclaimed, &reclaimed)) reclaimed = 0;
    return fmax(0, limit - usage + reclaimed);
}

/* The least that the group and those above it leave. In a container the path may begin above what is mounted: folders
 * that are not there say nothing. */
static double left_above(const version *v, const char *root, const char *group)
{
    char folder[PATH_BYTES];
    const int base = snprintf(folder, sizeof folder, "%s%s", root, v->mount);
    const size_t length = strlen(group);
    if (base < 0 || (size_t)base + length >= sizeof folder) return HUGE_VAL;
    memcpy(folder + base, group, length + 1);
    double left = HUGE_VAL;
    for (;;) {
        left = fmin(left, left_in(v, folder));
        char *slash = strrchr(folder + base, '/');
        if (!slash) return left;
        *slash = '\0';
    }
}

static bool lists_memory(const char *controllers)
{
    for (size_t n; *controllers; controllers += n + (controllers[n] == ',')) {
        n = strcspn(controllers, ",");
        if (n == 6 && memcmp(controllers, "memory", 6) == 0) return true;
    }
    return false;
}

double avi_memory_available(const char *root, const char **by)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    double least = meminfo(root, "MemAvailable", HUGE_VAL);
    *by = "the memory of the machine";
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = '\0';
        const version *v = !controllers[1] ? &second : lists_memory(controllers + 1) ? &first : NULL;
        if (!v) continue;
        const double left = left_above(v, root, group);
        if (left < least) {
            least = left;
            *by = v->by;
        }
    }
    if (file) fclose(file);
    return least + meminfo(root, "SwapFree", 0);
}
