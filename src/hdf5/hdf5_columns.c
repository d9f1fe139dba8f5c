/* Columns of a table: their names, and which of them are asked for. */
#include "hdf5/hdf5_file.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* HDF5 1.12 gave the function another name. */
#if H5_VERSION_GE(1, 12, 0)
#define RECLAIM H5Treclaim
#else
#define RECLAIM H5Dvlen_reclaim
#endif

enum { MOST_NAMES = 1000000, MOST_BYTES = 4096, TEXT = 512 };

/* ---- names ---- */

void avi_hdf5_free_names(char ***name, int64_t n)
{
    for (int64_t i = 0; *name && i < n; i++) free((*name)[i]);
    free(*name);
    *name = NULL;
}

/* Copies of n strings; what is missing is "". NULL when memory is short. */
static char **copy_names(int64_t n, const char *fixed, size_t bytes, char *const *variable)
{
    char **name = calloc((size_t)n + 1, sizeof *name);
    for (int64_t i = 0; name && i < n; i++) {
        const char *from = variable ? (variable[i] ? variable[i] : "") : fixed + (size_t)i * bytes;
        char *copy = strndup(from, variable ? MOST_BYTES : bytes);
        if (!copy) {
            avi_hdf5_free_names(&name, n);
            return NULL;
        }
        for (char *c = copy; *c; c++)
            if (*c == '\n' || *c == '\r') *c = ' '; /* a name is a line */
        name[i] = copy;
    }
    return name;
}

char **avi_hdf5_strings(hid_t object, bool is_attribute, int64_t n)
{
    const hid_t type = is_attribute ? H5Aget_type(object) : H5Dget_type(object),
                space = is_attribute ? H5Aget_space(object) : H5Dget_space(object);
    char **name = NULL;
    const size_t bytes = type >= 0 ? H5Tget_size(type) : 0;
    const bool fits = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && n > 0 && n <= MOST_NAMES &&
                      H5Sget_simple_extent_npoints(space) == n;
    const bool variable = fits && H5Tis_variable_str(type) > 0;
    void *room = fits && bytes > 0 && bytes <= MOST_BYTES ? calloc((size_t)n, variable ? sizeof(char *) : bytes) : NULL;
    if (room && (is_attribute ? H5Aread(object, type, room)
                              : H5Dread(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, room)) >= 0) {
        name = copy_names(n, room, bytes, variable ? room : NULL);
        if (variable) (void)RECLAIM(type, space, H5P_DEFAULT, room);
    }
    free(room);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return name;
}

char **avi_hdf5_some_strings(hid_t set, int64_t first, int64_t count)
{
    const hsize_t from = (hsize_t)first, size = (hsize_t)count;
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set), memory = H5Screate_simple(1, &size, NULL);
    char **name = NULL;
    const size_t bytes = type >= 0 ? H5Tget_size(type) : 0;
    const bool fits = memory >= 0 && space >= 0 && bytes > 0 && bytes <= MOST_BYTES && count > 0 &&
                      H5Sselect_hyperslab(space, H5S_SELECT_SET, &from, NULL, &size, NULL) >= 0;
    const bool variable = fits && H5Tis_variable_str(type) > 0;
    void *room = fits ? calloc((size_t)count, variable ? sizeof(char *) : bytes) : NULL;
    if (room && H5Dread(set, type, memory, space, H5P_DEFAULT, room) >= 0) {
        name = copy_names(count, room, bytes, variable ? room : NULL);
        if (variable) (void)RECLAIM(type, memory, H5P_DEFAULT, room);
    }
    free(room);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (memory >= 0) H5Sclose(memory);
    return name;
}

char **avi_hdf5_attribute_names(hid_t object, const char *attribute, int64_t n)
{
    if (H5Aexists(object, attribute) <= 0) return NULL;
    const hid_t a = H5Aopen(object, attribute, H5P_DEFAULT);
    char **name = a >= 0 ? avi_hdf5_strings(a, true, n) : NULL;
    if (a >= 0) H5Aclose(a);
    return name;
}

static hid_t open_index(hid_t file, const char *group)
{
    const hid_t g = H5Lexists(file, group, H5P_DEFAULT) > 0 ? H5Oopen(file, group, H5P_DEFAULT) : H5I_INVALID_HID;
    char **which = g >= 0 ? avi_hdf5_attribute_names(g, "_index", 1) : NULL, path[2 * TEXT];
    snprintf(path, sizeof path, "%s/%.400s", group, which ? which[0] : "_index");
    const hid_t set = g >= 0 ? H5Dopen2(file, path, H5P_DEFAULT) : H5I_INVALID_HID;
    avi_hdf5_free_names(&which, 1);
    if (g >= 0) H5Oclose(g);
    return set;
}

