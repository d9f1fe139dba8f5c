/* What a run with reproducible sums keeps of every line of its trace, so that its steps can be done again and compared
 * bit for bit: digests of the summed gradient, block by block, and of what made the step.
 *
 * A digest is a sum over values, modulo 2^64, of a hash of each value and its place. So every rank hashes a part of
 * them, keeps its own sum, and the sums of the ranks are added up when a file is written: steps have no more
 * reductions for it, and the digest does not depend on the number of ranks. Where one bit of the values differs, the
 * digest differs. */
#ifndef AVI_STATE_DIGEST_H
#define AVI_STATE_DIGEST_H

#include "session/session.h"

/* Quantities on a line: the settings in force, the program, a checksum of the line's other digests, the gradient of the
 * local factors of the step's rows, and then a column for each block of the gradient of the variational parameters. */
enum { AVI_DIGEST_SETTINGS, AVI_DIGEST_PROGRAM, AVI_DIGEST_LINE, AVI_DIGEST_LOCAL, AVI_DIGEST_BLOCKS };

typedef struct avi_digests {
    int columns;    /* 0: the run keeps none */
    char **name;    /* (columns), owned */
    int64_t *first; /* (columns + 1): where blocks begin in the gradient, from AVI_DIGEST_BLOCKS on */
    int64_t lines, capacity;
    uint64_t *value;            /* (lines, columns): this rank's parts; all 0 on a line that has no digests */
    uint64_t settings, program; /* of this configuration, and of this program on this processor */
} avi_digests;

struct avi_state;

/* Not collective. None where the sums of the run are not reproducible. Owner: caller, avi_digests_free, also when it
 * fails. Errors: INTERNAL. */
avi_status avi_digests_create(const avi_session *s, avi_digests *d);
void avi_digests_free(avi_digests *d);
/* Appends the line of the step that st has just done; job: its rows on this rank. Not collective. Errors: INTERNAL. */
avi_status avi_digests_add(const avi_session *s, struct avi_state *st, const avi_row_ranges *job);
/* The column `settings` of steps whose learning rate has this factor. Not collective. */
uint64_t avi_digests_settings(const avi_digests *d, double rate_factor);
/* The checksum of a line (columns). Not collective. */
uint64_t avi_digests_line(const avi_digests *d, const int64_t *line);
/* The same hash of any values. Not collective. */
uint64_t avi_digest_of(const void *values, size_t bytes);
/* Collective. The digests of all lines, (lines, columns), the same on all ranks. Errors: INTERNAL. */
avi_status avi_digests_sum(const avi_session *s, const avi_digests *d, int64_t *sum);
/* Lines in the place of those that are there, from such a table; NULL: lines without digests. Every rank must call it
 * with the same. Not collective. Errors: INTERNAL. */
avi_status avi_digests_restore(const avi_session *s, avi_digests *d, int64_t lines, const int64_t *sum);

#endif
