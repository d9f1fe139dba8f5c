/* Sparse matrices in compressed rows: data, indices and indptr. Rows become dense as they are read; what is read of a
 * piece is its own nonzeros alone, so that the same reader can give them as they are. */
#include "hdf5/hdf5_file.h"
#include "hdf5/hdf5_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 512 };

/* ---- what a group is ---- */

typedef struct group_kind {
    bool rows, columns; /* compressed rows, compressed columns */
    bool tenx; /* 10x Genomics: the matrix is (genes, cells) in compressed columns, and its rows are the cells */
    int64_t shape[2];
} group_kind;

static bool has(hid_t group, const char *name) { return H5Lexists(group, name, H5P_DEFAULT) > 0; }

/* Two integers of an attribute or a dataset. */
static bool read_shape(hid_t object, bool is_attribute, int64_t shape[2])
{
    const hid_t space = is_attribute ? H5Aget_space(object) : H5Dget_space(object),
                type = is_attribute ? H5Aget_type(object) : H5Dget_type(object);
    bool good =
        space >= 0 && type >= 0 && H5Tget_class(type) == H5T_INTEGER && H5Sget_simple_extent_npoints(space) == 2;
    if (good)
        good = (is_attribute ? H5Aread(object, H5T_NATIVE_INT64, shape)
                             : H5Dread(object, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, shape)) >= 0;
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return good;
}

static bool find_shape(hid_t group, group_kind *kind)
{
    static const char *const attributes[] = {"shape", "h5sparse_shape"};
    for (int i = 0; i < 2; i++) {
        if (H5Aexists(group, attributes[i]) <= 0) continue;
        const hid_t a = H5Aopen(group, attributes[i], H5P_DEFAULT);
        const bool good = a >= 0 && read_shape(a, true, kind->shape);
        if (a >= 0) H5Aclose(a);
        return good;
    }
    if (!has(group, "shape")) return false;
    const hid_t set = H5Dopen2(group, "shape", H5P_DEFAULT);
    const bool good = set >= 0 && read_shape(set, false, kind->shape);
    if (set >= 0) H5Dclose(set);
    const int64_t genes = kind->shape[0];
    kind->shape[0] = kind->shape[1];
    kind->shape[1] = genes;
    return good;
}

/* Of a group: which kind of matrix it is, if any. */
static group_kind kind_of(hid_t group)
{
    static const char *const attributes[] = {"encoding-type", "h5sparse_format"};
    group_kind kind = {0};
    if (!has(group, "data") || !has(group, "indices") || !has(group, "indptr")) return kind;
    for (int i = 0; i < 2; i++) {
        if (H5Aexists(group, attributes[i]) <= 0) continue;
        const hid_t a = H5Aopen(group, attributes[i], H5P_DEFAULT);
        char **text = a >= 0 ? avi_hdf5_strings(a, true, 1) : NULL;
        kind.rows = text && !strncmp(text[0], "csr", 3);
        kind.columns = text && !strncmp(text[0], "csc", 3);
        avi_hdf5_free_names(&text, 1);
        if (a >= 0) H5Aclose(a);
    }
    if (!kind.rows && !kind.columns) kind.rows = kind.tenx = has(group, "shape");
    if (kind.rows && !find_shape(group, &kind)) kind = (group_kind){0};
    return kind;
}

static avi_status fail_part(const avi_hdf5_request *a, const char *parent, const group_kind *kind)
{
    return avi_fail(AVI_ERR_DATA,
                    "[data] %s = %s: one of the three arrays of the sparse matrix %s (%lld rows of %lld) in %s; use "
                    "data.%s = %s",
                    a->dataset_key, a->dataset, parent, (long long)kind->shape[0], (long long)kind->shape[1], a->path,
                    a->dataset_key, parent);
}

static avi_status fail_columns(const avi_hdf5_request *a)
{
    char object[128] = "adata.X";
    const char *last = strrchr(a->dataset, '/');
    if (last && strstr(a->dataset, "layers/")) snprintf(object, sizeof object, "adata.layers[\"%.100s\"]", last + 1);
    return avi_fail(
        AVI_ERR_DATA,
        "[data] %s = %s: a sparse matrix in compressed columns (csc), whose rows lie far apart in %s; write "
        "it in compressed rows, with AnnData: %s = %s.tocsr(); adata.write_h5ad(...)",
        a->dataset_key, a->dataset, a->path, object, object);
}

/* By links that lead to regular files alone. */
static hid_t open_object(hid_t file, const char *name)
{
    avi_hdf5_links links;
    const hid_t access = name[0] ? avi_hdf5_link_access(&links) : H5I_INVALID_HID,
                object = access >= 0 ? H5Oopen(file, name, access) : H5I_INVALID_HID;
    if (access >= 0) H5Pclose(access);
    return object;
}

