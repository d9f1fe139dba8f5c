/* Inside the io floor: the row checksum, checked POSIX calls and the HDF5 reader that avi/store.h is made of. */
#ifndef AVI_STORE_STORE_INTERNAL_H
#define AVI_STORE_STORE_INTERNAL_H

#include "avi/store.h"

#include <hdf5.h>
#include <stdint.h>

/* Largest single read or write: Linux cuts a call at 2 GiB - 4 KiB. */
#define AVI_IO_PIECE ((int64_t)1 << 30)

/* ---- checksum.c: a sum over rows, so it does not depend on how rows are split over ranks ----
 *
 * Row r (counted in the whole dataset) is its bytes, filled up with zeros to 8-byte little-endian words w. With 64-bit
 * wrap-around: h = 0xcbf29ce484222325 ^ ((r + 1) * 0x9e3779b97f4a7c15);  each w: h = (h ^ w) * 0x100000001b3, h ^= h >>
 * 32 h = (h ^ (h >> 29)) * 0xd6e8feb86659fd93, h ^= h >> 32;   checksum = sum of h over rows Every step is a bijection
 * of h, so a change within one row is always seen. A scalar or a text is one row. */
uint64_t avi_checksum_begin(int64_t row);
/* `bytes` must be a multiple of 8 in all pieces of a row but the last. */
uint64_t avi_checksum_add(uint64_t h, const void *piece, int64_t bytes);
uint64_t avi_checksum_end(uint64_t h);
/* Rows first .. first + count - 1 of row_bytes bytes each; 0 when there are no bytes. Not collective. */
uint64_t avi_checksum_rows(const void *rows, int64_t first, int64_t count, int64_t row_bytes);
/* Collective. sums[i] becomes its sum over ranks modulo 2^64. */
avi_status avi_checksum_allreduce(avi_comm *comm, uint64_t *sums, size_t n);

/* ---- file.c: POSIX calls with messages. None is collective. ---- */
/* "<path>: <what>: <strerror>"; on a full disk with the bytes needed (when > 0) and free. CANTCREATE or IO, by errno.
 */
avi_status avi_file_fail(const char *path, const char *what, int error, int64_t needed);
avi_status avi_file_write_at(int fd, const char *path, const void *data, int64_t bytes, int64_t offset);
/* Errors: IO, DATA (the file ends before). */
avi_status avi_file_read_at(int fd, const char *path, void *out, int64_t bytes, int64_t offset);
/* Space for `bytes` bytes from the start of the file, really there. */
avi_status avi_file_reserve(int fd, const char *path, int64_t bytes);
/* fsync of the folder that holds `path`, so that a rename or an unlink in it is on disk. */
avi_status avi_file_sync_folder(const char *path);
/* mkdir -p. */
avi_status avi_file_make_folder(const char *path);
/* Temporary file, fsync, rename, fsync of the folder. */
avi_status avi_file_replace(const char *path, const char *data, size_t bytes);
/* Makes a new file and opens it with `flags` (O_RDWR, O_WRONLY); what was there under the name is removed, and no link
 * is followed. Owner of *fd: caller. Errors: CANTCREATE, IO. */
avi_status avi_file_create(const char *path, int flags, int *fd);
/* bytes: of the file, for the message. */
avi_status avi_file_sync(int fd, const char *path, int64_t bytes);
/* Returns `status`, or, when that is AVI_OK, how the closing went. */
avi_status avi_file_close(int fd, const char *path, int64_t bytes, avi_status status);
avi_status avi_file_rename(const char *from, const char *to, int64_t bytes);
/* Opens an existing regular file, without waiting for the other end of a pipe: -1 with errno, which is ENOENT where
 * there is none and EINVAL where it is something else. */
int avi_file_open_regular(const char *path, int flags);
/* "<folder>/<name><suffix>"; owner: caller. NULL with the failure recorded when there is no memory. */
char *avi_file_join(const char *folder, const char *name, const char *suffix);

/* ---- h5.c ---- */
/* HDF5 prints every error by itself, and a complaint at the end of a process that has met a damaged file: what there is
 * to say goes through avi_fail. Before the first HDF5 call; stays. */
void avi_h5_silence(void);
/* "<path>: <what> (<innermost HDF5 message>)"; call it before any other HDF5 call. */
avi_status avi_h5_fail(avi_status status, const char *path, const char *what, const char *name);
/* A file of ours that HDF5 looks into: `fd` is the caller's, who opens and closes it. */
typedef struct avi_h5_file {
    int fd;
    hid_t id;  /* HDF5's handle, < 0 when not open */
    int error; /* errno of the first write that failed; HDF5 is not told */
} avi_h5_file;
/* h5_driver.c. at->fd is open; `at` must stay where it is until avi_h5_close. < 0: failed, the reason is HDF5's. */
hid_t avi_h5_open(avi_h5_file *at, const char *path, bool writes);
/* Errors: IO or CANTCREATE when some write since avi_h5_open failed. bytes: of the file, for the message. */
avi_status avi_h5_close(avi_h5_file *at, const char *path, int64_t bytes);
/* File access by one process, no flock (some cluster file systems have none; files are replaced, never changed). < 0:
 * failed. */
hid_t avi_h5_access(void);
hid_t avi_h5_file_type(avi_dtype type);
/* A text of `bytes` bytes, ended or filled up with zeros; to be closed. < 0: failed. */
hid_t avi_h5_text_type(size_t bytes);
/* A text as an attribute; NULL: "". < 0: failed. */
herr_t avi_h5_put_text(hid_t object, const char *name, const char *text);
/* A scalar attribute. < 0: failed. */
herr_t avi_h5_put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value);
const char *avi_h5_type_name(avi_dtype type);

