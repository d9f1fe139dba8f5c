/* What --dry-run foresees: the peak of memory and the time of a run. Whatever depends on the number of rows comes from
 * counts, or from a trial with few rows scaled to all; the rest is what this process has measured of itself. */
#ifndef AVI_PLAN_PLAN_H
#define AVI_PLAN_PLAN_H

#include "state/state.h"

enum { AVI_PLAN_PARTS = 12 };

typedef struct avi_plan {
    avi_comm *comm;                               /* borrowed */
    const avi_session *s;                         /* NULL of a task that has none */
    double peak;                                  /* bytes of this rank, so far */
    double seconds_per_row, last_seconds_per_row; /* of an evaluation in the fit, and of the one at its end */
    struct {
        const char *what;
        double seconds;
    } part[AVI_PLAN_PARTS];
    int parts;
} avi_plan;

/* Resident bytes of this process, now and at the most so far; 0 where the system does not say. Not collective. */
double avi_memory_now(void);
double avi_memory_most(void);

/* Seconds of this rank's own processor: what the clock would say on a machine that has nothing else to do. The clock of
 * a busy one says how busy it is. Not collective. */
double avi_plan_clock(void);
/* Adds seconds to a part of the run ("steps"), which is one with the part of that name before. Not collective. */
void avi_plan_add(avi_plan *p, const char *what, double seconds);
/* The peak is at least what this process has had so far, with the rows that were left out. Not collective. */
void avi_plan_keep_peak(avi_plan *p);
/* The peak is at least what this process has now, with the rows that were left out and `more` bytes. Not collective. */
void avi_plan_hold(avi_plan *p, double more);

/* Collective. A checkpoint written, by how many times, and results written once: bytes and seconds. */
void avi_plan_checkpoints(avi_plan *p, int64_t times);
void avi_plan_results(avi_plan *p);
/* Not collective. Seconds that a file of so many bytes takes, in the order that ranks have them; and one that is
 * written a batch of rows at a time. */
double avi_plan_file_seconds(const avi_comm *comm, double bytes);
double avi_plan_row_file_seconds(const avi_comm *comm, double bytes);
/* What the first use of HDF5 takes of a process, whatever is in the file. */
enum { AVI_PLAN_FIRST_FILE = 2500000 }; /* bytes */
/* Collective. Takes the global parameters of the newest checkpoint of run.output, where there is one and it has as
 * many: how long a task takes may depend on them. Whether it fits otherwise is not asked, and nothing is locked or
 * written. */
void avi_plan_take_parameters(avi_session *s, avi_state *st);
/* Collective. A checkpoint read. */
void avi_plan_restore(avi_plan *p);
double avi_plan_checkpoint_bytes(const avi_session *s);

/* Collective. Tries the evaluation at the end (last), or one in the fit, with few rows: seconds for a row of both data
 * sets. */
avi_status avi_plan_try_evaluation(avi_session *s, avi_state *st, bool last, double *seconds_per_row);
int64_t avi_plan_least(int64_t a, int64_t b);
/* Rows of both data sets that an evaluation with that limit takes (0: all). Not collective. */
int64_t avi_plan_evaluated_rows(const avi_session *s, int64_t limit);
/* Collective. Of evaluations of a factorized run on up to `limit` test rows (0: all), so many times: the fit of their
 * factors, from that of a few. Nothing where there is none. */
avi_status avi_plan_add_test_factors(avi_session *s, const avi_state *st, avi_plan *p, int64_t limit, double times);

/* Collective. Time and memory of all ranks, on rank 0's screen. */
avi_status avi_plan_print(avi_plan *p);

#endif
