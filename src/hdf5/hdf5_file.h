/* Rows in an HDF5 file, opened for reading by one process: what the file claims is compared with what it has. For the
 * source, and for the child that looks at a file before the source opens it (hdf5_probe.h). None of these functions is
 * collective. */
#ifndef AVI_HDF5_HDF5_FILE_H
#define AVI_HDF5_HDF5_FILE_H

#include "avi/data.h"

#include <hdf5.h>

enum { AVI_HDF5_DIMENSIONS = H5S_MAX_RANK };

/* Deflate makes at most 1032 bytes of one. */
enum { AVI_HDF5_DEFLATE_MOST = 1032 };

/* What a person wrote; borrowed. The keys are for messages. */
typedef struct avi_hdf5_request {
    const char *path_key, *path, *dataset_key, *dataset;
    const char *columns;   /* data.columns: names or numbers, separated by commas; "": all */
    const char *transpose; /* data.transpose: auto | yes | no */
    const char *rows;      /* data.rows or data.test_rows: as many are looked at, "0": all */
    const char *group;     /* data.group: the key column of a long table; "": none */
} avi_hdf5_request;

/* How stored numbers become values: value = stored * scale + offset, and NaN where stored is one of `missing`. */
typedef struct avi_hdf5_packing {
    bool packed;
    double scale, offset, missing[2]; /* missing: NaN, where none is named */
} avi_hdf5_packing;

/* A dataset. A row is what one index of the first dimension has (transposed: of the last one). */
typedef struct avi_hdf5 {
    hid_t file, dataset, space, type; /* type: of an element in memory */
    bool type_made;                   /* the type is this object's to close */
    avi_dtype dtype;                  /* of a value in memory; compound elements hold several */
    size_t element;                   /* bytes of an element in memory */
    bool integers;                    /* stored as integers */
    int dimensions;
    hsize_t dimension[AVI_HDF5_DIMENSIONS];
    hsize_t chunk[AVI_HDF5_DIMENSIONS]; /* chunk[0] = 0: not chunked */
    bool transposed;
    int64_t fields;           /* numbers of an element: 1, or those of a compound or an array */
    int64_t elements;         /* of a row, before columns are picked */
    int64_t rows, width;      /* width: values of a row, once columns are picked */
    int64_t *pick;            /* (width) where in the stored row each value is; NULL: in order */
    int64_t pick_first, span; /* tables: the stored columns [pick_first, pick_first + span) that are read */
    char **name;              /* (width) names of the columns, NULL: they have none; owned */
    unsigned char *room;      /* rows as they are stored, before they are put in order; owned */
    size_t room_bytes;
    avi_hdf5_packing packing;
    char *path; /* owned */
} avi_hdf5;

/* To be closed with avi_hdf5_close, also after a failure. Errors: NOINPUT; DATA (not HDF5, no such dataset, a type or
 * shape that cannot be read, more claimed than is stored). */
avi_status avi_hdf5_open(avi_hdf5 *x, const avi_hdf5_request *a);
/* Rows [first, first + count) into out (count, width) of x->dtype. Errors: DATA, INTERNAL. */
avi_status avi_hdf5_read(avi_hdf5 *x, int64_t first, int64_t count, void *out);
void avi_hdf5_close(avi_hdf5 *x);

/* ---- parts, for each other ---- */
/* hdf5_file.c: the file, open for reading. */
avi_status avi_hdf5_open_file(const avi_hdf5_request *a, hid_t *file);
/* hdf5_type.c: type, dtype, element and, of compound elements, fields and names. Errors: DATA. */
avi_status avi_hdf5_find_type(avi_hdf5 *x, const avi_hdf5_request *a);
bool avi_hdf5_is_number(hid_t type); /* hdf5_fields.c */
/* hdf5_fields.c: of compound elements those fields that data.columns names, in that order; of arrays all numbers. Sets
 * type, dtype, element, fields and name. Errors: DATA, INTERNAL. */
avi_status avi_hdf5_choose_fields(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored);
avi_status avi_hdf5_take_array(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored);
/* hdf5_listing.c: refuses a request that leads to `object`, which is no dataset (H5I_INVALID_HID: to nothing), naming
 * what is there. Errors: DATA. */
avi_status avi_hdf5_fail_dataset(hid_t file, hid_t object, const avi_hdf5_request *a);
/* hdf5_packed.c: what attributes say of how numbers are stored; makes values double where they say anything. */
void avi_hdf5_find_packing(avi_hdf5 *x);
void avi_hdf5_unpack(const avi_hdf5 *x, int64_t values, double *out);
/* "stored value * 0.01 + 273.15, -32767 is missing"; "" where nothing is packed. */
void avi_hdf5_describe_packing(const avi_hdf5 *x, char *text, size_t size);
/* hdf5_unwritten.c: the first row of the first chunk that nobody wrote. False, when there is none, and for datasets
 * without chunks. The cost is that of the chunks before it. */
