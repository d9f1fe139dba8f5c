#include "output/run_file_kept.h"
#include "avi/rng.h"
#include "data/row_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the mark of a fit ---- */

static uint64_t mark_of(const avi_data *d) { return d ? (d->checksum ? d->checksum : d->origin) : 0; }

/* Sum over the rows of all ranks, modulo 2^64, in halves that no sum overflows. */
static avi_status sum_rows(const avi_session *s, const avi_state *st, uint64_t *sum)
{
    const size_t bytes = (size_t)s->infer->outputs * avi_real_size(s->precision);
    int64_t half[2] = {0, 0};
    uint64_t own = 0;
    for (int64_t i = 0; st->table && i < s->train->count; i++)
        own += avi_row_hash(avi_vector_at(s->precision, st->table, (i + 1) * s->infer->outputs), bytes,
                            s->train->first + i);
    half[0] = (int64_t)(own & UINT32_MAX);
    half[1] = (int64_t)(own >> 32);
    AVI_TRY(avi_comm_sum_int64(s->comm, half, 2));
    *sum = (uint64_t)half[0] + ((uint64_t)half[1] << 32);
    return AVI_OK;
}

avi_status avi_run_file_mark(const avi_session *s, const avi_state *st, char mark[AVI_FIT_MARK])
{
    uint64_t rows, h = avi_mix64((uint64_t)st->step, 1);
    AVI_TRY(sum_rows(s, st, &rows));
    h = avi_mix64(h, avi_row_hash(st->params, (size_t)s->layout.size * avi_real_size(s->precision), 0));
    h = avi_mix64(avi_mix64(h, rows), avi_mix64(mark_of(s->train), mark_of(s->test)));
    snprintf(mark, AVI_FIT_MARK, "%016" PRIx64, h);
    return AVI_OK;
}

/* ---- what is kept ---- */

/* Groups that a fit writes, each time as its configuration says. */
static const char *const of_fit[] = {"trace",  "eval", "global", "theta",  "inference",  "local",
                                     "images", "rows", "data",   "config", "provenance", "digest"};

static bool is_of_fit(const char *path)
{
    const size_t n = strcspn(path + 1, "/");
    if (!path[1 + n]) return true; /* directly below the root */
    for (size_t i = 0; i < sizeof of_fit / sizeof of_fit[0]; i++)
        if (strlen(of_fit[i]) == n && !memcmp(of_fit[i], path + 1, n)) return true;
    return false;
}

static size_t group_length(const char *path) { return (size_t)(strrchr(path, '/') - path); }

/* Whether a task writes into the group of that dataset now: then the group is new as a whole. */
static bool is_rewritten(const avi_fields *l, int count, const char *path)
{
    const size_t n = group_length(path);
    for (int i = 0; i < count; i++)
        if (group_length(l->field[i].path) == n && !memcmp(l->field[i].path, path, n)) return true;
    return false;
}

typedef struct keeper {
    const avi_session *s;
    avi_store *store;
    avi_fields *l;
    int written; /* fields of l before anything was kept */
} keeper;

static const char *find_text(const avi_attribute *a, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(a[i].name, name) && a[i].text) return a[i].text;
    return "";
}

/* Attributes of an object, in memory of the list. */
static avi_status read_attributes(const keeper *k, const char *object, avi_attribute **a, int *count)
{
    avi_attribute *list;
    AVI_TRY(avi_store_attributes(k->store, object, &list, count));
    void **own = realloc(k->l->owned, (size_t)(k->l->owned_count + 1) * sizeof *own);
    if (own) {
        k->l->owned = own;
        own[k->l->owned_count++] = *a = list;
    } else
        free(list);
    return avi_agree(k->s->comm, own ? AVI_OK : avi_fail_memory(1, "results"));
}

static avi_status read_values(const keeper *k, avi_field *f)
{
    int64_t values = 1;
    AVI_TRY(avi_store_shape(k->store, f->path, &f->type, &f->rank, f->dims));
    f->distributed = f->rank > 0;
    for (int d = 0; d < f->rank; d++)
        values *= d ? f->dims[d]
                    : avi_slab_first(f->dims[0], avi_comm_size(k->s->comm), avi_comm_rank(k->s->comm) + 1) -
                          avi_slab_first(f->dims[0], avi_comm_size(k->s->comm), avi_comm_rank(k->s->comm));
    void *data = avi_fields_memory(k->l, (size_t)(values + 1) * avi_dtype_size(f->type));
    AVI_TRY(
        avi_agree(k->s->comm, data ? AVI_OK : avi_fail_memory((size_t)values * avi_dtype_size(f->type), "results")));
    f->data = data;
    return avi_store_read(k->store, f->path, f->type, f->rank, f->dims, f->distributed, data);
}

