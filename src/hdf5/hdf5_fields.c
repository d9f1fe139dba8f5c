/* Elements that hold several numbers: compound ones, of which data.columns picks fields, and arrays. In memory all of
 * their numbers are doubles, one after the other. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 100000, TEXT = 512, DEEPEST = 8 };

static void close_type(hid_t type)
{
    if (type >= 0) H5Tclose(type);
}

/* ---- numbers of a type ---- */

bool avi_hdf5_is_number(hid_t type)
{
    const H5T_class_t class = H5Tget_class(type);
    return class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM;
}

static int64_t count_numbers(hid_t type, int depth);

static int64_t count_array(hid_t type, int depth)
{
    hsize_t dimension[H5S_MAX_RANK];
    const hid_t base = H5Tget_super(type);
    const int n = base >= 0 ? H5Tget_array_dims2(type, dimension) : -1;
    int64_t count = n > 0 ? count_numbers(base, depth + 1) : 0;
    for (int i = 0; i < n && count > 0; i++)
        count = dimension[i] <= (hsize_t)(MOST_FIELDS / count) ? count * (int64_t)dimension[i] : 0;
    close_type(base);
    return count;
}

static int64_t count_compound(hid_t type, int depth)
{
    int64_t count = 0;
    for (int i = 0; i < H5Tget_nmembers(type); i++) {
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        const int64_t n = member >= 0 ? count_numbers(member, depth + 1) : 0;
        close_type(member);
        if (n == 0) return 0;
        count += n;
    }
    return count;
}

/* 0: not all of it are numbers, or there are too many. */
static int64_t count_numbers(hid_t type, int depth)
{
    const H5T_class_t class = H5Tget_class(type);
    int64_t count = 0;
    if (avi_hdf5_is_number(type)) return 1;
    if (depth >= DEEPEST) return 0;
    if (class == H5T_ARRAY) count = count_array(type, depth);
    if (class == H5T_COMPOUND) count = count_compound(type, depth);
    return count <= MOST_FIELDS ? count : 0;
}

/* ---- the same type with doubles in place of all numbers ---- */

static hid_t as_doubles(hid_t type);

static hid_t array_as_doubles(hid_t type)
{
    hsize_t dimension[H5S_MAX_RANK];
    const hid_t base = H5Tget_super(type), wanted = base >= 0 ? as_doubles(base) : H5I_INVALID_HID;
    const int n = wanted >= 0 ? H5Tget_array_dims2(type, dimension) : -1;
    const hid_t array = n > 0 ? H5Tarray_create2(wanted, (unsigned)n, dimension) : H5I_INVALID_HID;
    close_type(wanted);
    close_type(base);
    return array;
}

/* Takes `member`. */
static bool insert(hid_t compound, const char *name, size_t at, hid_t member)
{
    const bool good = compound >= 0 && member >= 0 && H5Tinsert(compound, name, at, member) >= 0;
    close_type(member);
    return good;
}

static hid_t compound_as_doubles(hid_t type)
{
    const hid_t compound = H5Tcreate(H5T_COMPOUND, (size_t)count_numbers(type, 0) * sizeof(double));
    size_t at = 0;
    bool good = compound >= 0;
    for (int i = 0; good && i < H5Tget_nmembers(type); i++) {
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        char *name = H5Tget_member_name(type, (unsigned)i);
        good = member >= 0 && name && insert(compound, name, at, as_doubles(member));
        if (good) at += (size_t)count_numbers(member, 0) * sizeof(double);
        H5free_memory(name);
        close_type(member);
    }
    if (good) return compound;
    close_type(compound);
    return H5I_INVALID_HID;
}

static hid_t as_doubles(hid_t type)
{
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_ARRAY) return array_as_doubles(type);
    if (class == H5T_COMPOUND) return compound_as_doubles(type);
    return H5Tcopy(H5T_NATIVE_DOUBLE);
}

/* ---- names ---- */

static bool add_names(avi_hdf5 *x, hid_t type, const char *name);

static bool add_name(avi_hdf5 *x, const char *name)
{
    char **more = realloc(x->name, (size_t)(x->fields + 1) * sizeof *more);
    if (!more) return false;
    x->name = more;
    x->name[x->fields] = strdup(name);
    x->fields += x->name[x->fields] != NULL;
    return x->name[x->fields - 1] != NULL;
}

static bool add_array_names(avi_hdf5 *x, hid_t type, const char *name)
{
    char text[TEXT];
    const hid_t base = H5Tget_super(type);
    const int64_t each = base >= 0 ? count_numbers(base, 0) : 0, n = each > 0 ? count_numbers(type, 0) / each : 0;
    bool good = n > 0;
    for (int64_t i = 0; good && i < n; i++) {
        snprintf(text, sizeof text, n > 1 ? "%.400s[%lld]" : "%.400s", name, (long long)i);
        good = add_names(x, base, text);
    }
    close_type(base);
    return good;
}

/* "a", "a[0]", "a.b" of all numbers of a field. */
static bool add_names(avi_hdf5 *x, hid_t type, const char *name)
{
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_ARRAY) return add_array_names(x, type, name);
    if (class != H5T_COMPOUND) return add_name(x, name);
    bool good = true;
    for (int i = 0; good && i < H5Tget_nmembers(type); i++) {
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        char *own = H5Tget_member_name(type, (unsigned)i), text[TEXT];
        snprintf(text, sizeof text, "%.250s.%.250s", name, own ? own : "");
        good = member >= 0 && own && add_names(x, member, text);
        H5free_memory(own);
        close_type(member);
    }
    return good;
}

