/* Groups of entries in an HDF5 file: a long table whose rows say by a key column which group they belong to, or entries
 * in compressed rows (indptr, data). None of these functions is collective. */
#ifndef AVI_HDF5_HDF5_GROUPS_H
#define AVI_HDF5_HDF5_GROUPS_H

#include "hdf5/hdf5_file.h"

typedef struct avi_hdf5_groups {
    bool by_key;
    avi_hdf5 table;       /* the entries, without the key column */
    avi_hdf5 index;       /* the key column, or indptr */
    int64_t rows;         /* groups, in order of their first entries */
    int64_t *first_entry; /* (rows + 1): entries before each group; owned */
    int64_t *order;       /* (entries): the stored row of each entry; NULL: groups lie one after the other; owned */
    double *key;          /* (rows): of each group of a long table; NULL: compressed rows; owned */
    struct avi_hdf5_place *place; /* of a piece that is read out of order; owned */
    unsigned char *room;
    int64_t room_rows;
} avi_hdf5_groups;

/* *is_groups: whether data.group names a key column, or the dataset is a group of indptr and data. Errors: NOINPUT,
 * DATA. */
avi_status avi_hdf5_groups_ask(const avi_hdf5_request *a, bool *is_groups);
/* Opens table and index. To be closed also after a failure. Errors: NOINPUT, DATA, INTERNAL. */
avi_status avi_hdf5_groups_open(avi_hdf5_groups *x, const avi_hdf5_request *a);
/* Reads the index: fills rows, first_entry and order. Errors: DATA (a key that is no number, starts out of order). */
avi_status avi_hdf5_groups_index(avi_hdf5_groups *x, const avi_hdf5_request *a);
/* Entries [first, first + count) into out (count, width) of the table's type. Errors: DATA, INTERNAL. */
avi_status avi_hdf5_groups_read(avi_hdf5_groups *x, int64_t first, int64_t count, void *out);
/* Groups of a long table: the keys of groups [first, first + count) as text, each to be freed. Errors: INTERNAL. */
avi_status avi_hdf5_groups_names(const avi_hdf5_groups *x, int64_t first, int64_t count, char **name);
void avi_hdf5_groups_close(avi_hdf5_groups *x);

#endif
