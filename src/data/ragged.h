/* Ragged data: a row has any number of entries of shape.width values. A source says before how many entries each row
 * begins and reads entries; here entries find their way to the owners of their rows. Private to the data floor. */
#ifndef AVI_DATA_RAGGED_H
#define AVI_DATA_RAGGED_H

#include "data/redistribute.h"
#include "avi/data.h"

/* How the entries of all rows move from who reads them to who owns them. */
typedef struct avi_ragged_route {
    int64_t *readers, *owners;  /* (ranks + 1): layouts of entries, in given order and in order of position; owned */
    int64_t *start;             /* shuffled: (rows of the slab) first entry, in order of position, of each; owned */
    int64_t slab;               /* given row that the slab of this rank begins with */
    const int64_t *first_entry; /* of the source, borrowed */
    int64_t rows;               /* of the data */
} avi_ragged_route;

/* Not collective. Fills d->entry and d->entries for own rows. Errors: INTERNAL (memory). */
avi_status avi_ragged_count(avi_data *d, const avi_source *source);
/* Collective. Errors: INTERNAL (memory). To be freed also when it fails. */
avi_status avi_ragged_route_make(const avi_data *d, const avi_source *source, avi_comm *comm, avi_ragged_route *route);
void avi_ragged_route_free(avi_ragged_route *route);
/* For avi_redistribution.numbers, the context is a route: given entries -> entries in order of position. */
void avi_ragged_numbers(const void *route, int64_t first, int64_t count, int64_t *out);

/* Entries of a given row of a source, 1 of dense ones; of its largest row. Not collective. */
int64_t avi_source_entries(const avi_source *source, int64_t given);
int64_t avi_source_largest_row(const avi_source *source);
/* What the numbers of entries of a rank's slab of rows add to a checksum. */
uint64_t avi_ragged_hash(const int64_t *first_entry, int64_t rows, int ranks, int rank);
/* The last row of `rows` that begins at or before entry e: the row that has it. */
int64_t avi_ragged_row(const int64_t *first_entry, int64_t rows, int64_t e);
/* The given number of the stored entry e, counted from the first that this rank holds. */
int64_t avi_ragged_given_entry(const avi_data *d, const avi_source *source, int64_t e);

#endif