/* A number array, or a text. */
static avi_status read_dataset(const keeper *k, avi_field *f)
{
    char *text;
    if (read_values(k, f) == AVI_OK) return AVI_OK;
    avi_error_clear();
    AVI_TRY(avi_store_read_text(k->store, f->path, &text));
    f->text = avi_fields_text(k->l, "%s", text);
    free(text);
    return avi_agree(k->s->comm, f->text ? AVI_OK : avi_fail_memory(1, "results"));
}

/* The writer makes the checksum, and has a field for the others. */
static bool is_of_field(const char *name)
{
    return !strcmp(name, "description") || !strcmp(name, "units") || !strcmp(name, "axes") || !strcmp(name, "checksum");
}

static avi_status keep_attributes(const keeper *k, const char *object, const avi_attribute *a, int count, bool dataset)
{
    avi_status status = AVI_OK;
    for (int i = 0; status == AVI_OK && i < count; i++) {
        avi_attribute one = a[i];
        one.group = object;
        if (!dataset || !is_of_field(one.name)) status = avi_fields_attribute(k->l, one);
    }
    return avi_agree(k->s->comm, status);
}

static avi_status keep_dataset(const keeper *k, const char *path)
{
    avi_attribute *a;
    int count;
    avi_field f = {.path = avi_fields_text(k->l, "%s", path)};
    AVI_TRY(avi_agree(k->s->comm, f.path ? AVI_OK : avi_fail_memory(1, "results")));
    AVI_TRY(read_attributes(k, path, &a, &count));
    AVI_TRY(read_dataset(k, &f));
    f.description = find_text(a, count, "description");
    f.units = find_text(a, count, "units");
    f.axes = find_text(a, count, "axes");
    AVI_TRY(avi_agree(k->s->comm, avi_fields_add(k->l, f)));
    return keep_attributes(k, f.path, a, count, true);
}

/* Attributes of the groups that a dataset is in, each group once; those of a group that is written anew are new. */
static avi_status keep_groups(const keeper *k, const char *path)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        avi_attribute *a;
        int count;
        bool known = false;
        char *group = avi_fields_text(k->l, "%.*s", (int)(slash - path), path);
        AVI_TRY(avi_agree(k->s->comm, group ? AVI_OK : avi_fail_memory(1, "results")));
        for (int i = 0; i < k->l->attributes; i++) known = known || !strcmp(k->l->attribute[i].group, group);
        if (known) continue;
        AVI_TRY(read_attributes(k, group, &a, &count));
        AVI_TRY(keep_attributes(k, group, a, count, false));
    }
    return AVI_OK;
}

static avi_status keep_all(const keeper *k)
{
    char *names;
    AVI_TRY(avi_store_list(k->store, &names));
    avi_status status = AVI_OK;
    for (char *at = names, *end; status == AVI_OK && *at; at = end + 1) {
        end = at + strcspn(at, "\n");
        *end = '\0'; /* every name ends with a line feed */
        if (end[-1] == '/' || is_of_fit(at) || is_rewritten(k->l, k->written, at)) continue;
        status = keep_groups(k, at);
        if (status == AVI_OK) status = keep_dataset(k, at);
    }
    free(names);
    return status;
}

/* The file, where it is of the fit with that mark; NULL else. */
static avi_store *open_same(const avi_session *s, const char *path, const char *mark)
{
    avi_store *store = NULL;
    char *there = NULL;
    const bool same = avi_store_open(s->comm, path, &store) == AVI_OK &&
                      avi_store_attribute_text(store, "/", "fit_mark", &there) == AVI_OK && !strcmp(there, mark);
    free(there);
    avi_error_clear(); /* no results, or older ones without a mark */
    if (!same && store) avi_store_close(&store);
    return store;
}

avi_status avi_run_file_keep(const avi_session *s, const char *path, const char *mark, avi_fields *l)
{
    keeper k = {.s = s, .l = l, .store = open_same(s, path, mark), .written = l->count};
    const int attributes = l->attributes;
    if (!k.store) return AVI_OK;
    avi_status status = keep_all(&k);
    avi_store_close(&k.store);
    if (status != AVI_ERR_DATA) return status;
    if (avi_comm_rank(s->comm) == 0) avi_warn("what other tasks wrote is not kept: %s", avi_error_text());
    avi_error_clear();
    l->count = k.written;
    l->attributes = attributes;
    return AVI_OK;
}
