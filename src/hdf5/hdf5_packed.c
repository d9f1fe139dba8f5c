/* Numbers that a file keeps as others, by the conventions of netCDF (CF, section 8.1 and 2.5.1): value = stored *
 * scale_factor + add_offset, and a stored number that stands for a missing value. */
#include "hdf5/hdf5_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The first number of an attribute. */
static bool read_number(hid_t dataset, const char *name, double *value)
{
    if (H5Aexists(dataset, name) <= 0) return false;
    const hid_t a = H5Aopen(dataset, name, H5P_DEFAULT), space = a >= 0 ? H5Aget_space(a) : H5I_INVALID_HID,
                type = a >= 0 ? H5Aget_type(a) : H5I_INVALID_HID;
    const hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : 0;
    double *values =
        n > 0 && n <= 16 && type >= 0 && avi_hdf5_is_number(type) ? calloc((size_t)n, sizeof *values) : NULL;
    const bool good = values && H5Aread(a, H5T_NATIVE_DOUBLE, values) >= 0;
    if (good) *value = values[0];
    free(values);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (a >= 0) H5Aclose(a);
    return good;
}

void avi_hdf5_find_packing(avi_hdf5 *x)
{
    avi_hdf5_packing *p = &x->packing;
    *p = (avi_hdf5_packing){.scale = 1, .missing = {NAN, NAN}};
    if (x->type_made) return; /* fields have attributes of their own, which nobody writes */
    const bool scaled = read_number(x->dataset, "scale_factor", &p->scale),
               moved = read_number(x->dataset, "add_offset", &p->offset);
    (void)read_number(x->dataset, "_FillValue", &p->missing[0]);
    (void)read_number(x->dataset, "missing_value", &p->missing[1]);
    if (isnan(p->missing[0]) || p->missing[1] == p->missing[0]) {
        if (isnan(p->missing[0])) p->missing[0] = p->missing[1];
        p->missing[1] = NAN;
    }
    p->packed = scaled || moved || !isnan(p->missing[0]);
    if (!p->packed) return;
    if (scaled || moved) x->integers = false;
    x->dtype = AVI_F64;
    x->type = H5T_NATIVE_DOUBLE;
    x->element = sizeof(double);
}

void avi_hdf5_unpack(const avi_hdf5 *x, int64_t values, double *out)
{
    const avi_hdf5_packing *p = &x->packing;
    if (!p->packed) return;
    for (int64_t i = 0; i < values; i++)
        out[i] = out[i] == p->missing[0] || out[i] == p->missing[1] ? NAN : out[i] * p->scale + p->offset;
}

void avi_hdf5_describe_packing(const avi_hdf5 *x, char *text, size_t size)
{
    const avi_hdf5_packing *p = &x->packing;
    int used = 0;
    text[0] = '\0';
    if (p->packed && (p->scale != 1 || p->offset != 0))
        used = snprintf(text, size, "stored value * %g %c %g", p->scale, p->offset < 0 ? '-' : '+', fabs(p->offset));
    for (int k = 0; k < 2; k++)
        if (p->packed && !isnan(p->missing[k]) && used >= 0 && (size_t)used < size)
            used += snprintf(text + used, size - (size_t)used, "%s%.9g is missing", used ? ", " : "", p->missing[k]);
}
