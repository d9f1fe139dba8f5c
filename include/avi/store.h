/* Files that cannot be half-written: HDF5 files whose datasets are known before the first byte is written.
 *
 * Recipe (the default MPI-IO of Open MPI loses data silently on a full disk): rank 0 alone creates a temporary file
 * beside the target with all metadata and contiguous, early-allocated, unfilled datasets, reserves the space
 * (posix_fallocate: a real error on a full disk), writes the small fields and broadcasts the outcome; all ranks write
 * their slabs; the ranks verify sizes and checksums by reading back, rank 0 fsyncs, renames over the target, fsyncs the
 * folder. A kill at any moment leaves the old file whole.
 *
 * Large arrays need not lie in memory as they lie in the file: a supply makes them piece by piece while the pieces
 * before go to the disk. */
#ifndef AVI_STORE_H
#define AVI_STORE_H

#include "avi/comm.h"
#include "avi/data.h"

#include <stdint.h>

/* One attribute: text when `text` is not NULL, else integers or a real. */
typedef struct avi_attribute {
    const char *group; /* "/" or "/provenance": where it hangs */
    const char *name;
    const char *text; /* or NULL */
    bool is_real;
    double real;
    int64_t integer;
} avi_attribute;

/* Where rows of distributed fields come from that no rank holds as its slab. */
typedef struct avi_row_producer {
    /* Collective. Rows [first, first + count) of the datasets, a part of this rank's slab, into out[i] for the i-th
     * field of this supply. 0 <= count <= avi_row_producer_piece() may differ between ranks. Every rank is asked as
     * often. Errors: the same on all ranks. */
    avi_status (*rows)(void *self, int64_t first, int64_t count, void *const *out);
    void *self;
} avi_row_producer;
enum { AVI_SUPPLY_FIELDS = 8 /* with one supply */ };
/* Rows that a supply is asked for at a time when a row of all its fields has row_bytes bytes: 8 MiB, at most
 * 131072 rows, at least one. Not collective. */
int64_t avi_row_producer_piece(int64_t row_bytes);

/* One dataset. */
typedef struct avi_field {
    const char *path;               /* "/local/mean"; groups are made as needed */
    avi_dtype type;                 /* in memory = in the file (little-endian) ; ignored for text */
    const char *text;               /* a scalar UTF-8 string dataset when not NULL; data, dims unused */
    int64_t text_bytes;             /* > 0: rank 1, each value is a UTF-8 text of so many bytes, ended or filled up with
                                       zeros; type is ignored */
    int rank;                       /* 0 (scalar) .. 4 */
    int64_t dims[4];                /* of the whole dataset */
    int leading;                    /* > 1: rows are numbered over so many dimensions together: what a rank writes of a
                                       (chain, draw, row, ...) dataset are whole rows of 3 of them; else over the first */
    const char *const *names;       /* rank 1, in place of data: dims[0] UTF-8 texts of any length, as netCDF and R have
                                       names. Rank 0's copy alone is used: HDF5 keeps them with the metadata, which are
                                       written before the data; no checksum is kept of them. type is ignored */
    const void *data;               /* rank 0's copy, or this rank's slab when distributed */
    const avi_row_producer *supply; /* of distributed fields, in place of data; fields of one supply stand next to each
                                       other and have equally many rows */
    bool distributed;               /* by slabs of dims[0]: rank r holds rows avi_slab_first(dims[0], P, r) .. */
    const char *description, *units, *axes; /* attributes; axes = "row, dimension"; NULL: "" */
} avi_field;

/* Collective. Writes `path` as told above, replacing it at the end. Every dataset gets attributes description, units,
 * axes and checksum (64-bit FNV-1a/xor scheme over rows, independent of the number of ranks, stored as a 16-digit hex
 * string). Ranks may pass different `data`, everything else must be equal on all. Errors: CANTCREATE, IO (names the
 * file, the bytes needed and those free). The target is untouched on failure and the temporary file removed. */
