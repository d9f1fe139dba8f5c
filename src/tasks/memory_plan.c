#include "tasks/memory_plan.h"

#include "avi/store.h"
#include "closed_form/optimum.h"

#include <stdio.h>
#include <string.h>

/* A line of /proc/self/status, in bytes. */
static double status_line(const char *name)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), ": %lf", &kilobytes) == 1) break;
    fclose(file);
    return 1024 * kilobytes;
}

double avi_memory_now(void) { return status_line("VmRSS"); }

double avi_memory_most(void) { return status_line("VmHWM"); }

static double longest_slab(const avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    return (double)((s->partition.rows + ranks - 1) / ranks);
}

/* A piece of rows on their way to a file: the rows as written, and what avi_file_order holds for them. */
static double piece(const avi_session *s, double row_bytes, double columns, double column_bytes, double others)
{
    const double most = (double)avi_row_producer_piece((int64_t)row_bytes), longest = longest_slab(s),
                 rows = most < longest ? most : longest, packed = columns * column_bytes;
    double each = row_bytes + others;
    if (s->partition.shuffled) each += 8 + (avi_comm_size(s->comm) > 1 ? 2 * 8 + packed + 8 + packed : 0);
    return rows * each;
}

static bool writes_local(const avi_session *s)
{
    const char *local = avi_config_get_string(s->config, "output", "local");
    return strcmp(local, "no") && (s->infer->ops->local || !strcmp(local, "yes"));
}

static double results(const avi_session *s)
{
    const double real = (double)avi_real_size(s->precision), width = (double)s->infer->outputs,
                 dims = (double)s->model->latent;
    const bool table = s->infer->ops->local;
    double bytes = s->problem.global_gaussian ? (double)s->layout.theta * real : 0; /* standard deviations */
    if (!writes_local(s)) return bytes;
    if (!table) bytes += (double)s->train->count * width * sizeof(double);
    return bytes + piece(s, 2 * dims * real, 1, width * (table ? real : sizeof(double)), 2 * width * 8 + 2 * dims * 8);
}

static double checkpoint(const avi_session *s)
{
    if (!s->infer->ops->local) return 0;
    const double row = (double)s->infer->outputs * (double)avi_real_size(s->precision),
                 columns = 1 + s->optim.ops->slots;
    return piece(s, columns * row, columns, row, 0);
}

double avi_memory_writing(const avi_session *s)
{
    const double a = checkpoint(s), b = results(s);
    return a > b ? a : b;
}

avi_status avi_memory_of_fit(const avi_session *s, double *bytes)
{
    const double written = avi_memory_now() + avi_memory_writing(s), most = avi_memory_most();
    *bytes = most > written ? most : written;
    return avi_comm_max_double(s->comm, bytes, 1);
}

avi_status avi_memory_of_exact(const avi_session *s, double now, double *bytes)
{
    const double libraries = 7e6; /* what BLAS and HDF5 take at their first call */
    *bytes = now + libraries + (double)avi_optimum_bytes(s);
    if (avi_memory_most() > *bytes) *bytes = avi_memory_most();
    return avi_comm_max_double(s->comm, bytes, 1);
}
