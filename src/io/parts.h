/* Parts of a lengthy task: rows that are done, kept in FOLDER/parts until the task's results are written, so that a run
 * that is killed in between does not do them again. A part is a file NAME_000000.h5, NAME_000001.h5, ..., whole or not
 * there. Rows are known by their position, so that any number of ranks resumes from them. */
#ifndef AVI_IO_PARTS_H
#define AVI_IO_PARTS_H

#include "avi/store.h"

/* Rows of a part: position (rows), values (rows, columns). Not collective. */
typedef void (*avi_parts_take)(void *self, int64_t rows, const int64_t *position, const double *values);

/* Collective. Gives all rows of all parts to `take`, on every rank, a part at a time. identity: a text that says what
 * they were made from; parts of another identity are removed, and one that is damaged ends the reading. *next: the
 * number of the part to write next. Errors: IO, INTERNAL. */
avi_status avi_parts_read(avi_folder *folder, avi_comm *comm, const char *name, const char *identity, int64_t columns,
                          avi_parts_take take, void *self, int64_t *next);
/* Collective. Writes a part from the rows that each rank has (any number); rank 0 holds all of them for a moment.
 * Errors: as avi_store_write. */
avi_status avi_parts_write(avi_folder *folder, avi_comm *comm, const char *name, const char *identity, int64_t number,
                           int64_t rows, int64_t columns, const int64_t *position, const double *values);
/* Removes all parts of a name, by rank 0; what cannot be removed stays. Not collective. */
void avi_parts_remove(const avi_folder *folder, const avi_comm *comm, const char *name);

#endif
