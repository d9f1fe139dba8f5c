#include "checkpoint/checkpoint_state.h"
#include "checkpoint/checkpoint_best.h"
#include "checkpoint/checkpoint_bins.h"
#include "checkpoint/checkpoint_check.h"
#include "checkpoint/checkpoint_identity.h"
#include "checkpoint/checkpoint_trace.h"
#include "output/data_fields.h"
#include "output/console.h"
#include "state/best.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Format 1 has local factors in the order of the data, format 2 in the order in which ranks hold them. What is the same
 * in both is written as format 1. */
enum { IN_ORDER_OF_DATA = 1, AS_HELD = 2, MAX_FIELDS = 30, MAX_VECTORS = 2 + AVI_OPTIM_SLOTS };

static const char shuffle_seed[] = "shuffle_seed"; /* of format 2 */

static avi_dtype dtype_of(const avi_session *s) { return s->precision == AVI_PRECISION_SINGLE ? AVI_F32 : AVI_F64; }

/* A vector of the state: where it is in the file and in memory. */
typedef struct vector {
    char path[64];
    void *values; /* global (layout.size), or own rows of the table without halo */
    bool rows;    /* of the table */
} vector;

static int list_vectors(const avi_session *s, const avi_state *st, vector v[2 * MAX_VECTORS])
{
    int n = 0;
    const int64_t halo = s->infer->outputs;
    v[n++] = (vector){.path = "/state/global/value", .values = st->params};
    for (int i = 0; i < s->optim.ops->slots; i++) {
        v[n] = (vector){.values = st->slot[i]};
        snprintf(v[n++].path, sizeof v->path, "/state/global/%s", s->optim.ops->slot_name[i]);
    }
    if (st->best.step > 0) v[n++] = (vector){.path = AVI_CHECKPOINT_BEST, .values = st->best.params};
    if (!st->table) return n;
    v[n++] =
        (vector){.path = "/state/local/value", .values = avi_vector_at(s->precision, st->table, halo), .rows = true};
    for (int i = 0; i < s->optim.ops->slots; i++) {
        v[n] = (vector){.values = avi_vector_at(s->precision, st->table_slot[i], halo), .rows = true};
        snprintf(v[n++].path, sizeof v->path, "/state/local/%s", s->optim.ops->slot_name[i]);
    }
    if (st->best.step > 0)
        v[n++] = (vector){.path = AVI_CHECKPOINT_BEST_LOCAL,
                          .values = avi_vector_at(s->precision, st->best.table, halo),
                          .rows = true};
    return n;
}

static int64_t slab_rows(const avi_session *s)
{
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    return avi_slab_first(s->partition.rows, ranks, rank + 1) - avi_slab_first(s->partition.rows, ranks, rank);
}

static size_t row_bytes(const avi_session *s) { return (size_t)s->infer->outputs * avi_real_size(s->precision); }

static void *slab_of(const avi_session *s) { return malloc((size_t)slab_rows(s) * row_bytes(s) + 64); }

static avi_status pull_rows(void *self, int64_t first, int64_t count, void *const *out)
{
    return avi_file_order_rows(self, first, count, out);
}

/* Whether the file has its local factors shuffled. */
static bool as_held(const avi_session *s) { return s->infer->ops->local && s->partition.shuffled; }

/* The partition with rows where they are: by its measure the order of the file is that of positions. */
static avi_partition unshuffled(const avi_session *s)
{
    avi_partition p = s->partition;
    p.shuffled = false;
    return p;
}

/* Collective. The rows of all vectors of the table as ranks hold them, since bringing shuffled rows into the order of
 * the data takes longer than writing them; *pull: NULL when there are none. order: unshuffled(s), borrowed. */
