#include "output/run_file_digest.h"

#include <inttypes.h>
#include <string.h>

/* Names of the quantities as an array of texts of `bytes` bytes each. */
static char *names_of(const avi_digests *d, avi_fields *l, int64_t *bytes)
{
    *bytes = 1;
    for (int c = 0; c < d->columns; c++)
        if ((int64_t)strlen(d->name[c]) + 1 > *bytes) *bytes = (int64_t)strlen(d->name[c]) + 1;
    char *text = avi_fields_memory(l, (size_t)(*bytes * d->columns));
    if (!text) return NULL;
    memset(text, 0, (size_t)(*bytes * d->columns));
    for (int c = 0; c < d->columns; c++) memcpy(text + c * *bytes, d->name[c], strlen(d->name[c]));
    return text;
}

static avi_status add_fields(const avi_state *st, avi_fields *l, const int64_t *sum, const double *step)
{
    const avi_digests *d = &st->digests;
    int64_t bytes;
    const char *names = names_of(d, l, &bytes);
    if (!names) return avi_fail_memory(1, "results");
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/digest/step",
                                          .type = AVI_F64,
                                          .rank = 1,
                                          .dims = {d->lines},
                                          .data = step,
                                          .description = "steps done, as in /trace",
                                          .units = "steps",
                                          .axes = "step"}));
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/digest/quantity",
                                          .text_bytes = bytes,
                                          .rank = 1,
                                          .dims = {d->columns},
                                          .data = names,
                                          .description =
                                              "what a digest is of: settings, program, the line, then the gradient "
                                              "of local factors, and of each block of parameters",
                                          .units = "",
                                          .axes = "quantity"}));
    return avi_fields_add(l, (avi_field){.path = "/digest/digest",
                                         .type = AVI_I64,
                                         .rank = 2,
                                         .dims = {d->lines, d->columns},
                                         .data = sum,
                                         .description = "64-bit digests of the summed gradient at the steps of /trace, "
                                                        "the same on any number of ranks: avi_mpi --verify computes "
                                                        "them again; 0 where a step has none",
                                         .units = "",
                                         .axes = "step, quantity"});
}

avi_status avi_run_file_digests(const avi_session *s, const avi_state *st, avi_fields *l)
{
    const avi_digests *d = &st->digests;
    if (!d->columns) return AVI_OK;
    int64_t *sum = avi_fields_memory(l, (size_t)(d->lines * d->columns + 1) * sizeof *sum);
    double *step = avi_fields_memory(l, (size_t)(d->lines + 1) * sizeof *step);
    const uint64_t data = s->train->checksum ? s->train->checksum : s->train->origin;
    const char *text = avi_fields_text(l, "%016" PRIx64, data);
    AVI_TRY(avi_agree(s->comm, sum && step && text ? AVI_OK : avi_fail_memory(1, "results")));
    AVI_TRY(avi_digests_sum(s, d, sum));
    for (int64_t r = 0; r < d->lines; r++) step[r] = st->trace.value[r * (st->trace.columns + st->trace.extra)];
    avi_status status = add_fields(st, l, sum, step);
    if (status == AVI_OK)
        status = avi_fields_attribute(l, (avi_attribute){.group = "/digest", .name = "data", .text = text});
    return avi_agree(s->comm, status);
}
