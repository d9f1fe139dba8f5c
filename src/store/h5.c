/* The few HDF5 habits that writer and reader share. */
#include "store/store_internal.h"

#include <stdio.h>

void avi_h5_silence(void) { (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

static herr_t keep_innermost(unsigned n, const H5E_error2_t *error, void *text)
{
    if (n == 0 && error->desc) snprintf(text, 256, " (%s)", error->desc);
    return 0;
}

avi_status avi_h5_fail(avi_status status, const char *path, const char *what, const char *name)
{
    char reason[256] = "";
    (void)H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, reason);
    return avi_fail(status, "%s: %s%s%s%s", path, what, *name ? " " : "", name, reason);
}

hid_t avi_h5_access(void)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    /* Format 1.8: every piece of metadata carries a checksum of HDF5's own, and any reader since 2008 knows it.
     * Datasets start on pages, so that ranks of different nodes rarely write to one page. Strong close: a handle
     * forgotten after an error holds nothing open. */
    bool ok = H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0 &&
              H5Pset_alignment(access, 4096, 4096) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0;
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
    ok = ok && H5Pset_file_locking(access, false, true) >= 0;
#endif
    if (ok) return access;
    H5Pclose(access);
    return -1;
}

hid_t avi_h5_file_type(avi_dtype type)
{
    switch (type) {
    case AVI_U8:
        return H5T_STD_U8LE;
    case AVI_F32:
        return H5T_IEEE_F32LE;
    case AVI_F64:
        return H5T_IEEE_F64LE;
    case AVI_I64:
        return H5T_STD_I64LE;
    }
    return -1;
}

const char *avi_h5_type_name(avi_dtype type)
{
    switch (type) {
    case AVI_U8:
        return "8-bit unsigned";
    case AVI_F32:
        return "32-bit real";
    case AVI_F64:
        return "64-bit real";
    case AVI_I64:
        return "64-bit integer";
    }
    return "unknown";
}
