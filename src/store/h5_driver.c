/* How HDF5 reads and writes our files: by a driver of our own on a descriptor that we have opened and that we close.
 *
 * Of a write or a close that fails, HDF5 (1.10 to 1.14) keeps the file open inside itself, and crashes at the end of
 * the process when it tries once more, in MPI_Finalize. So the driver tells it that all went well, writes nothing more,
 * and keeps the errno for avi_h5_close. Reads fail as they do: HDF5 can live with that. */
#include "store/store_internal.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)AVI_IO_PIECE)

typedef struct driver_file {
    H5FD_t base; /* first: HDF5's */
    avi_h5_file *at;
    haddr_t eoa, eof; /* end of what is allocated, of what is there */
} driver_file;

/* Of the library as long as it lives. */
static hid_t driver_id = -1;

static herr_t driver_terminate(void)
{
    driver_id = -1;
    return 0;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    struct stat about;
    avi_h5_file *const *at = H5Pget_driver_info(access);
    driver_file *file = at && *at && fstat((*at)->fd, &about) == 0 ? calloc(1, sizeof *file) : NULL;
    (void)name, (void)flags, (void)most;
    if (!file) return NULL;
    file->at = *at;
    file->eof = (haddr_t)about.st_size;
    return &file->base;
}

static herr_t driver_close(H5FD_t *base)
{
    free(base);
    return 0;
}

/* Two handles of HDF5 on one file would share its caches: they are compared as files are. */
static int driver_compare(const H5FD_t *a, const H5FD_t *b)
{
    struct stat one, two;
    const bool known =
        fstat(((const driver_file *)a)->at->fd, &one) == 0 && fstat(((const driver_file *)b)->at->fd, &two) == 0;
    if (!known) return a < b ? -1 : a > b;
    if (one.st_dev != two.st_dev) return one.st_dev < two.st_dev ? -1 : 1;
    return one.st_ino < two.st_ino ? -1 : one.st_ino > two.st_ino;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((driver_file *)base)->eoa = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->eof;
}

/* Zeros beyond the end. */
static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t bytes, void *out)
{
    const avi_h5_file *at = ((driver_file *)base)->at;
    char *to = out;
    (void)type, (void)transfer;
    while (bytes > 0) {
        const ssize_t done = pread(at->fd, to, bytes < PIECE ? bytes : PIECE, (off_t)address);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return -1;
        if (done == 0) break;
        to += done;
        address += (haddr_t)done;
        bytes -= (size_t)done;
    }
    while (bytes-- > 0) *to++ = 0;
    return 0;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t bytes,
                           const void *data)
{
    driver_file *file = (driver_file *)base;
    const haddr_t end = address + bytes;
    const char *from = data;
    (void)type, (void)transfer;
    while (bytes > 0 && !file->at->error) {
        const ssize_t done = pwrite(file->at->fd, from, bytes < PIECE ? bytes : PIECE, (off_t)address);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            file->at->error = done < 0 ? errno : ENOSPC;
            break;
        }
        from += done;
        address += (haddr_t)done;
        bytes -= (size_t)done;
    }
    if (end > file->eof) file->eof = end;
    return 0;
}

static herr_t driver_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    driver_file *file = (driver_file *)base;
    (void)transfer, (void)closing;
    if (file->eoa == file->eof) return 0;
    while (!file->at->error && ftruncate(file->at->fd, (off_t)file->eoa) != 0)
        if (errno != EINTR) file->at->error = errno;
    file->eof = file->eoa;
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)(H5_VFD_RESERVED + 257) /* from 512 on: not registered with The HDF Group */,
#endif
    .name = "avi_mpi",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_STRONG,
    .terminate = driver_terminate,
    .fapl_size = sizeof(avi_h5_file *),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t avi_h5_open(avi_h5_file *at, const char *path, bool writes)
{
    const hid_t access = avi_h5_access();
    if (driver_id < 0) driver_id = H5FDregister(&driver);
    at->error = 0;
    at->id = access >= 0 && driver_id >= 0 && H5Pset_driver(access, driver_id, &at) >= 0
                 ? H5Fopen(path, writes ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access)
                 : -1;
    if (access >= 0) H5Pclose(access);
    return at->id;
}

avi_status avi_h5_close(avi_h5_file *at, const char *path, int64_t bytes)
{
    avi_status status = AVI_OK;
    if (at->id >= 0 && H5Fclose(at->id) < 0) status = avi_h5_fail(AVI_ERR_IO, path, "cannot write the metadata", "");
    at->id = -1;
    if (at->error) {
        if (status != AVI_OK) avi_error_clear(); /* the reason is here */
        status = avi_file_fail(path, "cannot write", at->error, bytes);
    }
    return status;
}
