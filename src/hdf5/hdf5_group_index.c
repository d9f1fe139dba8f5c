/* Where the groups of a file are: from indptr, or from the key of every row of a long table. */
#include "hdf5/hdf5_groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 };

/* The index as doubles, a piece at a time. */
static avi_status read_numbers(avi_hdf5 *x, int64_t first, int64_t count, double *out)
{
    AVI_TRY(avi_hdf5_read(x, first, count, out));
    const unsigned char *from = (const unsigned char *)out;
    for (int64_t i = count; i-- > 0 && x->dtype != AVI_F64;) { /* from the end: they grow in place */
        float single;
        memcpy(&single, from + (size_t)i * sizeof single * (x->dtype == AVI_F32), sizeof single);
        out[i] = x->dtype == AVI_U8 ? (double)from[i] : (double)single;
    }
    return AVI_OK;
}

typedef avi_status (*taker)(void *self, int64_t at, double number);

static avi_status walk(avi_hdf5 *x, taker take, void *self)
{
    double *number = malloc(PIECE * sizeof *number);
    avi_status status = number ? AVI_OK : avi_fail_memory(PIECE * sizeof *number, "the index of groups");
    for (int64_t at = 0, n; at < x->rows && status == AVI_OK; at += n) {
        n = x->rows - at < PIECE ? x->rows - at : PIECE;
        status = read_numbers(x, at, n, number);
        for (int64_t i = 0; i < n && status == AVI_OK; i++) status = take(self, at + i, number[i]);
    }
    free(number);
    return status;
}

/* ---- indptr ---- */

typedef struct starts {
    avi_hdf5_groups *x;
    const avi_hdf5_request *a;
} starts;

static avi_status take_start(void *self, int64_t at, double number)
{
    const starts *s = self;
    const int64_t before = at ? s->x->first_entry[at - 1] : 0, all = s->x->table.rows;
    const bool last = at == s->x->rows;
    if (number >= (double)before && number <= (double)all && (at || number == 0) && (!last || number == (double)all)) {
        s->x->first_entry[at] = (int64_t)number;
        return AVI_OK;
    }
    return avi_fail(
        AVI_ERR_DATA,
        "%s: %s/indptr[%lld] is %.17g; its numbers must ascend from 0 to the %lld entries of %s/data, which "
        "every entry is counted in: write indptr[n + 1] = indptr[n] + entries of group n",
        s->a->path, s->a->dataset, (long long)at, number, (long long)all, s->a->dataset);
}

static avi_status index_compressed(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    starts s = {x, a};
    x->rows = x->index.rows - 1;
    x->first_entry = malloc(((size_t)x->rows + 1) * sizeof *x->first_entry);
    if (!x->first_entry) return avi_fail_memory(((size_t)x->rows + 1) * sizeof *x->first_entry, "the index of groups");
    return walk(&x->index, take_start, &s);
}

/* ---- keys ---- */

/* Rows of one key that follow each other. */
typedef struct run {
    double key;
    int64_t first; /* stored row */
    int64_t group; /* in order of the first rows of groups */
} run;

typedef struct runs {
    run *run;
    int64_t count, room;
    const avi_hdf5_request *a;
} runs;

static avi_status take_key(void *self, int64_t at, double key)
{
    runs *r = self;
    if (!isfinite(key))
        return avi_fail(AVI_ERR_DATA,
                        "%s: row %lld of dataset %s has no group: its %s is not finite; write a number there, or leave "
                        "the row out",
                        r->a->path, (long long)at, r->a->dataset, r->a->group);
    if (r->count && r->run[r->count - 1].key == key) return AVI_OK;
    if (r->count == r->room) {
        const int64_t room = r->room ? 2 * r->room : 1024;
        run *more = realloc(r->run, (size_t)room * sizeof *more);
        if (!more) return avi_fail_memory((size_t)room * sizeof *more, "the groups of a table");
        r->run = more;
        r->room = room;
    }
    r->run[r->count++] = (run){key, at, 0};
    return AVI_OK;
}

static int by_key(const void *a, const void *b)
{
    const run *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_first(const void *a, const void *b)
{
    const run *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Numbers the groups by their first rows; the runs stay in the order of the table. Returns how many groups there are.
 */
static int64_t number_groups(runs *r)
{
    int64_t groups = 0;
    qsort(r->run, (size_t)r->count, sizeof *r->run, by_key);
    for (int64_t i = 0, first = 0; i < r->count; i++) { /* group: its first row; numbers come below */
        if (i == 0 || r->run[i].key != r->run[i - 1].key) first = r->run[i].first;
        r->run[i].group = first;
    }
    qsort(r->run, (size_t)r->count, sizeof *r->run, by_first);
    for (int64_t i = 0; i < r->count; i++) {
        if (r->run[i].group == r->run[i].first) {
            r->run[i].group = groups++;
            continue;
        }
        run wanted = {.first = r->run[i].group}; /* the group's first run, which has its number already */
        r->run[i].group = ((const run *)bsearch(&wanted, r->run, (size_t)i, sizeof wanted, by_first))->group;
    }
    return groups;
}

/* Places of groups and, where runs of a group lie apart, of all entries. */
static avi_status place_groups(avi_hdf5_groups *x, const runs *r, int64_t groups)
{
    const int64_t entries = x->table.rows;
    x->rows = groups;
    x->first_entry = calloc((size_t)groups + 2, sizeof *x->first_entry);
    x->key = malloc((size_t)groups * sizeof *x->key);
    const bool apart = r->count > groups;
    if (apart) x->order = malloc((size_t)entries * sizeof *x->order);
    if (!x->key || !x->first_entry || (apart && !x->order))
        return avi_fail_memory((size_t)entries * sizeof *x->order, "the places of entries");
    for (int64_t i = 0; i < r->count; i++) x->key[r->run[i].group] = r->run[i].key;
    int64_t *first = x->first_entry + apart; /* apart: counted one place ahead, so that filling moves them to theirs */
    for (int64_t i = 0; i < r->count; i++)
        first[r->run[i].group + 1] += (i + 1 < r->count ? r->run[i + 1].first : entries) - r->run[i].first;
    for (int64_t g = 0; g < groups; g++) first[g + 1] += first[g];
    for (int64_t i = 0; apart && i < r->count; i++) {
        const int64_t end = i + 1 < r->count ? r->run[i + 1].first : entries;
        for (int64_t row = r->run[i].first; row < end; row++) x->order[first[r->run[i].group]++] = row;
    }
    return AVI_OK;
}

static avi_status index_by_key(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    runs r = {.a = a};
    avi_status status = walk(&x->index, take_key, &r);
    if (status == AVI_OK && r.count == 0)
        status = avi_fail(AVI_ERR_DATA, "%s: dataset %s has no rows", a->path, a->dataset);
    if (status == AVI_OK) status = place_groups(x, &r, number_groups(&r));
    free(r.run);
    return status;
}

avi_status avi_hdf5_groups_names(const avi_hdf5_groups *x, int64_t first, int64_t count, char **name)
{
    for (int64_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.15g", x->key[first + i]); /* 17 digits where 15 are another number */
        if (strtod(text, NULL) != x->key[first + i]) snprintf(text, sizeof text, "%.17g", x->key[first + i]);
        if (!(name[i] = strdup(text))) return avi_fail_memory(sizeof text, "the name of a group");
    }
    return AVI_OK;
}

avi_status avi_hdf5_groups_index(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    return x->by_key ? index_by_key(x, a) : index_compressed(x, a);
}
