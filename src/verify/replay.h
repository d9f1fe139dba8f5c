/* The steps of a run done again, and compared with what its files say of them, bit for bit. */
#ifndef AVI_VERIFY_REPLAY_H
#define AVI_VERIFY_REPLAY_H

#include "verify/record.h"

typedef struct avi_replay {
    const avi_session *s;
    avi_state *st;
    const avi_record *record; /* (records) */
    int records;
    const char *folder;
    const int64_t *checkpoint; /* (checkpoints): steps, ascending */
    int checkpoints;
    int64_t first, last; /* steps that are compared */
    /* out */
    int64_t lines, states; /* logged steps and checkpoints with the same bits */
    int64_t others;        /* of these lines, those of another program or another processor */
} avi_replay;

/* Collective. From the state in v->st, which is at a step before v->first. Errors: DIFFERS, with the step, the file and
 * the quantities that differ first; DATA, INTERNAL. */
avi_status avi_replay_run(avi_replay *v);

#endif
