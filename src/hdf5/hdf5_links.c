#include "hdf5/hdf5_links.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- external links ---- */

/* Whether folder/name is there and no regular file; folder NULL: the current one. */
static bool is_irregular(avi_hdf5_links *links, const char *folder, size_t length, const char *name)
{
    struct stat about;
    char path[PATH_MAX];
    const int n = folder && length ? snprintf(path, sizeof path, "%.*s/%s", (int)length, folder, name)
                                   : snprintf(path, sizeof path, "%s", name);
    if (n < 0 || n >= (int)sizeof path || stat(path, &about) != 0 || S_ISREG(about.st_mode)) return false;
    memcpy(links->refused, path, (size_t)n + 1);
    return true;
}

/* HDF5 looks in HDF5_EXT_PREFIX, in the folder of the file that has the link, and here. */
static herr_t before_traversal(const char *parent, const char *group, const char *child, const char *object,
                               unsigned *flags, hid_t access, void *self)
{
    const char *prefix = getenv("HDF5_EXT_PREFIX"), *slash = strrchr(parent, '/'), *last = strrchr(child, '/');
    (void)group, (void)object, (void)flags, (void)access;
    bool bad = is_irregular(self, NULL, 0, child);
    while (prefix && *prefix && !bad) {
        const size_t n = strcspn(prefix, ":");
        bad = is_irregular(self, prefix, n, child);
        prefix += n + (prefix[n] == ':');
    }
    if (slash && !bad) bad = is_irregular(self, parent, (size_t)(slash - parent), child);
    /* Of a whole path that is not there HDF5 tries the last part beside the file. */
    if (slash && last && !bad) bad = is_irregular(self, parent, (size_t)(slash - parent), last + 1);
    return bad ? -1 : 0;
}

hid_t avi_hdf5_link_access(avi_hdf5_links *links)
{
    links->refused[0] = '\0';
    const hid_t access = H5Pcreate(H5P_LINK_ACCESS);
    if (access < 0 || H5Pset_elink_cb(access, before_traversal, links) >= 0) return access;
    H5Pclose(access);
    return -1;
}

/* ---- flags of a writer ---- */

/* Bits of the consistency flags in a superblock of version 3: a writer has the file open; in SWMR mode. */
enum { OPEN_TO_WRITE = 1, OPEN_TO_SWMR = 4 };

static int writer_flags(const char *path)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char start[12] = {0};
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t got = pread(fd, start, sizeof start, 0);
    close(fd);
    const bool known = got == (ssize_t)sizeof start && memcmp(start, signature, sizeof signature) == 0 && start[8] == 3;
    return known ? start[11] & (OPEN_TO_WRITE | OPEN_TO_SWMR) : 0;
}

avi_status avi_hdf5_fail_open(const char *path)
{
    if (writer_flags(path))
        return avi_fail(
            AVI_ERR_DATA,
            "%s: a program that wrote to it has not closed it. Let it finish; when it is gone (killed), use "
            "h5clear -s %s to take its mark away",
            path, path);
    return avi_fail(AVI_ERR_DATA, "%s: HDF5 cannot open it: truncated, corrupt, or open elsewhere for writing", path);
}