/* ---- store_inspect.c: what the metadata say, checked against the size of the file. Rank 0 only. ---- */
typedef struct avi_store_item {
    bool is_text;
    avi_dtype type;
    int rank;
    int64_t dims[4];
    int64_t rows, row_bytes; /* rows = dims[0], or 1; rows * row_bytes bytes from `offset`, all inside the file */
    int64_t offset;
    uint64_t checksum; /* as the file says */
} avi_store_item;

/* Errors: DATA (not there, not a plain contiguous dataset of a known type, beyond the end of the file, no checksum). */
avi_status avi_store_inspect(hid_t file, int64_t file_bytes, const char *path, const char *dataset,
                             avi_store_item *item);
/* Text attribute of an open object; owner: caller. Errors: DATA. */
avi_status avi_store_text_attribute(hid_t object, int64_t file_bytes, const char *path, const char *where,
                                    const char *name, char **text);
/* Opens `path` and checks every dataset's bytes against its checksum. Not collective. Errors: NOINPUT, DATA, IO. */
avi_status avi_store_verify(const char *path);
/* Checksum of rows first .. first + count - 1 of a dataset whose row 0 lies at `offset`, in little memory. */
avi_status avi_store_sum_file(int fd, const char *path, int64_t offset, int64_t first, int64_t count, int64_t row_bytes,
                              uint64_t *sum);
/* Not collective: opens both the descriptor and HDF5's handle, for reading; and closes them. */
avi_status avi_store_open_file(const char *path, avi_h5_file *file, int64_t *file_bytes);
void avi_store_close_file(avi_h5_file *file);
/* NOINPUT where there is no such file, or none that may be read; else IO. */
avi_status avi_store_fail_open(const char *path, int error);

/* ---- store_create.c and store_producer.c ---- */
typedef struct avi_store_plan {
    const char *path;
    char *temporary; /* owned by the writer */
    const avi_field *fields;
    int count;
    const avi_attribute *attributes;
    int attribute_count;
    bool scaled;      /* axes have dimension scales, links and attributes have an order: results, not checkpoints */
    bool supplied;    /* some field is: its sum is known only when it is written */
    uint64_t *sums;   /* (count) */
    int64_t *offsets; /* (count) of the bytes in the file */
    int64_t file_bytes;
} avi_store_plan;

/* Bytes and rows of a field as it lies in the file (a scalar and a text are one row). */
int64_t avi_field_rows(const avi_field *field);
int64_t avi_field_row_bytes(const avi_field *field);
/* Makes plan->temporary whole but for the data, with its space reserved; fills offsets and file_bytes. Rank 0 only. */
avi_status avi_store_create(avi_store_plan *plan);
/* Opens plan->temporary, which rank 0 has made. Owner of *fd: caller. Not collective. Errors: CANTCREATE, IO. */
avi_status avi_store_open_shared(const avi_store_plan *plan, avi_comm *comm, int flags, int *fd);
/* Writes the sums over those that the file was made with. Rank 0 only. */
avi_status avi_store_put_sums(const avi_store_plan *plan);
/* Collective. This rank's slab of the fields [at, at + n) of one supply, and its share of their sums. local: this
 * rank's status so far; when it is not AVI_OK, rows are still asked for, because others wait for this rank's part in
 * them. *status becomes this rank's. Returns what the supply returns. */
avi_status avi_store_write_supplied(avi_store_plan *plan, avi_comm *comm, int fd, int at, int n, avi_status *status);

/* ---- store_scales.c: rank 0 only ---- */
typedef struct avi_store_scales avi_store_scales;
#define AVI_STORE_SCALE "DIMENSION_SCALE"
/* The scales of all axes of a plan; borrows the plan. Owner: caller, avi_store_scales_destroy, also when it fails.
 * Errors: INTERNAL. */
avi_status avi_store_scales_create(const avi_store_plan *plan, avi_store_scales **scales);
void avi_store_scales_destroy(avi_store_scales **scales);
/* Names of the scales of a field: "row, dimension"; "" of a scalar. */
const char *avi_store_scales_axes(const avi_store_scales *scales, int field);
/* Makes the scales and attaches them to the datasets, which are in the file. Errors: IO. */
avi_status avi_store_scales_put(const avi_store_scales *scales, hid_t file);
/* At least what they take in the file. */
int64_t avi_store_scales_bytes(const avi_store_plan *plan);
/* Whether an object is a scale without values or one that has names: they follow from the axes of others and from the
 * data, and no writer keeps them. */
bool avi_store_is_scale(hid_t file, const char *path);

/* ---- lock.c: rank 0 only ---- */
/* Errors: CANTCREATE (in use, not writable), IO (full disk). *fd stays open for the life of the lock. */
avi_status avi_lock_take(const char *folder, const char *path, int *fd);
void avi_lock_release(const char *path, int fd);
/* CANTCREATE when the lock file is no longer the one that was taken: somebody removed the folder, or others use it. */
avi_status avi_lock_check(const char *folder, const char *path, int fd);

/* ---- folder.c ---- */
/* Not collective. avi_lock_check on rank 0, AVI_OK elsewhere. */
avi_status avi_folder_check(const avi_folder *folder);

/* ---- store_list.c ---- */
/* Rank 0's part of avi_store_list. Owner of *text: caller, also when it fails. */
avi_status avi_store_list_local(hid_t file, const char *path, char **text);
/* Rank 0's part of avi_store_attributes: the attributes as bytes. Owner of *packed: caller, also when it fails. */
avi_status avi_store_pack_attributes(hid_t file, const char *path, const char *name, char **packed, size_t *bytes);
/* How many attributes the bytes have; into `list` where it is not NULL. Texts lie in the bytes. */
int avi_store_unpack(const char *packed, size_t bytes, avi_attribute *list);

#endif
