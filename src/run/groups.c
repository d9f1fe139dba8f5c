/* A long table in memory, brought into the form of groups: sorted by key, in the order of the table. */
#include "avi/run.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int64_t key, at; /* its row of the table */
    int64_t first;   /* the first row with its key: where its group comes among the others */
} entry;

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_group(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

avi_status avi_run_group_entries(int64_t entries, int64_t width, const double *x, const int64_t *key, int64_t *groups,
                                 int64_t *first_entry, int64_t *group_key, double *grouped)
{
    const size_t bytes = ((size_t)entries + 1) * sizeof(entry), row = (size_t)width * sizeof *x;
    entry *list = malloc(bytes);
    avi_error_clear();
    if (!list) return avi_fail_memory(bytes, "the entries of groups");
    for (int64_t e = 0; e < entries; e++) list[e] = (entry){key[e], e, e};
    qsort(list, (size_t)entries, sizeof *list, by_key);
    for (int64_t e = 1; e < entries; e++)
        if (list[e].key == list[e - 1].key) list[e].first = list[e - 1].first;
    qsort(list, (size_t)entries, sizeof *list, by_group);
    int64_t n = 0;
    for (int64_t e = 0; e < entries; e++) {
        if (e == 0 || list[e].first != list[e - 1].first) {
            if (group_key) group_key[n] = list[e].key;
            first_entry[n++] = e;
        }
        memcpy(grouped + e * width, x + list[e].at * width, row);
    }
    first_entry[n] = entries;
    *groups = n;
    free(list);
    return AVI_OK;
}
