#include "io/parts.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PARTS = 1000000, PATH = 4096 };

static bool path_of(const avi_folder *folder, const char *name, int64_t number, char path[PATH])
{
    const int n = snprintf(path, PATH, "%s/parts/%s_%06lld.h5", avi_folder_path(folder), name, (long long)number);
    return n > 0 && n < PATH;
}

void avi_parts_remove(const avi_folder *folder, const avi_comm *comm, const char *name)
{
    char path[PATH];
    if (avi_comm_rank(comm) != 0) return;
    /* From the last one on: what a kill leaves is a beginning without gaps. */
    int64_t count = 0;
    while (count < MOST_PARTS && path_of(folder, name, count, path) && access(path, F_OK) == 0) count++;
    while (count > 0)
        if (path_of(folder, name, --count, path)) unlink(path);
    if (snprintf(path, PATH, "%s/parts", avi_folder_path(folder)) < PATH) rmdir(path); /* where it is empty */
}

/* Collective. Whether there is a part of this number. */
static avi_status exists(avi_comm *comm, const char *path, bool *there)
{
    *there = avi_comm_rank(comm) == 0 && access(path, F_OK) == 0;
    return avi_comm_bcast(comm, there, sizeof *there, 0);
}

typedef struct part {
    int64_t rows;
    int64_t *position;
    double *values;
} part;

static void free_part(part *p)
{
    free(p->position);
    free(p->values);
    *p = (part){0};
}

/* Collective. *same: it is of this identity. Errors: DATA for one that is damaged. */
static avi_status read_part(avi_comm *comm, const char *path, const char *identity, int64_t columns, part *p,
                            bool *same)
{
    avi_store *store = NULL;
    char *text = NULL;
    avi_dtype type;
    int rank;
    int64_t dims[4];
    *p = (part){0};
    AVI_TRY(avi_store_open(comm, path, &store));
    avi_status status = avi_store_attribute_text(store, "/", "identity", &text);
    *same = status == AVI_OK && !strcmp(text, identity);
    free(text);
    if (status == AVI_OK && *same) status = avi_store_shape(store, "/values", &type, &rank, dims);
    if (status == AVI_OK && *same && (type != AVI_F64 || rank != 2 || dims[1] != columns || dims[0] < 1))
        status = avi_fail(AVI_ERR_DATA, "%s: not the shape of a part", path);
    if (status == AVI_OK && *same) {
        p->rows = dims[0];
        p->position = malloc((size_t)p->rows * sizeof *p->position);
        p->values = malloc((size_t)(p->rows * columns) * sizeof *p->values);
        status = avi_agree(comm, p->position && p->values
                                     ? AVI_OK
                                     : avi_fail_memory((size_t)(p->rows * columns) * sizeof *p->values, "a part"));
        if (status == AVI_OK) status = avi_store_read(store, "/position", AVI_I64, 1, dims, false, p->position);
        if (status == AVI_OK) status = avi_store_read(store, "/values", AVI_F64, 2, dims, false, p->values);
    }
    avi_store_close(&store);
    return status;
}

avi_status avi_parts_read(avi_folder *folder, avi_comm *comm, const char *name, const char *identity, int64_t columns,
                          avi_parts_take take, void *self, int64_t *next)
{
    char path[PATH];
    for (*next = 0; *next < MOST_PARTS; ++*next) {
        bool there, same = false;
        part p;
        if (!path_of(folder, name, *next, path)) return AVI_OK;
        AVI_TRY(exists(comm, path, &there));
        if (!there) return AVI_OK;
        const avi_status status = read_part(comm, path, identity, columns, &p, &same);
        if (status == AVI_OK && same) take(self, p.rows, p.position, p.values);
        free_part(&p);
        if (status == AVI_ERR_DATA) { /* written over by the next one */
            avi_error_clear();
            return AVI_OK;
        }
        AVI_TRY(status);
        if (same) continue;
        avi_parts_remove(folder, comm, name);
        *next = 0;
        return AVI_OK;
    }
    return AVI_OK;
}

/* ---- writing ---- */