static avi_status supply_rows(const avi_session *s, const avi_partition *order, const vector *v, int n,
                              avi_file_order **pull, avi_row_producer *supply)
{
    const void *column[2 * MAX_VECTORS];
    int columns = 0;
    *pull = NULL;
    for (int i = 0; i < n; i++)
        if (v[i].rows) column[columns++] = v[i].values;
    if (columns)
        AVI_TRY(avi_file_order_create(order, s->comm, row_bytes(s), columns, column,
                                      avi_row_producer_piece(columns * (int64_t)row_bytes(s)), pull));
    *supply = (avi_row_producer){.rows = pull_rows, .self = *pull};
    return AVI_OK;
}

static avi_field vector_field(const avi_session *s, const vector *v, const void *data)
{
    avi_field f = {.path = v->path,
                   .type = dtype_of(s),
                   .data = data,
                   .distributed = v->rows,
                   .description = "state of the fit",
                   .units = "",
                   .axes = v->rows ? "row, variational parameter" : "value of the flat vector"};
    f.rank = v->rows ? 2 : 1;
    f.dims[0] = v->rows ? s->partition.rows : s->layout.size;
    f.dims[1] = v->rows ? s->infer->outputs : 0;
    return f;
}

static const char *const feature_path[] = {"/state/feature_mean", "/state/feature_sd"};

static avi_status restore_features(const avi_session *s, avi_store *store, const char *path)
{
    avi_column_moments *m = s->moments;
    if (!s->problem.features) return AVI_OK;
    AVI_TRY(avi_store_read(store, feature_path[0], AVI_F64, 1, (int64_t[4]){m->width}, false, m->mean));
    AVI_TRY(avi_store_read(store, feature_path[1], AVI_F64, 1, (int64_t[4]){m->width}, false, m->sd));
    AVI_TRY(avi_check_features(path, m));
    avi_column_moments_set_factor(m);
    return AVI_OK;
}

static int list_attributes(const avi_session *s, const avi_state *st, avi_attribute a[20])
{
    int n = 0;
    a[n++] = (avi_attribute){.group = "/", .name = "format", .text = "avi_mpi checkpoint"};
    a[n++] =
        (avi_attribute){.group = "/", .name = "format_version", .integer = as_held(s) ? AS_HELD : IN_ORDER_OF_DATA};
    if (as_held(s)) a[n++] = (avi_attribute){.group = "/", .name = shuffle_seed, .integer = (int64_t)s->partition.seed};
    a[n++] = (avi_attribute){.group = "/", .name = "step", .integer = st->step};
    a[n++] = (avi_attribute){.group = "/", .name = "skipped", .integer = st->skipped};
    a[n++] = (avi_attribute){.group = "/", .name = "skipped_in_a_row", .integer = st->skipped_in_a_row};
    a[n++] = (avi_attribute){.group = "/", .name = "rate_factor", .is_real = true, .real = st->rate_factor};
    a[n++] = (avi_attribute){.group = "/", .name = "seconds", .is_real = true, .real = st->seconds};
    a[n++] = (avi_attribute){.group = "/", .name = "rows", .integer = s->partition.rows};
    a[n++] = (avi_attribute){
        .group = "/", .name = "data_checksum", .integer = (int64_t)s->train->checksum}; /* 0: they were streamed */
    if (s->train->origin)
        a[n++] = (avi_attribute){.group = "/", .name = "data_origin", .integer = (int64_t)s->train->origin};
    a[n++] = (avi_attribute){.group = "/", .name = "lbfgs_pairs", .integer = st->lbfgs.pairs};
    if (st->gradient_variance.rows)
        a[n++] = (avi_attribute){.group = "/", .name = avi_variance_lines, .integer = st->gradient_variance.rows};
    n += avi_checkpoint_bins_attributes(&st->bins, a + n);
    return n + avi_checkpoint_best_attributes(st, a + n);
}