avi_status avi_store_write(avi_comm *comm, const char *path, const avi_field *fields, int count,
                           const avi_attribute *attributes, int attribute_count);

/* Collective. The same for results, which people open elsewhere: every axis has a dimension scale of its name, in the
 * group of the dataset, attached to it, as xarray and netCDF want it; axes of equal name and size in a group share one.
 * A dataset of one dimension called like its axis ("/trace/step" with axes "step") is the scale and holds the
 * coordinates. Axis names become letters, digits and underscores; where a group has one twice with different sizes,
 * the later gets its size added ("output_10"), and attribute axes says so. */
avi_status avi_store_write_results(avi_comm *comm, const char *path, const avi_field *fields, int count,
                                   const avi_attribute *attributes, int attribute_count);

/* Reading back. */
typedef struct avi_store avi_store;

/* Collective. Errors: NOINPUT, DATA (not HDF5, damaged). Owner: caller, avi_store_close. */
avi_status avi_store_open(avi_comm *comm, const char *path, avi_store **store);
void avi_store_close(avi_store **store);
/* Collective. Whether all datasets of the file have the bytes of their checksums, which rank 0 reads. Errors: NOINPUT,
 * DATA, IO. */
avi_status avi_store_check(avi_comm *comm, const char *path);
/* Collective. Shape of a dataset; DATA with a message when it is not there. */
avi_status avi_store_shape(avi_store *store, const char *dataset, avi_dtype *type, int *rank, int64_t dims[4]);
/* Collective. Whole dataset on every rank, or this rank's slab of rows when `distributed`; the checksum is verified
 * either way. Type and dims as in the field, which must match the file. Errors: DATA. */
avi_status avi_store_read(avi_store *store, const char *dataset, avi_dtype type, int rank, const int64_t dims[4],
                          bool distributed, void *out);
/* Collective. Owner: caller, free(). Text dataset or attribute ("/group" + name). */
avi_status avi_store_read_text(avi_store *store, const char *dataset, char **text);
avi_status avi_store_attribute_text(avi_store *store, const char *group, const char *name, char **text);
avi_status avi_store_attribute_int(avi_store *store, const char *group, const char *name, int64_t *value);
avi_status avi_store_attribute_real(avi_store *store, const char *group, const char *name, double *value);

/* Collective. Whole names of all groups and datasets, one a line; those of groups end with "/". Dimension scales
 * without values, and those with names are left out: they follow from others. Owner: caller, free(). Errors: DATA,
 * INTERNAL. */
avi_status avi_store_list(avi_store *store, char **names);
/* Collective. Attributes of a group or dataset that are a number or a text; `group` of each is NULL. Owner: caller,
 * free(): names and texts are in the same memory. Errors: DATA, INTERNAL. */
avi_status avi_store_attributes(avi_store *store, const char *object, avi_attribute **list, int *count);

/* Version of the HDF5 library: "1.10.8". Owned by the library. Not collective. */
const char *avi_store_library(void);

/* ---- the output folder ---- */
typedef struct avi_folder avi_folder;

/* Collective. Makes the folder (with parents) and takes its lock: a file `lock` that names host, process and start
 * time, held by fcntl and checked for staleness (same host and no such process). Errors: CANTCREATE (cannot make, not
 * writable, or in use: message names the other's host, process and time), IO (full disk). Owner: caller. */
avi_status avi_folder_open(avi_comm *comm, const char *path, avi_folder **folder);
/* Collective. Releases the lock. */
void avi_folder_close(avi_folder **folder);
const char *avi_folder_path(const avi_folder *folder);

/* Collective. Writes a small text file atomically from rank 0 (temporary, fsync, rename). Errors: IO, CANTCREATE. */
avi_status avi_folder_write_text(avi_folder *folder, avi_comm *comm, const char *name, const char *text);
/* Collective. Whole text of a small file in the folder on every rank; *text = NULL when there is no such file. Owner:
 * caller. */