/* A dataset that is a part of such a matrix leads to rows of one value. */
static avi_status ask_parent(const avi_hdf5_request *a, hid_t file)
{
    char parent[TEXT];
    const char *slash = strrchr(a->dataset, '/');
    if (!slash || slash == a->dataset || (size_t)(slash - a->dataset) >= sizeof parent) return AVI_OK;
    if (strcmp(slash, "/data") && strcmp(slash, "/indices") && strcmp(slash, "/indptr")) return AVI_OK;
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - a->dataset), a->dataset);
    const hid_t group = open_object(file, parent);
    const group_kind kind = group >= 0 ? kind_of(group) : (group_kind){0};
    if (group >= 0) H5Oclose(group);
    return kind.rows ? fail_part(a, parent, &kind) : AVI_OK;
}

static avi_status ask(const avi_hdf5_request *a, hid_t file, bool *is_sparse)
{
    const hid_t object = open_object(file, a->dataset);
    if (object < 0) return AVI_OK; /* opening it as a dataset says what is there */
    group_kind kind = {0};
    avi_status status = AVI_OK;
    if (H5Iget_type(object) == H5I_GROUP)
        kind = kind_of(object);
    else
        status = ask_parent(a, file);
    if (H5Iget_type(object) == H5I_GROUP && H5Aexists(object, "MATLAB_sparse") > 0)
        status = avi_fail(AVI_ERR_DATA, "[data] %s = %s: a sparse matrix of MATLAB; save it dense: x = full(x)",
                          a->dataset_key, a->dataset);
    H5Oclose(object);
    *is_sparse = kind.rows;
    return kind.columns ? fail_columns(a) : status;
}

avi_status avi_hdf5_sparse_ask(const avi_hdf5_request *a, bool *is_sparse)
{
    hid_t file = H5I_INVALID_HID;
    avi_status status;
    *is_sparse = false;
    H5E_BEGIN_TRY
    {
        status = avi_hdf5_open_file(a, &file);
        if (status == AVI_OK) status = ask(a, file, is_sparse);
        if (file >= 0) H5Fclose(file);
    }
    H5E_END_TRY;
    return status;
}

/* ---- open ---- */

static avi_status open_part(avi_hdf5 *x, const avi_hdf5_request *a, const char *name)
{
    char dataset[TEXT];
    if (snprintf(dataset, sizeof dataset, "%s/%s", a->dataset, name) >= (int)sizeof dataset)
        return avi_fail(AVI_ERR_DATA, "[data] %s: the name is too long", a->dataset_key);
    avi_hdf5_request part = *a;
    part.dataset = dataset;
    part.columns = "";
    part.transpose = "no";
    part.rows = "0";
    avi_status status = avi_hdf5_open(x, &part);
    if (status != AVI_OK && x->dimensions == 1 && x->dimension[0] == 0) {
        avi_error_clear();
        return avi_fail(AVI_ERR_DATA, "%s: the sparse matrix %s is 0 everywhere", a->path, a->dataset);
    }
    AVI_TRY(status);
    return x->dimensions == 1 ? AVI_OK
                              : avi_fail(AVI_ERR_DATA, "%s: %s is no array of one dimension", a->path, dataset);
}

/* Where the columns of the matrix go, when some are picked. */
static avi_status pick_columns(avi_hdf5_sparse *x, const avi_hdf5_request *a)
{
    int64_t *pick = NULL;
    char where[TEXT], **all = x->name;
    snprintf(where, sizeof where, "%.300s: %.150s", a->path, a->dataset);
    AVI_TRY(avi_hdf5_parse_columns(where, a->columns, x->columns, x->name, &pick, &x->width));
    if (!pick) return AVI_OK;
    x->place = malloc((size_t)x->columns * sizeof *x->place);
    x->name = all ? calloc((size_t)x->width + 1, sizeof *x->name) : NULL;
    bool good = x->place && (x->name || !all), twice = false;
    for (int64_t k = 0; good && k < x->columns; k++) x->place[k] = -1;
    for (int64_t k = 0; good && k < x->width; k++) {
        twice = twice || x->place[pick[k]] >= 0;
        x->place[pick[k]] = k;
        if (all) good = (x->name[k] = strdup(all[pick[k]])) != NULL;
    }
    avi_hdf5_free_names(&all, x->columns);
    free(pick);
    if (!good) return avi_fail_memory((size_t)x->columns * sizeof *x->place, "the columns");
    return twice ? avi_fail(AVI_ERR_DATA, "%s: [data] columns names a column twice; name each once", where) : AVI_OK;
}

static avi_status open_all(avi_hdf5_sparse *x, const avi_hdf5_request *a)
{
    AVI_TRY(open_part(&x->data, a, "data"));
    AVI_TRY(open_part(&x->indices, a, "indices"));
    AVI_TRY(open_part(&x->indptr, a, "indptr"));
    const hid_t group = open_object(x->data.file, a->dataset);
    const group_kind kind = group >= 0 ? kind_of(group) : (group_kind){0};
    if (kind.tenx) x->name = avi_hdf5_anndata_names(group, "", "features", kind.shape[1]);
    if (group >= 0) H5Oclose(group);
    x->rows = kind.shape[0];
    x->columns = x->width = kind.shape[1];
    if (!kind.rows || x->rows < 1 || x->columns < 1 || x->columns > INT32_MAX || x->indptr.rows != x->rows + 1 ||
        x->indices.rows != x->data.rows)
        return avi_fail(AVI_ERR_DATA,
                        "%s: the sparse matrix %s says %lld rows of %lld, but has %lld row starts, %lld columns and "
                        "%lld values: damaged, or not of AnnData's form",
                        a->path, a->dataset, (long long)x->rows, (long long)x->columns, (long long)x->indptr.rows - 1,
                        (long long)x->indices.rows, (long long)x->data.rows);
    if (!x->name && !kind.tenx) x->name = avi_hdf5_anndata_names(x->data.file, a->dataset, "var", x->columns);
    return pick_columns(x, a);
}

