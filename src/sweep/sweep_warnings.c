#include "sweep/sweep_warnings.h"
#include "base/warnings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 4096 /* of kinds, by their hash */ };

void avi_sweep_warnings_begin(int64_t run)
{
    char name[32];
    snprintf(name, sizeof name, "run %03" PRId64, run);
    avi_warnings_of(name);
}

void avi_sweep_warnings_end(void) { avi_warnings_of(NULL); }

avi_status avi_sweep_warnings_count(avi_comm *comm)
{
    const int64_t turn = avi_comm_size(comm) - avi_comm_rank(comm); /* the lowest rank has the largest, and speaks */
    const avi_warning_kind *kind;
    const int kinds = avi_warnings_kinds(&kind);
    int64_t *runs = calloc(2 * SLOTS, sizeof *runs), *first = runs ? runs + SLOTS : NULL;
    AVI_TRY(avi_agree(comm, runs ? AVI_OK : avi_fail_memory(2 * SLOTS * sizeof *runs, "the warnings of a sweep")));
    for (int i = 0; i < kinds; i++) {
        runs[kind[i].kind % SLOTS] += kind[i].runs;
        first[kind[i].kind % SLOTS] = turn;
    }
    avi_status status = avi_comm_sum_int64(comm, runs, SLOTS);
    if (status == AVI_OK) status = avi_comm_max_int64(comm, first, SLOTS);
    for (int i = 0; status == AVI_OK && i < kinds; i++) {
        const int64_t others = runs[kind[i].kind % SLOTS] - 1;
        if (first[kind[i].kind % SLOTS] == turn && others > 0)
            avi_warn("%s: %s; and in %" PRId64 " other run%s", kind[i].name, kind[i].text, others,
                     others == 1 ? "" : "s");
    }
    free(runs);
    return status;
}