/* Into the folder's checkpoints, or to `path` when folder is NULL. */
static avi_status save_state(const avi_session *s, const avi_state *st, avi_folder *folder, const char *path)
{
    vector v[2 * MAX_VECTORS];
    const avi_partition order = unshuffled(s);
    avi_file_order *pull = NULL;
    avi_row_producer supply = {0};
    avi_field f[MAX_FIELDS];
    avi_attribute a[32];
    int n = list_vectors(s, st, v), fields = 0;
    const int scales = avi_estimator_scales(s->train_elbo, NULL);
    double *scale = malloc((size_t)(scales + 1) * sizeof *scale), *shares = NULL;
    int64_t *digests = NULL;
    char *effective = avi_config_effective(s->config), *columns = avi_data_column_names(s);
    avi_status status =
        scale && effective && columns ? AVI_OK : avi_fail_memory((size_t)scales * sizeof *scale, "a checkpoint");
    status = avi_agree(s->comm, status);
    if (status == AVI_OK) status = avi_check_replicas(s, st);
    if (status == AVI_OK) status = supply_rows(s, &order, v, n, &pull, &supply);
    if (status == AVI_OK) status = avi_checkpoint_shares(s, &st->shares, &f[fields++], &shares);
    if (status == AVI_OK && st->digests.columns) status = avi_checkpoint_digests(s, st, &f[fields++], &digests);
    for (int i = 0; status == AVI_OK && i < n; i++) {
        f[fields] = vector_field(s, &v[i], v[i].rows ? NULL : v[i].values);
        f[fields++].supply = v[i].rows ? &supply : NULL;
    }
    if (status == AVI_OK) {
        avi_estimator_scales(s->train_elbo, scale);
        if (scales)
            f[fields++] = (avi_field){.path = "/state/exact_scales",
                                      .type = AVI_F64,
                                      .rank = 1,
                                      .dims = {scales},
                                      .data = scale,
                                      .description = "magnitudes that set the scale of the reproducible sums",
                                      .units = "",
                                      .axes = "block"};
        if (st->lbfgs.history)
            f[fields++] = (avi_field){.path = "/state/lbfgs",
                                      .type = AVI_F64,
                                      .rank = 2,
                                      .dims = {2 * st->lbfgs.memory, st->lbfgs.n},
                                      .data = st->lbfgs.history,
                                      .description = "pairs of L-BFGS: differences of points, then of gradients",
                                      .units = "",
                                      .axes = "pair, value"};
        for (int i = 0; s->problem.features && i < 2; i++)
            f[fields++] = (avi_field){.path = feature_path[i],
                                      .type = AVI_F64,
                                      .rank = 1,
                                      .dims = {s->moments->width},
                                      .data = i ? s->moments->sd : s->moments->mean,
                                      .description = "by which what the inference function sees is standardised",
                                      .units = "data units",
                                      .axes = "column"};
        f[fields++] = avi_checkpoint_table("/trace", &st->trace);
        f[fields++] = avi_checkpoint_table("/eval", &st->eval);
        if (st->gradient_variance.rows) f[fields++] = avi_checkpoint_table(avi_variance_path, &st->gradient_variance);
        f[fields++] = avi_checkpoint_bins(&st->bins);
        f[fields++] = (avi_field){
            .path = "/config", .text = effective, .description = "effective configuration", .units = "", .axes = ""};
        fields += avi_data_fields(s, columns, f + fields);
        const int listed = list_attributes(s, st, a), attributes = listed + avi_data_attributes(s, a + listed);
        if (folder)
            status = avi_checkpoint_write(folder, s->comm, st->step,
                                          (int)avi_config_get_int(s->config, "checkpoint", "keep"), f, fields, a,
                                          attributes);
        else
            status = avi_store_write(s->comm, path, f, fields, a, attributes);
    }
    avi_file_order_destroy(&pull);
    free(shares);
    free(digests);
    free(scale);
    free(effective);
    free(columns);
    return status;
}