/* The length of "raw/" in "raw/X", of "mod/rna/" in "mod/rna/layers/counts"; -1: these are no matrix and no layer. */
static int anndata_prefix(const char *dataset)
{
    const char *last = strrchr(dataset, '/');
    last = last ? last + 1 : dataset;
    if (!strcmp(last, "X")) return (int)(last - dataset);
    static const char layers[] = "layers/";
    const ptrdiff_t before = last - dataset - (ptrdiff_t)(sizeof layers - 1);
    const bool is_layer = before >= 0 && !strncmp(dataset + before, layers, sizeof layers - 1) &&
                          (before == 0 || dataset[before - 1] == '/');
    return is_layer ? (int)before : -1;
}

bool avi_hdf5_is_anndata(const char *dataset) { return anndata_prefix(dataset) >= 0; }

hid_t avi_hdf5_anndata_index(hid_t file, const char *dataset, const char *group)
{
    char path[TEXT];
    static const char raw[] = "raw/"; /* has columns of its own; its rows are those of the whole */
    int prefix = anndata_prefix(dataset);
    if (prefix < 0 || prefix > TEXT - 16) prefix = 0;
    snprintf(path, sizeof path, "%.*s%s", prefix, dataset, group);
    const hid_t set = open_index(file, path);
    const int before = prefix - (int)(sizeof raw - 1);
    if (set >= 0 || before < 0 || strncmp(dataset + before, raw, sizeof raw - 1) != 0) return set;
    snprintf(path, sizeof path, "%.*s%s", before, dataset, group);
    return open_index(file, path);
}

/* The strings of a dataset, which is closed. */
static char **names_of(hid_t set, int64_t n)
{
    char **name = set >= 0 ? avi_hdf5_strings(set, false, n) : NULL;
    if (set >= 0) H5Dclose(set);
    return name;
}

char **avi_hdf5_anndata_names(hid_t file, const char *dataset, const char *group, int64_t n)
{
    return names_of(avi_hdf5_anndata_index(file, dataset, group), n);
}

/* Whether a dataset has n strings. */
static bool has_strings(hid_t set, int64_t n)
{
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const bool has =
        type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == n;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return has;
}

/* The first one that has as many strings. */
hid_t avi_hdf5_scale(const avi_hdf5 *x, int i, int64_t n)
{
    hid_t found = H5I_INVALID_HID;
    if (H5Aexists(x->dataset, "DIMENSION_LIST") <= 0) return found;
    const hid_t a = H5Aopen(x->dataset, "DIMENSION_LIST", H5P_DEFAULT);
    const hid_t type = a >= 0 ? H5Aget_type(a) : H5I_INVALID_HID, space = a >= 0 ? H5Aget_space(a) : H5I_INVALID_HID;
    hvl_t *list = NULL;
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_VLEN &&
        H5Sget_simple_extent_npoints(space) == x->dimensions)
        list = calloc((size_t)x->dimensions, sizeof *list);
    const hid_t wanted = list ? H5Tvlen_create(H5T_STD_REF_OBJ) : H5I_INVALID_HID;
    if (wanted >= 0 && H5Aread(a, wanted, list) >= 0) {
        for (size_t k = 0; k < list[i].len && found < 0; k++) {
            const hid_t set = H5Rdereference2(x->file, H5P_DEFAULT, H5R_OBJECT, (hobj_ref_t *)list[i].p + k);
            if (set >= 0 && H5Iget_type(set) == H5I_DATASET && has_strings(set, n))
                found = set;
            else if (set >= 0)
                H5Oclose(set);
        }
        (void)RECLAIM(wanted, space, H5P_DEFAULT, list);
    }
    free(list);
    if (wanted >= 0) H5Tclose(wanted);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (a >= 0) H5Aclose(a);
    return found;
}

/* Names that somebody gave the columns of a table, by the habits of several programs. */
static char **find_names(const avi_hdf5 *x, const char *dataset, int64_t n)
{
    static const char *const attributes[] = {"columns", "column_names", "colnames", "names"};
    char **name = NULL;
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0] && !name; i++)
        name = avi_hdf5_attribute_names(x->dataset, attributes[i], n);
    if (!name) name = names_of(avi_hdf5_scale(x, x->transposed ? 0 : 1, n), n);
    if (!name && avi_hdf5_is_anndata(dataset)) /* dense */
        name = avi_hdf5_anndata_names(x->file, dataset, "var", n);
    return name;
}

/* ---- data.columns ---- */

