#include "gap/progress.h"
#include "session/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a, by words of 8 bytes. */
static uint64_t hash(uint64_t h, const void *values, size_t bytes)
{
    const unsigned char *at = values;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, bytes - i < 8 ? bytes - i : 8);
        h = (h ^ word) * UINT64_C(0x100000001b3);
        h ^= h >> 32;
    }
    return h;
}

/* Collective. The fit that the rows are of: its parameters and, of a factorized run, the factors of all rows, whoever
 * owns them. */
static avi_status hash_fit(const avi_fixed_theta *f, const avi_data *data, const void *table, uint64_t *out)
{
    const avi_session *s = f->s;
    const size_t real = avi_real_size(s->precision), row = (size_t)f->family->width * real;
    int64_t sum = 0;
    *out =
        hash(UINT64_C(0xcbf29ce484222325), f->params_function, (size_t)(s->layout.theta + s->infer->phi.size) * real);
    for (int64_t r = 0; table && r < data->count; r++)
        sum += (int64_t)hash((uint64_t)(data->first + r), (const char *)table + (size_t)(r + 1) * row, row);
    AVI_TRY(avi_comm_sum_int64(s->comm, &sum, 1));
    *out ^= (uint64_t)sum;
    return AVI_OK;
}

static void take(void *self, int64_t rows, const int64_t *position, const double *values)
{
    avi_gap_progress *p = self;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t r = position[i] - p->data->first;
        if (r < 0 || r >= p->data->count) continue;
        memcpy(p->owned + r * p->columns, values + i * p->columns, (size_t)p->columns * sizeof *values);
        p->found += !p->done[r];
        p->done[r] = true;
    }
}

/* Collective. How many rows were found, on the screen. */
static avi_status report(const avi_fixed_theta *f, const avi_gap_progress *p)
{
    int64_t found = p->found;
    AVI_TRY(avi_comm_sum_int64(p->comm, &found, 1));
    if (found && avi_comm_rank(p->comm) == 0 && f->s->options->verbosity > 0) {
        printf("  gap          resumed: %" PRId64 " of %" PRId64 " rows (%s) were done before\n", found,
               p->data->partition.rows, p->name);
        fflush(stdout);
    }
    return AVI_OK;
}

avi_status avi_gap_progress_open(const avi_fixed_theta *f, const avi_data *data, const void *table, avi_folder *folder,
                                 double every, const char *name, const char *settings, int64_t columns, double *owned,
                                 avi_gap_progress *p)
{
    const avi_session *s = f->s;
    uint64_t fit;
    *p = (avi_gap_progress){.folder = folder,
                            .comm = s->comm,
                            .every = every,
                            .last = avi_seconds(),
                            .data = data,
                            .columns = columns,
                            .owned = owned,
                            .done = calloc((size_t)data->count + 1, sizeof *p->done),
                            .waiting = malloc((size_t)(data->count + 1) * sizeof *p->waiting)};
    AVI_TRY(avi_agree(s->comm, p->done && p->waiting
                                   ? AVI_OK
                                   : avi_fail_memory((size_t)data->count * sizeof *p->waiting, "the gap ledger")));
    snprintf(p->name, sizeof p->name, "gap_%s", name);
    if (!folder) return AVI_OK;
    AVI_TRY(hash_fit(f, data, table, &fit));
    snprintf(p->identity, sizeof p->identity,
             "%s; fit %016" PRIx64 "; data %016" PRIx64 " %016" PRIx64 "; seed %" PRIu64 "; rows %" PRId64
             "; program %s; %s",
             p->name, fit, data->checksum, data->origin, s->seed, data->partition.rows, avi_version_of().revision,
             settings);
    AVI_TRY(avi_parts_read(folder, s->comm, p->name, p->identity, columns, take, p, &p->next));
    return report(f, p);
}

static avi_status write(avi_gap_progress *p)
{
    const int64_t n = p->waiting_count, columns = p->columns;
    double *values = malloc((size_t)(n * columns + 1) * sizeof *values);
    AVI_TRY(avi_agree_memory(p->comm, values, (size_t)(n * columns) * sizeof *values, "the gap ledger"));
    for (int64_t i = 0; i < n; i++)
        memcpy(values + i * columns, p->owned + (p->waiting[i] - p->data->first) * columns,
               (size_t)columns * sizeof *values);
    const avi_status status =
        avi_parts_write(p->folder, p->comm, p->name, p->identity, p->next, n, columns, p->waiting, values);
    free(values);
    AVI_TRY(status);
    p->next++;
    p->waiting_count = 0;
    p->last = avi_seconds();
    return AVI_OK;
}

avi_status avi_gap_progress_add(avi_gap_progress *p, int64_t first, int64_t rows)
{
    bool due = avi_seconds() - p->last >= p->every;
    for (int64_t r = 0; r < rows; r++) p->waiting[p->waiting_count++] = first + r;
    if (!p->folder) return AVI_OK;
    AVI_TRY(avi_comm_bcast(p->comm, &due, sizeof due, 0)); /* clocks differ */
    return due ? write(p) : AVI_OK;
}

void avi_gap_progress_free(avi_gap_progress *p)
{
    free(p->done);
    free(p->waiting);
    *p = (avi_gap_progress){0};
}