avi_status avi_checkpoint_state_save(const avi_session *s, const avi_state *st, avi_folder *folder)
{
    const avi_stopwatch watch = avi_console_start();
    const char *what;
    AVI_TRY(avi_state_nonfinite(s, st, &what));
    if (what) /* a run that went back to it could never leave it */
        return avi_fail(AVI_ERR_DIVERGED,
                        "step %" PRId64
                        ": %s are not finite, so that no checkpoint is written; the one before is kept. "
                        "Use a lower optim.learning_rate or optim.clip_norm",
                        st->step, what);
    AVI_TRY(save_state(s, st, folder, NULL));
    avi_console_written(s, st, "checkpoint", watch);
    return AVI_OK;
}

avi_status avi_checkpoint_state_dump(const avi_session *s, const avi_state *st, const avi_folder *folder, char *path,
                                     size_t size)
{
    avi_state before = *st;
    before.step -= st->skipped_in_a_row;
    before.skipped -= st->skipped_in_a_row;
    before.skipped_in_a_row = 0;
    snprintf(path, size, "%s/dump.h5", avi_folder_path(folder));
    return save_state(s, &before, NULL, path);
}

/* Refuses a checkpoint of another run, naming what differs. */
static avi_status check_identity(const avi_session *s, avi_store *store, const char *path)
{
    int64_t version;
    char *format = NULL, *effective = NULL;
    AVI_TRY(avi_store_attribute_text(store, "/", "format", &format));
    const bool ours = !strcmp(format, "avi_mpi checkpoint");
    free(format);
    if (!ours) return avi_fail(AVI_ERR_DATA, "%s: not a checkpoint of avi_mpi", path);
    AVI_TRY(avi_store_attribute_int(store, "/", "format_version", &version));
    if (version != IN_ORDER_OF_DATA && version != AS_HELD)
        return avi_fail(AVI_ERR_DATA, "%s: format version %" PRId64 ", this program reads %d", path, version, AS_HELD);
    AVI_TRY(avi_store_read_text(store, "/config", &effective));
    const avi_status status = avi_identity_check(s, path, effective);
    free(effective);
    AVI_TRY(status);
    return avi_check_data(path, s, store);
}

static avi_status restore_counters(avi_store *store, avi_state *st)
{
    AVI_TRY(avi_store_attribute_int(store, "/", "step", &st->step));
    AVI_TRY(avi_store_attribute_int(store, "/", "skipped", &st->skipped));
    AVI_TRY(avi_store_attribute_int(store, "/", "skipped_in_a_row", &st->skipped_in_a_row));
    AVI_TRY(avi_store_attribute_real(store, "/", "rate_factor", &st->rate_factor));
    AVI_TRY(avi_checkpoint_best_restore(store, st));
    return avi_store_attribute_real(store, "/", "seconds", &st->seconds);
}

/* What is read as slabs of the file to the owners; place: this rank's rows of the table. How the file's rows were
 * shuffled is read from the file: a run by name may have another seed. */
static avi_status place_rows(const avi_session *s, const avi_partition *of_file, void *slab, void *place)
{
    const avi_partition *p = &s->partition;
    avi_partition in_place = *of_file;
    in_place.shuffled = false;
    if (!of_file->shuffled) return avi_partition_to_owner(p, s->comm, row_bytes(s), slab, place);
    AVI_TRY(avi_partition_to_owner(&in_place, s->comm, row_bytes(s), slab, place));
    if (p->shuffled && p->seed == of_file->seed) return AVI_OK;
    AVI_TRY(avi_partition_to_given(of_file, s->comm, row_bytes(s), place, slab));
    return avi_partition_to_owner(p, s->comm, row_bytes(s), slab, place);
}

static avi_status partition_of_file(const avi_session *s, avi_store *store, avi_partition *p)
{
    int64_t version, seed = 0;
    AVI_TRY(avi_store_attribute_int(store, "/", "format_version", &version));
    if (version == AS_HELD) AVI_TRY(avi_store_attribute_int(store, "/", shuffle_seed, &seed));
    return avi_partition_make(s->partition.rows, s->partition.tile, s->partition.lanes, s->partition.ranks,
                              (uint64_t)seed, version == AS_HELD, p);
}