avi_status avi_hdf5_sparse_open(avi_hdf5_sparse *x, const avi_hdf5_request *a)
{
    avi_status status;
    *x = (avi_hdf5_sparse){0};
    x->data.file = x->indices.file = x->indptr.file = H5I_INVALID_HID;
    x->data.dataset = x->indices.dataset = x->indptr.dataset = H5I_INVALID_HID;
    x->data.space = x->indices.space = x->indptr.space = H5I_INVALID_HID;
    H5E_BEGIN_TRY { status = open_all(x, a); }
    H5E_END_TRY;
    return status;
}

void avi_hdf5_sparse_close(avi_hdf5_sparse *x)
{
    avi_hdf5_free_names(&x->name, x->width);
    avi_hdf5_close(&x->data);
    avi_hdf5_close(&x->indices);
    avi_hdf5_close(&x->indptr);
    free(x->place);
    free(x->pointer);
    free(x->index);
    free(x->value);
    *x = (avi_hdf5_sparse){0};
    x->data.file = x->indices.file = x->indptr.file = H5I_INVALID_HID;
    x->data.dataset = x->indices.dataset = x->indptr.dataset = H5I_INVALID_HID;
    x->data.space = x->indices.space = x->indptr.space = H5I_INVALID_HID;
}

/* ---- read ---- */

/* Values of a part as doubles, whatever they are in memory. */
static avi_status read_part(avi_hdf5 *x, int64_t first, int64_t count, double *out)
{
    AVI_TRY(avi_hdf5_read(x, first, count, out));
    if (x->dtype == AVI_F64) return AVI_OK;
    const unsigned char *from = (const unsigned char *)out;
    for (int64_t i = count; i-- > 0;) { /* from the end: they grow in place */
        float single;
        memcpy(&single, from + (size_t)i * sizeof single * (x->dtype == AVI_F32), sizeof single);
        out[i] = x->dtype == AVI_U8 ? (double)from[i] : (double)single;
    }
    return AVI_OK;
}

static avi_status reserve(double **array, int64_t *most, int64_t wanted, double **other)
{
    if (wanted <= *most) return AVI_OK;
    free(*array);
    *array = malloc((size_t)wanted * sizeof **array);
    if (other) {
        free(*other);
        *other = malloc((size_t)wanted * sizeof **other);
    }
    *most = *array && (!other || *other) ? wanted : 0;
    return *most ? AVI_OK : avi_fail_memory((size_t)wanted * sizeof **array, "a sparse matrix");
}

static avi_status fail_damaged(const avi_hdf5_sparse *x, int64_t row)
{
    return avi_fail(AVI_ERR_DATA,
                    "%s: the sparse matrix is damaged in row %lld: its starts or columns are out of range",
                    x->data.path, (long long)row);
}

/* Where the values of rows begin, [first, first + count]: in ascending order, within what there is. */
static avi_status read_pointers(avi_hdf5_sparse *x, int64_t first, int64_t count)
{
    AVI_TRY(reserve(&x->pointer, &x->pointer_most, count + 1, NULL));
    AVI_TRY(read_part(&x->indptr, first, count + 1, x->pointer));
    for (int64_t i = 0; i <= count; i++) {
        const double low = i ? x->pointer[i - 1] : 0;
        if (!(x->pointer[i] >= low && x->pointer[i] <= (double)x->data.rows)) return fail_damaged(x, first + i);
    }
    return AVI_OK;
}

avi_status avi_hdf5_sparse_read(avi_hdf5_sparse *x, int64_t first, int64_t count, double *out)
{
    memset(out, 0, (size_t)(count * x->width) * sizeof *out);
    if (count == 0) return AVI_OK;
    AVI_TRY(read_pointers(x, first, count));
    const int64_t begin = (int64_t)x->pointer[0], values = (int64_t)x->pointer[count] - begin;
    AVI_TRY(reserve(&x->index, &x->value_most, values, &x->value));
    if (values > 0) AVI_TRY(read_part(&x->indices, begin, values, x->index));
    if (values > 0) AVI_TRY(read_part(&x->data, begin, values, x->value));
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = (int64_t)x->pointer[i] - begin; k < (int64_t)x->pointer[i + 1] - begin; k++) {
            if (!(x->index[k] >= 0 && x->index[k] < (double)x->columns)) return fail_damaged(x, first + i);
            const int64_t column = (int64_t)x->index[k], at = x->place ? x->place[column] : column;
            if (at >= 0) out[i * x->width + at] += x->value[k];
        }
    return AVI_OK;
}
