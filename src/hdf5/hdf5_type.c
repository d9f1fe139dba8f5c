/* What the elements of a dataset are, and how HDF5 is to give them: its library converts between all numbers. */
#include "hdf5/hdf5_file.h"

#include <stdlib.h>
#include <string.h>

static void set_type(avi_hdf5 *x, avi_dtype dtype, hid_t type)
{
    x->dtype = dtype;
    x->type = type;
    x->element = avi_dtype_size(dtype);
}

static avi_status fail_type(const avi_hdf5_request *a, H5T_class_t class, size_t bytes)
{
    static const struct {
        H5T_class_t class;
        const char *what, *remedy;
    } kinds[] = {
        {H5T_STRING, "text", "write the numbers as numbers, for example with analysis/csv2h5.py"},
        {H5T_VLEN, "rows of different lengths",
         "write rows of one length, with NaN where there is nothing and "
         "data.missing = mask"},
        {H5T_OPAQUE, "opaque bytes (times?)", "write them as numbers"},
        {H5T_REFERENCE, "references", "name the dataset that they lead to (cell arrays of MATLAB: one matrix)"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].class == class)
            return avi_fail(AVI_ERR_DATA, "%s: dataset %s holds %s, which are no numbers; %s", a->path, a->dataset,
                            kinds[i].what, kinds[i].remedy);
    return avi_fail(AVI_ERR_DATA,
                    "%s: dataset %s holds %zu-bit values that are no numbers; write it as integers or "
                    "floats of any width",
                    a->path, a->dataset, bytes * 8);
}

/* What MATLAB keeps as integers is not always numbers: text, tables and other objects, and the shape of what is empty.
 */
static avi_status check_matlab(const avi_hdf5 *x, const avi_hdf5_request *a)
{
    static const char *const numbers[] = {"double", "single", "logical", "int8",  "uint8", "int16",
                                          "uint16", "int32",  "uint32",  "int64", "uint64"};
    char **class = avi_hdf5_attribute_names(x->dataset, "MATLAB_class", 1);
    avi_status status = AVI_OK;
    bool number = !class;
    for (size_t i = 0; class && i < sizeof numbers / sizeof numbers[0]; i++) number |= !strcmp(class[0], numbers[i]);
    if (class && H5Aexists(x->dataset, "MATLAB_empty") > 0)
        status = avi_fail(AVI_ERR_DATA, "%s: dataset %s is empty in MATLAB: it has no rows", a->path, a->dataset);
    else if (!number)
        status = avi_fail(AVI_ERR_DATA,
                          "%s: dataset %s is of MATLAB's class %.60s, which are no numbers; save a matrix "
                          "(x = double(x), or x = table2array(x))",
                          a->path, a->dataset, class[0]);
    avi_hdf5_free_names(&class, 1);
    return status;
}

avi_status avi_hdf5_find_type(avi_hdf5 *x, const avi_hdf5_request *a)
{
    x->fields = 1;
    AVI_TRY(check_matlab(x, a));
    const hid_t stored = H5Dget_type(x->dataset);
    const H5T_class_t class = stored >= 0 ? H5Tget_class(stored) : H5T_NO_CLASS;
    const size_t bytes = stored >= 0 ? H5Tget_size(stored) : 0;
    avi_status status = AVI_OK;
    x->integers = class == H5T_INTEGER || class == H5T_ENUM || class == H5T_BITFIELD;
    /* What is held takes as little room as holds every value: 8 bits, 24 (float), 53 (double). */
    if (class == H5T_INTEGER && bytes == 1 && H5Tget_sign(stored) == H5T_SGN_NONE)
        set_type(x, AVI_U8, H5T_NATIVE_UCHAR);
    else if (class == H5T_BITFIELD && bytes == 1) /* how PyTables writes bool */
        set_type(x, AVI_U8, H5T_NATIVE_B8);
    else if (((class == H5T_INTEGER || class == H5T_ENUM) && bytes <= 2) || (class == H5T_FLOAT && bytes <= 4))
        set_type(x, AVI_F32, H5T_NATIVE_FLOAT);
    else if (class == H5T_INTEGER || class == H5T_ENUM || class == H5T_FLOAT)
        set_type(x, AVI_F64, H5T_NATIVE_DOUBLE);
    else if (class == H5T_COMPOUND)
        status = avi_hdf5_choose_fields(x, a, stored);
    else if (class == H5T_ARRAY)
        status = avi_hdf5_take_array(x, a, stored);
    else
        status = fail_type(a, class, bytes);
    if (stored >= 0) H5Tclose(stored);
    return status;
}