static avi_status restore_vector(const avi_session *s, avi_store *store, const vector *v)
{
    const avi_field f = vector_field(s, v, NULL);
    avi_partition of_file;
    if (!v->rows) return avi_store_read(store, v->path, f.type, f.rank, f.dims, false, v->values);
    AVI_TRY(partition_of_file(s, store, &of_file));
    void *slab = slab_of(s);
    avi_status status =
        avi_agree(s->comm, slab ? AVI_OK : avi_fail_memory((size_t)slab_rows(s) * row_bytes(s), "a checkpoint"));
    if (status == AVI_OK) status = avi_store_read(store, v->path, f.type, f.rank, f.dims, true, slab);
    if (status == AVI_OK) status = place_rows(s, &of_file, slab, v->values);
    free(slab);
    return status;
}

/* With another number of draws the gradient has other blocks, whose scales are those of their first step. */
static avi_status restore_scales(const avi_session *s, avi_store *store, const char *path, int scales)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    AVI_TRY(avi_store_shape(store, "/state/exact_scales", &type, &rank, dims));
    if (rank == 1 && dims[0] != scales && avi_identity_by_name(s)) return AVI_OK;
    double *scale = malloc((size_t)scales * sizeof *scale);
    AVI_TRY(avi_agree_memory(s->comm, scale, (size_t)scales * sizeof *scale, "scales"));
    avi_status status = avi_store_read(store, "/state/exact_scales", AVI_F64, 1, (int64_t[4]){scales}, false, scale);
    if (status == AVI_OK) status = avi_check_scales(path, scale, scales);
    if (status == AVI_OK) avi_estimator_set_scales(s->train_elbo, scale);
    free(scale);
    return status;
}

static avi_status restore_all(const avi_session *s, avi_state *st, avi_store *store, const char *path)
{
    vector v[2 * MAX_VECTORS];
    const int scales = avi_estimator_scales(s->train_elbo, NULL);
    AVI_TRY(check_identity(s, store, path));
    AVI_TRY(restore_counters(store, st));
    AVI_TRY(avi_check_counters(path, st));
    const int n = list_vectors(s, st, v);
    for (int i = 0; i < n; i++) AVI_TRY(restore_vector(s, store, &v[i]));
    AVI_TRY(restore_features(s, store, path));
    if (st->lbfgs.history) {
        int64_t pairs;
        AVI_TRY(avi_store_attribute_int(store, "/", "lbfgs_pairs", &pairs));
        AVI_TRY(avi_store_read(store, "/state/lbfgs", AVI_F64, 2, (int64_t[4]){2 * st->lbfgs.memory, st->lbfgs.n},
                               false, st->lbfgs.history));
        if (pairs < 0 || pairs > st->lbfgs.memory)
            return avi_fail(AVI_ERR_DATA, "%s: %" PRId64 " pairs of L-BFGS in a memory of %d", path, pairs,
                            st->lbfgs.memory);
        st->lbfgs.pairs = (int)pairs;
    }
    AVI_TRY(avi_check_state(path, s, st));
    AVI_TRY(avi_checkpoint_restore_trace(s, store, path, st));
    AVI_TRY(avi_checkpoint_restore_bins(s, store, path, st));
    return scales ? restore_scales(s, store, path, scales) : AVI_OK;
}

avi_status avi_restore_results(const avi_session *s, avi_state *st, const char *path)
{
    AVI_TRY(avi_agree(s->comm, avi_best_allocate(s, st)));
    AVI_TRY(avi_restore(s, st, path));
    avi_best_take(s, st);
    return AVI_OK;
}

avi_status avi_restore(const avi_session *s, avi_state *st, const char *path)
{
    avi_store *store = NULL;
    AVI_TRY(avi_store_open(s->comm, path, &store));
    avi_status status = avi_agree(s->comm, restore_all(s, st, store, path));
    avi_store_close(&store);
    return status;
}
