#include "fitted/fitted.h"
#include "avi/store.h"
#include "data/column_stats.h"
#include "fitted/missing.h"
#include "checkpoint/checkpoint_best.h"
#include "session/build.h"
#include "session/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- which checkpoint ---- */

enum { NOTHING, FOLDER, FILE_OF_ITS_OWN };

static int64_t kind_of(const char *from)
{
    struct stat info;
    if (stat(from, &info) != 0) return NOTHING;
    return S_ISDIR(info.st_mode) ? FOLDER : FILE_OF_ITS_OWN;
}

/* The newest checkpoint of a run folder, or `from` itself where it is a file. Owner of *path: caller. */
static avi_status find(avi_comm *comm, const char *from, char **path)
{
    int64_t kind = avi_comm_rank(comm) == 0 ? kind_of(from) : NOTHING;
    *path = NULL;
    AVI_TRY(avi_comm_bcast(comm, &kind, sizeof kind, 0));
    if (kind == NOTHING)
        return avi_fail(AVI_ERR_NOINPUT,
                        "%s: there is no such folder or file; use the folder of a run, or one of its "
                        "checkpoints",
                        from);
    if (kind == FOLDER) {
        AVI_TRY(avi_checkpoint_newest(comm, from, path));
        if (*path) return AVI_OK;
        return avi_fitted_missing(comm, from);
    }
    *path = strdup(from);
    return avi_agree(comm, *path ? AVI_OK : avi_fail_memory(strlen(from), "a path"));
}

static avi_status open_checkpoint(avi_comm *comm, const char *path, avi_store **store)
{
    char *format = NULL;
    AVI_TRY(avi_store_open(comm, path, store));
    avi_status status = avi_store_attribute_text(*store, "/", "format", &format);
    if (status == AVI_OK && strcmp(format, "avi_mpi checkpoint"))
        status = avi_fail(AVI_ERR_DATA,
                          "%s: is not a checkpoint of avi_mpi but \"%s\"; use the folder of the run, or a "
                          "file of its folder checkpoint",
                          path, format);
    free(format);
    if (status != AVI_OK) avi_store_close(store);
    return status;
}

/* A fit that goes on in the folder removes its older checkpoints: one that is gone when it is to be opened has a newer
 * one beside it. What is open stays readable. */
static avi_status open_newest(avi_comm *comm, const char *from, char **path, avi_store **store)
{
    enum { TRIES = 20 };
    for (int i = 0;; i++) {
        AVI_TRY(find(comm, from, path));
        const avi_status status = open_checkpoint(comm, *path, store);
        if (status != AVI_ERR_NOINPUT || i + 1 == TRIES || !strcmp(from, *path)) return status;
        avi_error_clear();
        free(*path);
        *path = NULL;
    }
}

avi_status avi_fitted_config(avi_comm *comm, const char *from, char **path, char **effective)
{
    avi_store *store = NULL;
    *effective = NULL;
    AVI_TRY(open_newest(comm, from, path, &store));
    const avi_status status = avi_store_read_text(store, "/config", effective);
    avi_store_close(&store);
    return status;
}

/* ---- what it says of its data ---- */

static bool has(avi_store *store, const char *dataset, int64_t *first)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    const bool there = avi_store_shape(store, dataset, &type, &rank, dims) == AVI_OK;
    if (!there) avi_error_clear();
    if (there && first) *first = rank > 0 ? dims[0] : 1;
    return there;
}

/* An attribute that older checkpoints do not have. */
static int64_t number(avi_store *store, const char *name, int64_t otherwise)
{
    int64_t value;
    if (avi_store_attribute_int(store, "/data", name, &value) == AVI_OK) return value;
    avi_error_clear();
    return otherwise;
}

static avi_status read_columns(avi_store *store, const char *path, int64_t width, double *out)
{
    return avi_store_read(store, path, AVI_F64, 1, (int64_t[4]){width}, false, out);
}

static avi_status text_is(avi_store *store, const char *name, const char *value, bool *is)
{
    char *text = NULL;
    AVI_TRY(avi_store_attribute_text(store, "/data", name, &text));
    *is = !strcmp(text, value);
    free(text);
    return AVI_OK;
}

static avi_status make_like(avi_comm *comm, int64_t width, avi_data **like)
{
    avi_data *d = *like = calloc(1, sizeof *d);
    avi_status status = d ? avi_column_stats_create(width, &d->stats) : avi_fail_memory(sizeof *d, "a fit");
    if (status == AVI_OK) {
        d->mean = malloc((size_t)width * sizeof *d->mean);
        d->sd = malloc((size_t)width * sizeof *d->sd);
        if (!d->mean || !d->sd) status = avi_fail_memory((size_t)width * sizeof *d->sd, "a fit");
    }
    return avi_agree(comm, status);
}

