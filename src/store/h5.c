/* The few HDF5 habits that writer and reader share. */
#include "store/store_internal.h"

#include <stdio.h>
#include <string.h>

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

hid_t avi_h5_text_type(size_t bytes)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0) return type;
    /* Fixed length: the bytes lie in checksummed metadata (or in the dataset), not in HDF5's global heap, which has no
     * checksum. */
    if (H5Tset_size(type, bytes) >= 0 && H5Tset_strpad(type, H5T_STR_NULLTERM) >= 0 &&
        H5Tset_cset(type, H5T_CSET_UTF8) >= 0)
        return type;
    H5Tclose(type);
    return -1;
}

herr_t avi_h5_put_attribute(hid_t object, const char *name, hid_t file_type, hid_t memory_type, const void *value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = space < 0 ? -1 : H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    const herr_t result = attribute < 0 ? -1 : H5Awrite(attribute, memory_type, value);
    if (result < 0) return -1; /* handles go with the strong close; closing here would wipe the reason */
    H5Aclose(attribute);
    H5Sclose(space);
    return 0;
}

herr_t avi_h5_put_text(hid_t object, const char *name, const char *text)
{
    const char *value = text ? text : "";
    const hid_t type = avi_h5_text_type(strlen(value) + 1);
    if (type < 0 || avi_h5_put_attribute(object, name, type, type, value) < 0) return -1;
    return H5Tclose(type);
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