static int64_t index_of(const char *word, int64_t columns, char *const *name)
{
    for (int64_t k = 0; name && k < columns; k++)
        if (!strcmp(name[k], word)) return k;
    return -1;
}

/* A number, or a range a..b of them. */
static bool read_numbers(const char *word, int64_t *first, int64_t *last)
{
    char *end;
    if (!isdigit((unsigned char)word[0])) return false;
    *first = *last = strtoll(word, &end, 10);
    if (!strncmp(end, "..", 2) && isdigit((unsigned char)end[2])) *last = strtoll(end + 2, &end, 10);
    return *end == '\0';
}

static avi_status fail_columns(const char *where, const char *word, int64_t columns, char *const *name)
{
    char some[TEXT] = "";
    size_t used = 0;
    for (int64_t k = 0; name && k < columns && k < 8; k++)
        used += (size_t)snprintf(some + used, sizeof some - used, "%s%.40s", k ? ", " : "; its columns are ", name[k]);
    if (name && columns > 8) snprintf(some + used, sizeof some - used, ", ...");
    return avi_fail(AVI_ERR_DATA,
                    "%s: [data] columns: %s is none of its columns; use numbers from 0 to %lld, ranges as "
                    "0..%lld%s",
                    where, word, (long long)(columns - 1), (long long)(columns - 1),
                    name ? (used ? some : "") : "; its columns have no names");
}

avi_status avi_hdf5_parse_columns(const char *where, const char *text, int64_t columns, char *const *name,
                                  int64_t **pick, int64_t *picked)
{
    char word[TEXT];
    *pick = NULL;
    *picked = columns;
    if (!text[strspn(text, " \t,")]) return AVI_OK;
    *picked = 0;
    for (const char *at = text; avi_hdf5_next_word(&at, word, sizeof word);) {
        int64_t first = index_of(word, columns, name), last = first;
        if (first < 0 && !read_numbers(word, &first, &last)) return fail_columns(where, word, columns, name);
        if (first < 0 || last < first || last >= columns) return fail_columns(where, word, columns, name);
        int64_t *more = *picked + (last - first + 1) <= INT_MAX
                            ? realloc(*pick, (size_t)(*picked + last - first + 1) * sizeof *more)
                            : NULL;
        if (!more) return avi_fail_memory((size_t)(last - first + 1) * sizeof *more, "the columns");
        *pick = more;
        for (int64_t k = first; k <= last; k++) more[(*picked)++] = k;
    }
    return AVI_OK;
}

/* Names of the picked columns in place of those of all. */
static avi_status pick_names(avi_hdf5 *x, int64_t all)
{
    char **name = calloc((size_t)x->width + 1, sizeof *name);
    bool good = name != NULL;
    for (int64_t k = 0; good && k < x->width; k++) good = (name[k] = strdup(x->name[x->pick[k]])) != NULL;
    avi_hdf5_free_names(&x->name, all);
    x->name = name;
    return good ? AVI_OK : avi_fail_memory(1, "the names of the columns");
}

avi_status avi_hdf5_find_columns(avi_hdf5 *x, const avi_hdf5_request *a)
{
    const int64_t all = x->width;
    char where[TEXT];
    x->pick_first = 0;
    x->span = x->elements;
    if (x->type_made && H5Tget_class(x->type) == H5T_COMPOUND) return AVI_OK; /* fields are picked already */
    if (x->dimensions == 2) x->name = find_names(x, a->dataset, all);
    if (!a->columns[0]) return AVI_OK;
    snprintf(where, sizeof where, "%.300s: dataset %.150s", a->path, a->dataset);
    if (x->dimensions > 2 || x->fields > 1)
        return avi_fail(AVI_ERR_DATA,
                        "%s: [data] columns picks columns of a table, but it has %d dimensions%s; leave the "
                        "key out",
                        where, x->dimensions, x->fields > 1 ? " of arrays" : "");
    AVI_TRY(avi_hdf5_parse_columns(where, a->columns, all, x->name, &x->pick, &x->width));
    if (!x->pick) return AVI_OK;
    int64_t low = INT64_MAX, high = 0;
    for (int64_t k = 0; k < x->width; k++) {
        low = x->pick[k] < low ? x->pick[k] : low;
        high = x->pick[k] > high ? x->pick[k] : high;
    }
    if (x->name) AVI_TRY(pick_names(x, all));
    if (x->dimensions != 2) return AVI_OK;
    for (int64_t k = 0; k < x->width; k++) x->pick[k] -= low;
    x->pick_first = low;
    x->span = high - low + 1;
    return AVI_OK;
}