typedef struct gathering {
    int ranks;
    int64_t *rows; /* (ranks): of each rank */
    int64_t *send, *send_at, *receive, *receive_at;
    int64_t all; /* rows, on rank 0 */
} gathering;

static void free_gathering(gathering *g) { free(g->rows); /* one piece of memory */ }

static avi_status prepare(avi_comm *comm, int64_t rows, gathering *g)
{
    const int ranks = avi_comm_size(comm);
    *g = (gathering){.ranks = ranks, .rows = calloc(5 * (size_t)ranks, sizeof *g->rows)};
    AVI_TRY(avi_agree(comm, g->rows ? AVI_OK : avi_fail_memory(5 * (size_t)ranks * sizeof *g->rows, "a part")));
    g->send = g->rows + ranks;
    g->send_at = g->send + ranks;
    g->receive = g->send_at + ranks;
    g->receive_at = g->receive + ranks;
    AVI_TRY(avi_comm_allgather(comm, &rows, sizeof rows, g->rows));
    for (int r = 0; r < ranks; r++) g->all += g->rows[r];
    return AVI_OK;
}

/* Collective. Own rows of row_bytes bytes of each rank to rank 0, one rank's behind the other's. */
static avi_status gather(avi_comm *comm, gathering *g, int64_t row_bytes, const void *own, void *out)
{
    const bool root = avi_comm_rank(comm) == 0;
    int64_t at = 0;
    g->send[0] = g->rows[avi_comm_rank(comm)] * row_bytes;
    for (int r = 0; r < g->ranks; r++) {
        g->receive[r] = root ? g->rows[r] * row_bytes : 0;
        g->receive_at[r] = at;
        at += g->receive[r];
    }
    return avi_comm_exchange(comm, own, g->send, g->send_at, out, g->receive, g->receive_at);
}

static avi_status write_rows(avi_comm *comm, const char *path, const char *identity, int64_t columns, gathering *g,
                             const int64_t *position, const double *values)
{
    const bool root = avi_comm_rank(comm) == 0;
    const size_t rows = root ? (size_t)g->all : 0;
    int64_t *at = malloc(rows * sizeof *at + 1);
    double *all = malloc(rows * (size_t)columns * sizeof *all + 1);
    avi_status status =
        avi_agree(comm, at && all ? AVI_OK : avi_fail_memory(rows * (size_t)columns * sizeof *all, "a part"));
    if (status == AVI_OK) status = gather(comm, g, sizeof *position, position, at);
    if (status == AVI_OK) status = gather(comm, g, columns * (int64_t)sizeof *values, values, all);
    const avi_field field[] = {{.path = "/position",
                                .type = AVI_I64,
                                .rank = 1,
                                .dims = {g->all},
                                .data = at,
                                .description = "positions of the rows that are done",
                                .units = "",
                                .axes = "row"},
                               {.path = "/values",
                                .type = AVI_F64,
                                .rank = 2,
                                .dims = {g->all, columns},
                                .data = all,
                                .description = "what the task has made of them",
                                .units = "",
                                .axes = "row, column"}};
    const avi_attribute attribute = {.group = "/", .name = "identity", .text = identity};
    if (status == AVI_OK) status = avi_store_write(comm, path, field, 2, &attribute, 1);
    free(at);
    free(all);
    return status;
}

avi_status avi_parts_write(avi_folder *folder, avi_comm *comm, const char *name, const char *identity, int64_t number,
                           int64_t rows, int64_t columns, const int64_t *position, const double *values)
{
    char path[PATH], inside[PATH];
    gathering g;
    if (!path_of(folder, name, number, path) ||
        snprintf(inside, sizeof inside, "%s/parts", avi_folder_path(folder)) >= PATH)
        return avi_fail(AVI_ERR_CANTCREATE, "%s: the name is too long", avi_folder_path(folder));
    AVI_TRY(avi_agree(comm, avi_folder_check(folder)));
    AVI_TRY(avi_agree(comm, avi_comm_rank(comm) == 0 ? avi_file_make_folder(inside) : AVI_OK));
    avi_status status = prepare(comm, rows, &g);
    if (status == AVI_OK && g.all > 0) status = write_rows(comm, path, identity, columns, &g, position, values);
    free_gathering(&g);
    return status;
}