static avi_status read_transform(avi_store *store, avi_comm *comm, avi_fitted *f)
{
    const int64_t width = f->shape.width;
    bool standardised;
    AVI_TRY(make_like(comm, width, &f->like));
    avi_data *d = f->like;
    AVI_TRY(read_columns(store, "/data/smallest", width, d->stats->smallest));
    AVI_TRY(read_columns(store, "/data/largest", width, d->stats->largest));
    AVI_TRY(read_columns(store, "/data/mean", width, d->mean));
    AVI_TRY(read_columns(store, "/data/sd", width, d->sd));
    for (int64_t k = 0; k < width; k++) d->stats->finite[k] = f->rows; /* a range counts where there are values */
    d->stats->rows = f->rows;
    memcpy(d->stats->mean, d->mean, (size_t)width * sizeof *d->mean);
    memcpy(d->stats->sd, d->sd, (size_t)width * sizeof *d->sd);
    AVI_TRY(avi_store_attribute_real(store, "/data", "scale", &d->shape.scale));
    AVI_TRY(text_is(store, "transform", "log1p", &d->log1p));
    AVI_TRY(text_is(store, "standardise", "yes", &standardised));
    if (standardised) return AVI_OK;
    free(d->mean);
    free(d->sd);
    d->mean = d->sd = NULL;
    return AVI_OK;
}

static avi_status read_header(avi_store *store, avi_comm *comm, avi_fitted *f)
{
    AVI_TRY(avi_store_read_text(store, "/config", &f->effective));
    AVI_TRY(avi_store_attribute_int(store, "/", "step", &f->step));
    const int64_t best = avi_checkpoint_best_step(store);
    f->is_best = best != 0;
    if (f->is_best) f->step = best;
    AVI_TRY(avi_store_attribute_int(store, "/", "rows", &f->rows));
    if (!has(store, "/data/smallest", &f->shape.width))
        return avi_fail(AVI_ERR_DATA,
                        "%s: does not say how the columns of its data were scaled: an older version wrote it; use a "
                        "run of this version",
                        f->path);
    f->shape.columns = number(store, "row_columns", f->shape.width);
    f->shape.height = number(store, "row_height", 0);
    f->shape.channels = number(store, "row_channels", 1);
    f->shape.channels_last = number(store, "row_channels_last", 0) != 0;
    f->shape.ragged = number(store, "row_ragged", 0) != 0;
    if (avi_store_read_text(store, "/data/columns", &f->columns) != AVI_OK) { /* they had no names */
        avi_error_clear();
        AVI_TRY(avi_agree(comm, (f->columns = strdup("")) ? AVI_OK : avi_fail_memory(1, "a fit")));
    }
    return read_transform(store, comm, f);
}

avi_status avi_fitted_open(avi_comm *comm, const char *from, avi_fitted *f)
{
    *f = (avi_fitted){.shape.type = AVI_F64, .shape.scale = 1};
    AVI_TRY(open_newest(comm, from, &f->path, &f->store));
    return avi_agree(comm, read_header(f->store, comm, f));
}

void avi_fitted_close(avi_fitted *f)
{
    avi_data_destroy(&f->like);
    avi_store_close(&f->store);
    free(f->path);
    free(f->effective);
    free(f->columns);
    *f = (avi_fitted){0};
}

/* ---- whether a configuration and data go with it ---- */

/* What the parameters mean, and what the rows become before the model sees them. */
static const char *const of_fit[] = {
    "[model] ", "[inference] ", "[run] precision:", "[data] missing:", "[data] standardise:", "[data] transform:",
    NULL};
static const char *const not_of_fit[] = {"[model] theta_from:", "[model] theta_fixed:", "[inference] start", NULL};
/* Of that, what the global parameters mean. */
static const char *const of_theta[] = {"[model] ", "[data] standardise:", "[data] transform:", NULL};
static const char *const not_of_theta[] = {
    "[model] theta_from:", "[model] theta_fixed:", "[model] global",    "[model] prior_sd:",
    "[model] start:",      "[model] zero_means:",  "[model] simulate_", NULL};

static bool begins_with_one(const char *line, const char *const *list)
{
    for (; *list; list++)
        if (!strncmp(line, *list, strlen(*list))) return true;
    return false;
}

/* Refuses, with the lines of keys that differ and begin with one of `of` and none of `not_of`. */
static avi_status check_keys(const avi_fitted *f, const avi_config *config, const char *const *of,
                             const char *const *not_of, const char *remedy)
{
    char *lines = avi_config_difference(config, f->effective, NULL), text[2048];
    size_t used = 0;
    text[0] = '\0';
    if (!lines) return avi_fail_memory(1, "the configuration of a fit");
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        if (begins_with_one(at, of) && !begins_with_one(at, not_of) && used + n + 2 < sizeof text) {
            memcpy(text + used, at, n);
            used += n;
            text[used++] = '\n';
            text[used] = '\0';
        }
        at += n + (at[n] == '\n');
    }
    free(lines);
    if (!used) return AVI_OK;
    return avi_fail(AVI_ERR_CONFIG, "%s: is a fit of another model:\n%s%s", f->path, text, remedy);
}