bool avi_hdf5_first_unwritten(const avi_hdf5 *x, unsigned long long *row);
/* HDF5 would give the fill value for data that are not there. Returns DATA. */
avi_status avi_hdf5_fail_unwritten(const avi_hdf5 *x, unsigned long long row);
/* hdf5_words.c: the next word of a list that is separated by commas, in double quotes where it has a comma itself;
 * longer ones are cut. False: there is none. */
bool avi_hdf5_next_word(const char **text, char *word, size_t size);
/* hdf5_columns.c: names of the columns of a table, and what data.columns picks. Errors: DATA, INTERNAL. */
avi_status avi_hdf5_find_columns(avi_hdf5 *x, const avi_hdf5_request *a);
/* The strings of a dataset or an attribute, when there are n of them; else NULL. Owner: caller, avi_hdf5_free_names. */
char **avi_hdf5_strings(hid_t object, bool is_attribute, int64_t n);
void avi_hdf5_free_names(char ***name, int64_t n);
char **avi_hdf5_attribute_names(hid_t object, const char *attribute, int64_t n);
/* Strings [first, first + count) of a dataset of one dimension; as above. */
char **avi_hdf5_some_strings(hid_t set, int64_t first, int64_t count);
/* Whether a dataset has the name of a matrix of AnnData: X or layers/NAME, also in a group (raw, or a part of MuData).
 */
bool avi_hdf5_is_anndata(const char *dataset);
/* The names that AnnData keeps beside its matrices: of the columns ("var") or the rows ("obs"). As above; and the
 * dataset that has them, < 0: there is none. */
char **avi_hdf5_anndata_names(hid_t file, const char *dataset, const char *group, int64_t n);
hid_t avi_hdf5_anndata_index(hid_t file, const char *dataset, const char *group);
/* The dimension scale of dimension i that has n strings, < 0: there is none. Owner: caller, H5Dclose. */
hid_t avi_hdf5_scale(const avi_hdf5 *x, int i, int64_t n);
/* hdf5_rows.c: the dataset whose strings name the rows, < 0: they have no names. Owner: caller, H5Dclose. */
hid_t avi_hdf5_row_names(const avi_hdf5 *x, const char *dataset);
/* Names of rows [first, first + count), each to be freed. Errors: DATA. */
avi_status avi_hdf5_read_names(hid_t set, const char *path, int64_t first, int64_t count, char **name);
/* Reads the names of the first `rows` rows and drops them: whether they can be read. set < 0: nothing. */
avi_status avi_hdf5_check_names(hid_t set, const char *path, int64_t rows);
/* Which of the columns `text` picks: numbers from 0 ("3", "5..9") or names. *pick is NULL for "": all. Errors: DATA.
 * Owner of *pick: caller, free(). */
avi_status avi_hdf5_parse_columns(const char *where, const char *text, int64_t columns, char *const *name,
                                  int64_t **pick, int64_t *picked);

/* ---- hdf5_sparse.c: a matrix in compressed sparse rows (AnnData's X and layers; 10x Genomics' matrix) ---- */
typedef struct avi_hdf5_sparse {
    avi_hdf5 data, indices, indptr;
    int64_t rows, columns, width; /* columns: of the matrix; width: of those that are picked */
    int64_t *place;               /* (columns) where a column goes in a row, -1: nowhere; NULL: in order */
    char **name;                  /* (width) or NULL */
    double *pointer, *index, *value;
    int64_t pointer_most, value_most; /* room */
} avi_hdf5_sparse;
/* *is_sparse: whether the request names such a group. Errors: NOINPUT, DATA (a group of another kind: what to do). */
avi_status avi_hdf5_sparse_ask(const avi_hdf5_request *a, bool *is_sparse);
/* As the functions of a dataset; values come as double. */
avi_status avi_hdf5_sparse_open(avi_hdf5_sparse *x, const avi_hdf5_request *a);
avi_status avi_hdf5_sparse_read(avi_hdf5_sparse *x, int64_t first, int64_t count, double *out);
void avi_hdf5_sparse_close(avi_hdf5_sparse *x);
/* As avi_hdf5_row_names. */
hid_t avi_hdf5_sparse_row_names(const avi_hdf5_sparse *x, const char *dataset);

#endif
