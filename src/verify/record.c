#include "verify/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static avi_status allocate(const avi_session *s, const avi_digests *d, int64_t lines, avi_record *r)
{
    const size_t trace = (size_t)(lines * AVI_TRACE_COLUMNS + 1) * sizeof *r->trace,
                 digest = (size_t)(lines * d->columns + 1) * sizeof *r->digest;
    r->lines = lines;
    r->trace = malloc(trace);
    r->digest = calloc(1, digest);
    return avi_agree(s->comm, r->trace && r->digest ? AVI_OK : avi_fail_memory(trace + digest, "the trace of a run"));
}

/* The shape of a dataset, which must be that of a table of a checkpoint, or of a column of a run.h5. */
static avi_status shape_of(avi_store *store, const char *path, const char *dataset, avi_dtype type, int rank,
                           int64_t dims[4])
{
    avi_dtype there;
    int found;
    AVI_TRY(avi_store_shape(store, dataset, &there, &found, dims));
    if (there == type && found == rank) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: %s has another shape than a run gives it", path, dataset);
}

static avi_status read_table(const avi_session *s, const avi_digests *d, avi_store *store, const char *path,
                             avi_record *r)
{
    int64_t dims[4];
    AVI_TRY(shape_of(store, path, "/trace", AVI_F64, 2, dims));
    AVI_TRY(allocate(s, d, dims[0], r));
    if (dims[0] > 0 && dims[1] < AVI_TRACE_COLUMNS)
        return avi_fail(AVI_ERR_DATA, "%s: /trace has %" PRId64 " columns, at least %d are expected", path, dims[1],
                        (int)AVI_TRACE_COLUMNS);
    double *all = malloc((size_t)(dims[0] * dims[1] + 1) * sizeof *all);
    AVI_TRY(avi_agree_memory(s->comm, all, (size_t)(dims[0] * dims[1]) * sizeof *all, "the trace of a run"));
    const avi_status status = avi_store_read(store, "/trace", AVI_F64, 2, dims, false, all);
    for (int64_t l = 0; status == AVI_OK && l < dims[0]; l++)
        memcpy(r->trace + l * AVI_TRACE_COLUMNS, all + l * dims[1], AVI_TRACE_COLUMNS * sizeof *all);
    free(all);
    return status;
}

static avi_status read_columns(const avi_session *s, const avi_digests *d, avi_store *store, const char *path,
                               avi_record *r)
{
    int64_t dims[4], lines;
    AVI_TRY(shape_of(store, path, "/trace/step", AVI_F64, 1, dims));
    lines = dims[0];
    AVI_TRY(allocate(s, d, lines, r));
    double *column = malloc((size_t)(lines + 1) * sizeof *column);
    AVI_TRY(avi_agree_memory(s->comm, column, (size_t)lines * sizeof *column, "the trace of a run"));
    avi_status status = AVI_OK;
    for (int c = 0; status == AVI_OK && c < AVI_TRACE_COLUMNS; c++) {
        char dataset[64];
        snprintf(dataset, sizeof dataset, "/trace/%s", avi_trace_columns[c].name);
        status = avi_store_read(store, dataset, AVI_F64, 1, (int64_t[4]){lines}, false, column);
        for (int64_t l = 0; status == AVI_OK && l < lines; l++) r->trace[l * AVI_TRACE_COLUMNS + c] = column[l];
    }
    if (status == AVI_OK)
        status = avi_store_read(store, "/digest/step", AVI_F64, 1, (int64_t[4]){lines}, false, column);
    for (int64_t l = 0; status == AVI_OK && l < lines; l++)
        if (column[l] != r->trace[l * AVI_TRACE_COLUMNS])
            status = avi_fail(AVI_ERR_DIFFERS,
                              "%s: line %" PRId64 " of /digest/step is of step %g, that of /trace of "
                              "step %g: one of them was changed",
                              path, l, column[l], r->trace[l * AVI_TRACE_COLUMNS]);
    free(column);
    return status;
}

/* A dataset that is not there is no failure: older versions wrote none. */
static bool has(avi_store *store, const char *dataset)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    const bool there = avi_store_shape(store, dataset, &type, &rank, dims) == AVI_OK;
    avi_error_clear();
    return there;
}

/* A line whose checksum is wrong was changed in the file; one whose checksum is right but whose digests differ is of
 * steps with other bits. A line of zeros is one without digests. */
static avi_status check_lines(const avi_digests *d, const avi_record *r)
{
    for (int64_t l = 0; l < r->lines; l++) {
        const int64_t *line = r->digest + l * d->columns;
        const uint64_t sum = avi_digests_line(d, line), stored = (uint64_t)line[AVI_DIGEST_LINE];
        bool none = true;
        for (int c = 0; c < d->columns; c++) none = none && line[c] == 0;
        if (none || sum == stored) continue;
        return avi_fail(
            AVI_ERR_DIFFERS,
            "%s: step %.0f: the line of digests is not the one that was written (its checksum is %016" PRIx64
            ", %016" PRIx64 " is stored)",
            r->name, r->trace[l * AVI_TRACE_COLUMNS], sum, stored);
    }
    return AVI_OK;
}

static avi_status read_all(const avi_session *s, const avi_digests *d, avi_store *store, const char *path, bool results,
                           avi_record *r)
{
    const char *digests = results ? "/digest/digest" : "/digests";
    const bool there = has(store, digests);
    if (results && !there)
        return avi_fail(AVI_ERR_DATA, "%s: has no digests: an older version wrote it; use a run of this version", path);
    AVI_TRY(results ? read_columns(s, d, store, path, r) : read_table(s, d, store, path, r));
    if (!there) return AVI_OK;
    AVI_TRY(avi_store_read(store, digests, AVI_I64, 2, (int64_t[4]){r->lines, d->columns}, false, r->digest));
    return check_lines(d, r);
}

avi_status avi_record_read(const avi_session *s, const avi_digests *d, const char *path, bool results, avi_record *r)
{
    avi_store *store = NULL;
    const char *slash = strrchr(path, '/');
    *r = (avi_record){0};
    snprintf(r->name, sizeof r->name, "%s", slash ? slash + 1 : path);
    AVI_TRY(avi_store_open(s->comm, path, &store));
    const avi_status status = avi_agree(s->comm, read_all(s, d, store, path, results, r));
    avi_store_close(&store);
    return status;
}

void avi_record_free(avi_record *r)
{
    free(r->trace);
    free(r->digest);
    *r = (avi_record){0};
}

int64_t avi_record_line(const avi_record *r, int64_t step)
{
    int64_t low = 0, high = r->lines;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (r->trace[middle * AVI_TRACE_COLUMNS] < (double)step)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->lines && r->trace[low * AVI_TRACE_COLUMNS] == (double)step ? low : -1;
}