avi_status avi_fitted_check_keys(const avi_fitted *f, const avi_config *config)
{
    return check_keys(f, config, of_fit, not_of_fit,
                      "use the folder of the fit in place of the file (avi_mpi runs/vae run.task=...): its "
                      "configuration is then that of the fit");
}

avi_status avi_fitted_check_model(const avi_fitted *f, const avi_config *config)
{
    return check_keys(f, config, of_theta, not_of_theta,
                      "use the same values here, or a model.theta_from that has these");
}

/* An effective configuration has every key on a line of its own, "key = value ; origin", below its section. */
static bool model_has(const avi_fitted *f, const char *line)
{
    const char *section = strstr(f->effective, "[model]\n"), *end = section ? strstr(section, "\n\n") : NULL,
               *found = section ? strstr(section, line) : NULL;
    return found && (!end || found < end);
}

bool avi_fitted_same_global(const avi_fitted *f, const avi_config *config)
{
    char line[96];
    const char *global = avi_config_get_string(config, "model", "global");
    snprintf(line, sizeof line, "\nglobal = %s ", global);
    if (!model_has(f, line)) return false;
    snprintf(line, sizeof line, "\nglobal_rank = %" PRId64 " ", avi_config_get_int(config, "model", "global_rank"));
    return strcmp(global, "gaussian_lowrank") != 0 || model_has(f, line);
}

/* ---- parameters ---- */

const char *avi_fitted_vector(const avi_fitted *f) { return f->is_best ? AVI_CHECKPOINT_BEST : "/state/global/value"; }

/* What the inference function's inputs are standardised by, where they are. */
static avi_status read_features(const avi_fitted *f, avi_session *s)
{
    static const char mean[] = "/state/feature_mean", sd[] = "/state/feature_sd";
    if (!has(f->store, mean, NULL)) return AVI_OK;
    AVI_TRY(avi_agree(s->comm, avi_column_moments_create(s->train, &s->moments)));
    AVI_TRY(read_columns(f->store, mean, s->shape.width, s->moments->mean));
    AVI_TRY(read_columns(f->store, sd, s->shape.width, s->moments->sd));
    avi_column_moments_set_factor(s->moments);
    s->problem.features = s->moments;
    return AVI_OK;
}

/* ---- session ---- */

static avi_status open_rows(const avi_fitted *f, avi_session *s)
{
    AVI_TRY(avi_source_open(s->config, s->comm, AVI_TRAIN, &s->train_source));
    s->train_source->streamed = false; /* blocks are read and left, whatever the source */
    AVI_TRY(avi_agree(s->comm, avi_fitted_check_columns(f, s->train_source)));
    s->shape = s->train_source->shape;
    return AVI_OK;
}

static avi_status make_partition(avi_session *s, bool has_rows)
{
    const int64_t rows = has_rows ? s->shape.rows - s->model->ops->lookahead : 1;
    if (rows < 1)
        return avi_fail(AVI_ERR_DATA, "%s: model %s needs at least %d rows", s->train_source->label,
                        s->model->ops->name, 1 + s->model->ops->lookahead);
    s->batch = s->epoch_steps = 1;
    AVI_TRY(avi_partition_make(rows, 1, rows, avi_comm_size(s->comm), s->seed, false, &s->partition));
    s->train->partition = s->partition;
    return AVI_OK;
}

static avi_status build(avi_fitted *f, bool rows, avi_session *s)
{
    AVI_TRY(avi_agree(s->comm, avi_fitted_check_keys(f, s->config)));
    s->shape = f->shape;
    s->shape.rows = 1;
    if (s->shape.height < 1) s->shape.height = 1;
    if (rows) AVI_TRY(open_rows(f, s));
    AVI_TRY(avi_agree(s->comm, avi_session_make_problem(s)));
    s->train = f->like;
    f->like = NULL;
    s->train->masked = avi_values_masked(s);
    s->train->shape.width = s->shape.width;
    AVI_TRY(read_features(f, s));
    AVI_TRY(avi_agree(s->comm, make_partition(s, rows)));
    AVI_TRY(avi_agree(s->comm, avi_evaluation_plan_make(s)));
    return avi_session_gather_hosts(s);
}

avi_status avi_session_open_fitted(avi_comm *comm, const avi_config *config, const avi_options *options, avi_fitted *f,
                                   bool rows, avi_session **session)
{
    avi_status status = avi_session_begin(comm, config, options, session);
    if (status == AVI_OK) status = avi_agree(comm, build(f, rows, *session));
    if (status != AVI_OK) avi_session_close(session);
    return status;
}
