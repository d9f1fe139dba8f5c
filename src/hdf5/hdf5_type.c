/* What the elements of a dataset are, and how HDF5 is to give them: its library converts between all numbers. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 100000, TEXT = 512 };

bool avi_hdf5_is_number(hid_t type)
{
    const H5T_class_t class = H5Tget_class(type);
    return class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM;
}

/* Of an array of numbers: how many. 1: a number; 0: neither. */
static int64_t numbers_in(hid_t type)
{
    if (avi_hdf5_is_number(type)) return 1;
    if (H5Tget_class(type) != H5T_ARRAY) return 0;
    const hid_t base = H5Tget_super(type);
    hsize_t dimension[H5S_MAX_RANK];
    const int n = base >= 0 && avi_hdf5_is_number(base) ? H5Tget_array_dims2(type, dimension) : -1;
    int64_t count = n > 0 ? 1 : 0;
    for (int i = 0; i < n; i++) count = count <= MOST_FIELDS ? count * (int64_t)dimension[i] : count;
    if (base >= 0) H5Tclose(base);
    return count <= MOST_FIELDS ? count : 0;
}

/* "id, a, b" of the fields that are numbers. */
static void list_fields(hid_t type, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < H5Tget_nmembers(type) && used + 8 < size; i++) {
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        char *name = H5Tget_member_name(type, (unsigned)i);
        if (member >= 0 && name && numbers_in(member) > 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
        H5free_memory(name);
        if (member >= 0) H5Tclose(member);
    }
    if (used + 8 >= size) snprintf(text + (size - 8), 8, ", ...");
}

/* One more field of the element in memory: `count` doubles. */
static bool add_field(avi_hdf5 *x, hid_t stored, int index, int64_t count, const char *name)
{
    const hid_t member = H5Tget_member_type(stored, (unsigned)index);
    hid_t wanted = H5T_NATIVE_DOUBLE;
    bool good = member >= 0 && x->width + count <= MOST_FIELDS;
    if (good && H5Tget_class(member) == H5T_ARRAY) {
        hsize_t dimension[H5S_MAX_RANK];
        const int n = H5Tget_array_dims2(member, dimension);
        wanted = n > 0 ? H5Tarray_create2(H5T_NATIVE_DOUBLE, (unsigned)n, dimension) : H5I_INVALID_HID;
    }
    char **more = good ? realloc(x->name, (size_t)(x->width + count) * sizeof *more) : NULL;
    good = good && more && wanted >= 0 && H5Tinsert(x->type, name, (size_t)x->width * sizeof(double), wanted) >= 0;
    if (more) x->name = more;
    for (int64_t i = 0; good && i < count; i++) {
        char text[TEXT];
        if (count > 1)
            snprintf(text, sizeof text, "%.400s[%lld]", name, (long long)i);
        else
            snprintf(text, sizeof text, "%.500s", name);
        x->name[x->width] = strdup(text);
        good = x->name[x->width] != NULL;
        x->width += good;
    }
    if (wanted >= 0 && wanted != H5T_NATIVE_DOUBLE) H5Tclose(wanted);
    if (member >= 0) H5Tclose(member);
    return good;
}

static avi_status fail_compound(const avi_hdf5_request *a, hid_t stored, const char *what)
{
    char fields[1024];
    list_fields(stored, fields, sizeof fields);
    return avi_fail(AVI_ERR_DATA, "%s: dataset %s has compound rows, %s; use data.columns with some of its numbers: %s",
                    a->path, a->dataset, what, fields[0] ? fields : "(it has none)");
}

/* The fields that data.columns names, in that order, as doubles. */
static avi_status choose_fields(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored)
{
    char what[TEXT], word[TEXT];
    if (x->dimensions != 1)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has compound elements in %d dimensions; write one row for each "
                        "index of one dimension",
                        a->path, a->dataset, x->dimensions);
    if (!a->columns[0]) return fail_compound(a, stored, "which are not one number each");
    x->type = H5Tcreate(H5T_COMPOUND, (size_t)MOST_FIELDS * sizeof(double));
    x->type_made = x->type >= 0;
    for (const char *at = a->columns; x->type_made && *at;) {
        const size_t blank = strspn(at, " \t,"), length = strcspn(at + blank, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < TEXT - 1 ? length : TEXT - 1), at + blank);
        for (size_t n = strlen(word); n > 0 && strchr(" \t", word[n - 1]); n--) word[n - 1] = '\0';
        at += blank + length;
        if (!word[0]) continue;
        const int index = H5Tget_member_index(stored, word);
        const hid_t member = index >= 0 ? H5Tget_member_type(stored, (unsigned)index) : H5I_INVALID_HID;
        const int64_t count = member >= 0 ? numbers_in(member) : -1;
        if (member >= 0) H5Tclose(member);
        snprintf(what, sizeof what, "and %.400s %s", word, count < 0 ? "is none of its fields" : "is no number");
        if (count <= 0) return fail_compound(a, stored, what);
        snprintf(what, sizeof what, "and %.400s is named twice, or too much is named", word);
        if (!add_field(x, stored, index, count, word)) return fail_compound(a, stored, what);
    }
    if (!x->type_made || x->width == 0 || H5Tset_size(x->type, (size_t)x->width * sizeof(double)) < 0)
        return fail_compound(a, stored, "of which none is picked");
    x->dtype = AVI_F64;
    x->element = (size_t)x->width * sizeof(double);
    return AVI_OK;
}

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

avi_status avi_hdf5_find_type(avi_hdf5 *x, const avi_hdf5_request *a)
{
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
        status = choose_fields(x, a, stored);
    else
        status = fail_type(a, class, bytes);
    if (stored >= 0) H5Tclose(stored);
    return status;
}
