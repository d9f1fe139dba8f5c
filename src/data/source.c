#include "avi/data.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

static const avi_key common_keys[] = {
    {"data", "source", AVI_KEY_CHOICE, "strokes", 0, 0, AVI_CHOICES_SOURCE, NULL,
     "where the rows come from (--list prints what each is)"},
    {"data", "storage", AVI_KEY_CHOICE, "auto", 0, 0, "auto | memory | stream", NULL,
     "hold the rows in memory, or draw those of a tile anew at each step (strokes and most models; the same bits); "
     "auto: memory up to 1 GiB of rows on all "
     "ranks together, stream above where the source can"},
    {"data", "holdout", AVI_KEY_REAL, "0", 0, 1e15, NULL, "rows",
     "test rows are rows of the training data that are held out: a part of them (below 1) or a number; chosen by "
     "run.seed, or the last ones where rows have neighbours; 0 = none"},
    {"data", "missing", AVI_KEY_CHOICE, "refuse", 0, 0, "refuse | mask", NULL,
     "values that are NaN: refuse such data, or leave them out of the likelihood (models ppca and vae; an inference "
     "function sees 0 there, and which values are there)"},
    {"data", "standardise", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "yes: the model sees each column with mean 0 and standard deviation 1 of the training rows; the ELBO is that of "
     "these values"},
    {"data", "transform", AVI_KEY_CHOICE, "none", 0, 0, "none | log1p", NULL,
     "log1p: the model sees log(1 + value), before standardise; the ELBO is that of these values"},
    {"data", "shuffle", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "shuffle the rows once by key; auto: yes unless the model couples neighbouring rows or the source is a sequence"},
};

avi_status avi_source_register(avi_registry *registry, const avi_source_ops *ops)
{
    if (!ops->open || !ops->read)
        return avi_fail(AVI_ERR_INTERNAL, "data source %s has no %s", ops->name ? ops->name : "without a name",
                        ops->open ? "read" : "open");
    return avi_registry_add(registry, AVI_KIND_SOURCE, ops);
}

avi_status avi_data_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, common_keys, (int)(sizeof common_keys / sizeof common_keys[0]));
}

/* ---- open and close ---- */

size_t avi_dtype_size(avi_dtype type) { return type == AVI_U8 ? 1 : type == AVI_F32 ? 4 : 8; }

/* What every source must have said once it is open: a mistake here is one of the source's code, not of the user. */
static avi_status check_shape(const avi_source *s)
{
    const avi_shape *h = &s->shape;
    const bool width_fits = h->width > 0 && h->width <= INT_MAX && h->height > 0 && h->columns > 0 &&
                            (h->channels > 1 ? h->channels : 1) * h->height * h->columns == h->width;
    const bool type_fits = h->type == AVI_U8 || h->type == AVI_F32 || h->type == AVI_F64;
    if (h->rows > 0 && (h->ragged != (s->first_entry != NULL) || (h->ragged && !s->ops->any_rank)))
        return avi_fail(AVI_ERR_INTERNAL,
                        "data source %s gave ragged rows without the places of their entries, or that "
                        "one rank alone can read",
                        s->ops->name);
    if (h->ragged && h->rows > 0 && s->first_entry[h->rows] == 0)
        return avi_fail(AVI_ERR_DATA, "%s: none of its %lld groups has an entry; use data that have some", s->label,
                        (long long)h->rows);
    if (h->rows == 0 || (h->rows > 0 && width_fits && type_fits)) return AVI_OK;
    return avi_fail(AVI_ERR_INTERNAL, "data source %s gave a shape of %lld rows, width %lld = %lld x %lld",
                    s->ops->name, (long long)h->rows, (long long)h->width, (long long)h->height, (long long)h->columns);
}

/* Of the size of the data alone, so that a configuration behaves alike on any number of ranks. */
static avi_status settle_storage(avi_source *s, const avi_config *config)
{
    const char *storage = avi_config_get_string(config, "data", "storage");
    const bool can = s->ops->read_rows && !s->sequential, stream = strcmp(storage, "stream") == 0;
    const double bytes = (double)s->shape.rows * avi_source_row_bytes(s);
    s->streamed = can && (stream || (strcmp(storage, "auto") == 0 && bytes > (double)AVI_STREAM_ABOVE));
    if (!stream || can || s->shape.rows == 0) return AVI_OK;
    return avi_config_fail(config, "data", "storage",
                           "%s: %s, so they cannot be drawn anew at each step; use memory or auto", s->label,
                           s->ops->read_rows ? "each row depends on the rows before it" : "its rows come from a file");
}

