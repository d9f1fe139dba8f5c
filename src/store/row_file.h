/* A file of rows that is written a block at a time, and resumed where a run was killed. It grows under the name
 * NAME.part, with all of its space reserved from the start; NAME.part.done, replaced whole after each block, says how
 * far it is. A file that is complete has every checksum that other stores have, and takes its name in one rename. */
#ifndef AVI_STORE_ROW_FILE_H
#define AVI_STORE_ROW_FILE_H

#include "avi/store.h"

typedef struct avi_row_file avi_row_file;

/* Collective. fields: those that are `distributed` have rows, dims[0] all alike (numbered over several dimensions where
 * avi_field.leading says so), and no data; the others are written here. identity: all that the rows are made from, as a
 * text: a file that was begun with another one is begun anew. *done: rows that are there already. Borrows fields and
 * folder. Owner: caller, avi_row_file_close. Errors: CANTCREATE, IO (full disk: the space is reserved before the first
 * row is made), INTERNAL. */
avi_status avi_row_file_open(avi_folder *folder, avi_comm *comm, const char *name, const avi_field *fields, int count,
                             const avi_attribute *attributes, int attribute_count, const char *identity,
                             avi_row_file **file, int64_t *done);
/* Not collective. Rows [first, first + count) of a field, of which no other rank writes any. Errors: IO. */
avi_status avi_row_file_put(avi_row_file *file, int field, int64_t first, int64_t count, const void *rows);
/* Collective. All rows before `done` are written: they are on the disk when this returns. status: of this rank, so that
 * all agree here. Errors: that of any rank; IO. */
avi_status avi_row_file_commit(avi_row_file *file, int64_t done, avi_status status);
/* Collective. The file is complete: read back, and given its name. Errors: IO. */
avi_status avi_row_file_finish(avi_row_file *file);
/* What is not complete stays under its name for the next run. */
void avi_row_file_close(avi_row_file **file);

#endif