/* ---- data.columns ---- */

/* "id, a, b" of the fields that are numbers. */
static void list_fields(hid_t type, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < H5Tget_nmembers(type) && used + 8 < size; i++) {
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        char *name = H5Tget_member_name(type, (unsigned)i);
        if (member >= 0 && name && count_numbers(member, 0) > 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
        H5free_memory(name);
        close_type(member);
    }
    if (used + 8 >= size) snprintf(text + (size - 8), 8, ", ...");
}

static avi_status fail_compound(const avi_hdf5_request *a, hid_t stored, const char *what)
{
    char fields[1024];
    list_fields(stored, fields, sizeof fields);
    if (!fields[0])
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has compound rows, and none of their fields is a number; write the numbers as "
                        "numbers, for example with analysis/csv2h5.py",
                        a->path, a->dataset);
    return avi_fail(AVI_ERR_DATA, "%s: dataset %s has compound rows, %s; use data.columns with some of its numbers: %s",
                    a->path, a->dataset, what, fields);
}

/* The part of a type that a word names: a field, or by its path, "a.b", a field of a field. Owner: caller. */
static hid_t find_part(hid_t type, const char *word)
{
    char first[TEXT];
    const int whole = H5Tget_member_index(type, word);
    if (whole >= 0) return H5Tget_member_type(type, (unsigned)whole);
    const size_t length = strcspn(word, ".");
    if (!word[length] || length >= sizeof first) return H5I_INVALID_HID;
    snprintf(first, sizeof first, "%.*s", (int)length, word);
    const int index = H5Tget_member_index(type, first);
    const hid_t member = index >= 0 ? H5Tget_member_type(type, (unsigned)index) : H5I_INVALID_HID,
                part = member >= 0 && H5Tget_class(member) == H5T_COMPOUND ? find_part(member, word + length + 1)
                                                                           : H5I_INVALID_HID;
    close_type(member);
    return part;
}

/* Puts the part at `at` of the element in memory, in compounds of its own on its path. */
static bool insert_part(hid_t compound, hid_t stored, const char *word, size_t at, hid_t part)
{
    char first[TEXT];
    if (H5Tget_member_index(stored, word) >= 0) return insert(compound, word, at, as_doubles(part));
    const size_t length = strcspn(word, ".");
    snprintf(first, sizeof first, "%.*s", (int)length, word);
    const hid_t member = H5Tget_member_type(stored, (unsigned)H5Tget_member_index(stored, first)),
                inner = H5Tcreate(H5T_COMPOUND, (size_t)count_numbers(part, 0) * sizeof(double));
    const bool good = member >= 0 && inner >= 0 && insert_part(inner, member, word + length + 1, 0, part);
    close_type(member);
    if (good) return insert(compound, first, at, inner);
    close_type(inner);
    return false;
}

static avi_status choose_field(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored, const char *word)
{
    char what[TEXT + 64];
    const hid_t part = find_part(stored, word);
    const int64_t count = part >= 0 ? count_numbers(part, 0) : 0;
    const size_t at = (size_t)x->fields * sizeof(double);
    snprintf(what, sizeof what, "and %.400s %s", word, part < 0 ? "is none of its fields" : "is no number");
    bool good = count > 0;
    if (good) {
        snprintf(what, sizeof what, "and %.400s is of a field that is named twice, or too much is named", word);
        good = x->fields + count <= MOST_FIELDS && insert_part(x->type, stored, word, at, part) &&
               add_names(x, part, word);
    }
    close_type(part);
    return good ? AVI_OK : fail_compound(a, stored, what);
}

avi_status avi_hdf5_choose_fields(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored)
{
    char word[TEXT];
    if (!a->columns[0]) return fail_compound(a, stored, "which are not one number each");
    x->type = H5Tcreate(H5T_COMPOUND, (size_t)MOST_FIELDS * sizeof(double));
    x->type_made = x->type >= 0;
    x->fields = 0;
    for (const char *at = a->columns; x->type_made && avi_hdf5_next_word(&at, word, sizeof word);)
        AVI_TRY(choose_field(x, a, stored, word));
    if (!x->type_made || x->fields == 0 || H5Tset_size(x->type, (size_t)x->fields * sizeof(double)) < 0)
        return fail_compound(a, stored, "of which none is picked");
    x->dtype = AVI_F64;
    x->element = (size_t)x->fields * sizeof(double);
    return AVI_OK;
}

avi_status avi_hdf5_take_array(avi_hdf5 *x, const avi_hdf5_request *a, hid_t stored)
{
    const int64_t count = count_numbers(stored, 0);
    if (count == 0)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has arrays as elements that are not of numbers; write them as a "
                        "table of numbers",
                        a->path, a->dataset);
    x->type = as_doubles(stored);
    x->type_made = x->type >= 0;
    if (!x->type_made) return avi_fail(AVI_ERR_INTERNAL, "%s: HDF5 is out of memory", a->path);
    x->fields = count;
    x->dtype = AVI_F64;
    x->element = (size_t)count * sizeof(double);
    return AVI_OK;
}
