/* data.source = model: rows drawn from the configured model, a pure function of (seed, split, row). It is
 * here and not in data/ because a source knows no models. */
#include "avi/model.h"
#include "data/ragged.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN_ROWS = 10000 };

static const avi_key keys[] = {
    AVI_ROWS_KEYS_DRAWN,
    {"data", "data_seed", AVI_KEY_INT, "0", 0, 9e18, NULL, NULL,
     "seed of the data drawn from the model; 0 = run.seed, so that another seed means other data too"},
};

typedef struct drawn {
    avi_model *model;
    avi_split split;
    int64_t *first_entry; /* of ragged rows: (rows + 1); owned */
    double *row;          /* of ragged rows: the entries of the row drawn last; owned */
    int64_t drawn, room;  /* that row, -1: none; the values that it has room for */
} drawn;

static uint64_t seed_of(const avi_source *s)
{
    return ((const drawn *)s->self)->split == AVI_TRAIN ? s->seed : avi_mix64(s->seed, 1);
}

/* The names of the models that draw data. */
static const char *drawing_models(const avi_config *config, char *names, size_t size)
{
    const avi_registry *r = avi_config_registry(config);
    size_t used = 0;
    names[0] = '\0';
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_MODEL) && used < size; i++) {
        const avi_model_ops *m = avi_registry_at(r, AVI_KIND_MODEL, i);
        if (avi_model_simulates(m))
            used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "", m->name);
    }
    return names;
}

/* ---- ragged rows ---- */

static avi_status count_entries(avi_source *s, drawn *d)
{
    const int64_t rows = s->shape.rows;
    d->first_entry = malloc(((size_t)rows + 1) * sizeof *d->first_entry);
    if (!d->first_entry)
        return avi_fail_memory(((size_t)rows + 1) * sizeof *d->first_entry, "the sizes of drawn groups");
    d->first_entry[0] = 0;
    for (int64_t r = 0; r < rows; r++)
        d->first_entry[r + 1] = d->first_entry[r] + d->model->ops->simulated_entries(d->model, seed_of(s), r);
    s->first_entry = d->first_entry;
    d->drawn = -1;
    return AVI_OK;
}

/* Draws all entries of a row, unless it is there from the piece before. */
static avi_status draw_row(const avi_source *s, drawn *d, int64_t row)
{
    const int64_t values = (d->first_entry[row + 1] - d->first_entry[row]) * s->shape.width;
    if (d->drawn == row) return AVI_OK;
    d->drawn = -1;
    if (values > d->room) {
        free(d->row);
        d->row = malloc((size_t)values * sizeof *d->row);
        d->room = d->row ? values : 0;
        if (!d->row) return avi_fail_memory((size_t)values * sizeof *d->row, "a drawn group");
    }
    AVI_TRY(d->model->ops->simulate_rows(d->model, seed_of(s), &row, 1, d->row));
    d->drawn = row;
    return AVI_OK;
}

static avi_status read_entries(const avi_source *s, drawn *d, int64_t first, int64_t count, double *out)
{
    const int64_t width = s->shape.width;
    for (int64_t row = 0, n; count > 0; row++, first += n, count -= n, out += n * width) {
        row += avi_ragged_row(d->first_entry + row, s->shape.rows - row, first);
        const int64_t left = d->first_entry[row + 1] - first;
        n = left < count ? left : count;
        AVI_TRY(draw_row(s, d, row));
        memcpy(out, d->row + (first - d->first_entry[row]) * width, (size_t)(n * width) * sizeof *out);
    }
    return AVI_OK;
}

static int64_t largest_row(const avi_source *s)
{
    int64_t row = 0;
    for (int64_t r = 1; r < s->shape.rows; r++)
        if (avi_source_entries(s, r) > avi_source_entries(s, row)) row = r;
    return row;
}

/* ---- open ---- */

static avi_status create(avi_source *s, const avi_config *config, avi_split split)
{
    const avi_model_ops *ops = avi_model_selected(config);
    char names[256];
    drawn *d = s->self = calloc(1, sizeof *d);
    if (!d) return avi_fail_memory(sizeof *d, "data drawn from the model");
    if (!avi_model_simulates(ops))
        return avi_config_fail(
            config, "data", "source",
            "model %s has no keys for its parameters, so no data can be drawn from it; use a source that has "
            "data (strokes, idx or hdf5), or a model that draws (model.name = %s)",
            ops->name, drawing_models(config, names, sizeof names));
    const int64_t rows = avi_config_get_int(config, "data", split == AVI_TRAIN ? "rows" : "test_rows"),
                  seed = avi_config_get_int(config, "data", "data_seed");
    d->split = split;
    if (seed) s->seed = (uint64_t)seed;
    s->shape =
        (avi_shape){.rows = rows || split == AVI_TEST ? rows : TRAIN_ROWS, .type = AVI_F64, .scale = 1, .height = 1};
    s->shape.width = s->shape.columns = ops->simulated_width ? ops->simulated_width(config) : 1;
    if (s->shape.width > INT_MAX) {
        const char *key = avi_config_largest(config, "model");
        return avi_config_fail(config, "model", key ? key : "name",
                               "a row of the data drawn from model %s would have %lld values; at most %d can be held",
                               ops->name, (long long)s->shape.width, INT_MAX);
    }
    if (s->shape.rows) s->shape.rows += ops->lookahead; /* data.rows and data.test_rows count datapoints */
    s->sequential = !ops->simulate_rows;
    snprintf(s->label, sizeof s->label, "drawn from model %s", ops->name);
    s->shape.ragged = ops->simulates_ragged && ops->simulates_ragged(config);
    AVI_TRY(avi_model_create(config, &s->shape, &d->model));
    d->model->theta_seed = s->seed; /* of both splits: test rows come from the model of the training rows */
    return s->shape.ragged ? count_entries(s, d) : AVI_OK;
}

static avi_status open_source(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    return avi_agree(comm, create(s, config, split));
}

static avi_status read_range(avi_source *s, int64_t first, int64_t count, void *out)
{
    drawn *d = s->self;
    if (s->first_entry) return read_entries(s, d, first, count, out);
    return avi_model_simulate(d->model, seed_of(s), s->shape.rows, first, count, out);
}

static avi_status read_rows(avi_source *s, const int64_t *given, int64_t count, void *out)
{
    drawn *d = s->self;
    if (s->first_entry && count == 0)
        return draw_row(s, d, largest_row(s)); /* the model's room is then enough for all */
    return d->model->ops->simulate_rows(d->model, seed_of(s), given, count, out);
}

static void close_source(avi_source *s)
{
    drawn *d = s->self;
    if (d) {
        avi_model_destroy(&d->model);
        free(d->first_entry);
        free(d->row);
    }
    free(d);
    s->self = NULL;
}

static const avi_accepted model_accepts[] = {
    {"drawn from the model, with the parameters that its keys name", "`data.source=model data.rows=10000`"},
};

const avi_source_ops avi_source_model = {
    .name = "model",
    .doc = "rows drawn from the model itself, with the parameters that its keys name",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .exchangeable = true,
    .open = open_source,
    .read = read_range,
    .any_rank = true,
    .read_rows = read_rows,
    .close = close_source,
    .accepts = model_accepts,
    .accept_count = (int)(sizeof model_accepts / sizeof model_accepts[0]),
};