avi_status avi_folder_read_text(avi_folder *folder, avi_comm *comm, const char *name, char **text);

/* A run that is begun afresh where there are results already writes to FOLDER/fresh, and takes their place when its own
 * are complete: a crash in between loses nothing. */
enum {
    AVI_HOLDS_RESULTS = 1, /* run.h5 or checkpoints */
    AVI_HOLDS_FRESH = 2    /* a checkpoint of such a run, or the word that one is to begin (avi_folder_ask_afresh) */
};
/* Collective. What the folder holds, after a replacement that was cut short has been finished. Errors: IO. */
avi_status avi_folder_look(avi_folder *folder, avi_comm *comm, int *holds);
/* Collective. The same of a folder that is neither opened nor changed; it need not be there. */
avi_status avi_folder_peek(const char *path, avi_comm *comm, int *holds);
/* Not collective. Leaves word that the results in the folder are to be replaced by a run that begins afresh, for a
 * command that does not say so: where a sweep that was to fit all of its runs again stops before it comes to this one.
 * Errors: IO, CANTCREATE. */
avi_status avi_folder_ask_afresh(const char *path);
/* Collective. FOLDER/fresh, made and locked; anew: what an earlier run left there is removed. Owner: caller,
 * avi_folder_close or avi_folder_replace. */
avi_status avi_folder_fresh(avi_folder *folder, avi_comm *comm, bool anew, avi_folder **fresh);
/* Collective. The results in *fresh are complete: they replace those of the folder, run.h5 first and in one rename.
 * Closes *fresh. */
avi_status avi_folder_replace(avi_folder *folder, avi_comm *comm, avi_folder **fresh);

#define AVI_STEP_MAX INT64_C(999999999) /* that a checkpoint can be of */

/* Checkpoints: checkpoint/step_%09d.h5 and checkpoint/latest. Collective.
 * write: stores, then names it in `latest`, then removes all but the last `keep`.
 * find: the newest complete one whose every checksum holds; damaged ones are passed over with a warning that names
 * them. *path = NULL when there are no checkpoints. Errors: DATA when all are damaged; NOINPUT, IO when one cannot be
 * read, since it may be whole and newer than the others. */
avi_status avi_checkpoint_write(avi_folder *folder, avi_comm *comm, int64_t step, int keep, const avi_field *fields,
                                int count, const avi_attribute *attributes, int attribute_count);
avi_status avi_checkpoint_find(avi_folder *folder, avi_comm *comm, char **path);
/* Collective. The same of a folder that this run does not write to, which is neither locked nor changed. A run that
 * goes on there may remove the checkpoint before it is opened: NOINPUT then, and a newer one is there. */
avi_status avi_checkpoint_newest(avi_comm *comm, const char *folder, char **path);
/* Collective. The steps of the checkpoints of such a folder, in ascending order, and whether each of those files is
 * whole: DATA, with what is damaged, where one is not. Owner of *steps: caller. Errors: IO, INTERNAL; NOINPUT where a
 * run that goes on there removed one. */
avi_status avi_checkpoint_list(avi_comm *comm, const char *folder, int64_t **steps, int *count);
/* Collective. Removes all checkpoints (a fresh start). */
avi_status avi_checkpoint_clear(avi_folder *folder, avi_comm *comm);

/* metrics.csv, rank 0 only; the others get no-ops. */
typedef struct avi_metrics avi_metrics;
/* Collective. Begins the file anew with its header, for lines that are appended: a run that goes on writes those of its
 * trace again. */
avi_status avi_metrics_open(avi_folder *folder, avi_comm *comm, const char *header, avi_metrics **metrics);
/* Not collective. One flushed line (without its end). Errors: IO. */
avi_status avi_metrics_line(avi_metrics *metrics, const char *line);
void avi_metrics_close(avi_metrics **metrics);

#endif