/* A file that is named for a source that reads none would be passed over, and other rows fitted in its place. */
static avi_status check_path(const avi_config *config, const char *source)
{
    const char *path = avi_config_passed_over(config, "data", "path");
    if (!path) return AVI_OK;
    return avi_fail(AVI_ERR_CONFIG,
                    "command line: [data] path = %s: data.source = %s reads no file; use data.source = hdf5 (or idx) "
                    "for the rows of that file",
                    path, source);
}

avi_status avi_source_open(const avi_config *config, avi_comm *comm, avi_split split, avi_source **source)
{
    *source = NULL;
    const char *name = avi_config_get_string(config, "data", "source");
    const avi_source_ops *ops = avi_registry_find(avi_config_registry(config), AVI_KIND_SOURCE, name);
    if (!ops) return avi_fail(AVI_ERR_INTERNAL, "data.source = %s is not registered", name);
    AVI_TRY(check_path(config, name));
    avi_source *s = calloc(1, sizeof *s);
    AVI_TRY(avi_agree_memory(comm, s, sizeof *s, "a data source"));
    s->ops = ops;
    s->seed = (uint64_t)avi_config_get_int(config, "run", "seed");
    s->shape.scale = 1;
    s->missing_allowed = !strcmp(avi_config_get_string(config, "data", "missing"), "mask");
    s->log1p = !strcmp(avi_config_get_string(config, "data", "transform"), "log1p");
    s->standardise = avi_config_get_bool(config, "data", "standardise");
    avi_status status = ops->open(s, config, comm, split);
    if (status == AVI_OK) status = avi_agree(comm, check_shape(s));
    if (status == AVI_OK) status = avi_agree(comm, settle_storage(s, config));
    if (status == AVI_OK && split == AVI_TRAIN && s->shape.rows == 0)
        status = avi_fail(AVI_ERR_DATA, "data source %s: %s has no rows", s->ops->name, s->label);
    if (status != AVI_OK) {
        avi_source_close(&s);
        return status;
    }
    *source = s;
    return AVI_OK;
}

void avi_source_close(avi_source **source)
{
    if (!source || !*source) return;
    if ((*source)->ops->close) (*source)->ops->close(*source);
    free(*source);
    *source = NULL;
}

avi_status avi_source_match(const avi_source *train, const avi_source *test)
{
    const avi_shape *a = &train->shape, *b = &test->shape;
    if (b->rows > 0 && a->ragged != b->ragged)
        return avi_fail(AVI_ERR_DATA,
                        "the rows of the %s data are groups of any number of entries, those of the %s data have one "
                        "width (%s; %s); use the same kind for both",
                        a->ragged ? "training" : "test", a->ragged ? "test" : "training", test->label, train->label);
    if (b->rows == 0 || (a->height == b->height && a->columns == b->columns && a->width == b->width)) return AVI_OK;
    return avi_fail(AVI_ERR_DATA,
                    "the rows of the test data are %lld x %lld, those of the training data %lld x %lld (%s; %s); both "
                    "must have the same size",
                    (long long)b->height, (long long)b->columns, (long long)a->height, (long long)a->columns,
                    test->label, train->label);
}

double avi_source_row_bytes(const avi_source *s)
{
    const double entry = (double)s->shape.width * (double)avi_dtype_size(s->shape.type);
    if (!s->first_entry || s->shape.rows == 0) return entry;
    return entry * (double)s->first_entry[s->shape.rows] / (double)s->shape.rows + sizeof(int64_t);
}

avi_status avi_source_take_rows(avi_source *s, const avi_config *config, avi_split split, int64_t available)
{
    const char *key = split == AVI_TRAIN ? "rows" : "test_rows";
    const int64_t asked = avi_config_get_int(config, "data", key);
    if (asked > available)
        return avi_config_fail(config, "data", key, "%s has %lld rows; give at most %lld, or 0 for all", s->label,
                               (long long)available, (long long)available);
    s->shape.rows = asked > 0 ? asked : available;
    return AVI_OK;
}
