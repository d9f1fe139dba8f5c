#include "hdf5/hdf5_file.h"
#include "source/groups.h"
#include "hdf5/hdf5_probe.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every rank opens the file by itself, read-only, and reads the rows it is asked for: no parallel driver is needed to
 * read. */
typedef struct source_rows {
    bool is_sparse, is_groups;
    avi_hdf5_groups groups;
    avi_hdf5 dense;
    avi_hdf5_sparse sparse;
    hid_t names; /* strings that name the rows, < 0: there are none */
    char *path;  /* for messages; owned */
} source_rows;

/* ---- the shape of a row ---- */

static bool few(hsize_t n) { return n >= 1 && n <= 4; }

/* What the dimensions of a row say, in its own order: (height, columns), or with channels first or last. */
static void image_of_dimensions(const avi_hdf5 *x, avi_shape *shape)
{
    hsize_t d[AVI_HDF5_DIMENSIONS];
    const int n = x->dimensions - 1;
    for (int i = 0; i < n; i++) d[i] = x->transposed ? x->dimension[n - 1 - i] : x->dimension[1 + i];
    if (n == 2) {
        shape->height = (int64_t)d[0];
    } else if (n == 3 && few(d[0]) && !few(d[2])) {
        shape->channels = (int64_t)d[0];
        shape->height = (int64_t)d[1];
    } else if (n == 3 && few(d[2])) {
        shape->channels = (int64_t)d[2];
        shape->height = (int64_t)d[0];
        shape->channels_last = d[2] > 1;
    }
    if (shape->height < 1) shape->height = 1;
    if (shape->channels < 1) shape->channels = 1;
    shape->columns = shape->width / shape->channels / shape->height;
}

static avi_status find_image(const avi_hdf5 *x, const avi_config *config, const avi_hdf5_request *a, avi_shape *shape)
{
    const int64_t height = avi_config_get_int(config, "data", "height");
    image_of_dimensions(x, shape);
    if (x->dimensions > 2 && height > 0 && height != shape->height)
        return avi_config_fail(config, "data", "height", "%s: dataset %s has images of height %lld; give that, or 0",
                               a->path, a->dataset, (long long)shape->height);
    if (x->dimensions > 2 || height == 0) return AVI_OK;
    if (shape->width % height != 0)
        return avi_config_fail(
            config, "data", "height",
            "%s: dataset %s has rows of %lld values; give a height that divides it, or 0 when rows are not images",
            a->path, a->dataset, (long long)shape->width);
    shape->height = height;
    shape->columns = shape->width / height;
    return AVI_OK;
}

/* ---- open ---- */

/* Entries of groups that lie apart in a long table: the row of the table. */
static int64_t row_of_entry(const avi_source *s, int64_t entry)
{
    return ((const source_rows *)s->self)->groups.order[entry];
}

static avi_status open_sparse(avi_source *s, const avi_config *config, avi_split split, const avi_hdf5_request *a,
                              avi_hdf5_sparse *x)
{
    AVI_TRY(avi_hdf5_sparse_open(x, a));
    s->shape.type = AVI_F64;
    s->shape.width = s->shape.columns = x->width;
    s->shape.height = 1;
    s->integers = x->data.integers;
    s->column_name = x->name;
    snprintf(s->label, sizeof s->label, "sparse matrix %s of %s", a->dataset, a->path);
    return avi_source_take_rows(s, config, split, x->rows);
}

static avi_status open_dense(avi_source *s, const avi_config *config, avi_split split, const avi_hdf5_request *a,
                             avi_hdf5 *x)
{
    AVI_TRY(avi_hdf5_open(x, a));
    s->shape.type = x->dtype;
    s->shape.width = x->width;
    s->integers = x->integers;
    s->column_name = x->name;
    avi_hdf5_describe_packing(x, s->packing, sizeof s->packing);
    s->may_be_turned = x->dimensions > 1 && !x->transposed && !strcmp(a->transpose, "auto");
    AVI_TRY(avi_source_take_rows(s, config, split, x->rows));
    return find_image(x, config, a, &s->shape);
}

static avi_status group_names(avi_source *s, int64_t first, int64_t count, char **name)
{
    return avi_hdf5_groups_names(&((const source_rows *)s->self)->groups, first, count, name);
}

/* Collective. Groups of entries are ragged rows. */
static avi_status open_groups(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split,
                              const avi_hdf5_request *a)
{
    source_rows *x = s->self = calloc(1, sizeof *x);
    AVI_TRY(avi_agree_memory(comm, x, sizeof *x, "a data source"));
    x->is_groups = true;
    x->names = H5I_INVALID_HID;
    x->dense.file = x->dense.dataset = x->dense.space = H5I_INVALID_HID;
    AVI_TRY(avi_groups_open(s, config, comm, split, a, &x->groups));
    if (x->groups.order) s->row_in_file = row_of_entry;
    if (x->groups.by_key) s->row_names = group_names;
    return AVI_OK;
}

static avi_status hdf5_row_names(avi_source *s, int64_t first, int64_t count, char **name)
{
    const source_rows *x = s->self;
    return avi_hdf5_read_names(x->names, x->path, first, count, name);
}

static avi_status open_here(avi_source *s, const avi_config *config, avi_split split, const avi_hdf5_request *a)
{
    source_rows *x = calloc(1, sizeof *x);
    if (!x) return avi_fail_memory(sizeof *x, "a data source");
    s->self = x;
    x->names = H5I_INVALID_HID;
    x->dense.file = x->dense.dataset = x->dense.space = H5I_INVALID_HID;
    AVI_TRY(avi_hdf5_sparse_ask(a, &x->is_sparse));
    AVI_TRY(x->is_sparse ? open_sparse(s, config, split, a, &x->sparse) : open_dense(s, config, split, a, &x->dense));
    x->names =
        x->is_sparse ? avi_hdf5_sparse_row_names(&x->sparse, a->dataset) : avi_hdf5_row_names(&x->dense, a->dataset);
    if (x->names >= 0 && !(x->path = strdup(a->path))) return avi_fail_memory(strlen(a->path), "a data source");
    if (x->names >= 0) s->row_names = hdf5_row_names;
    const double scale = avi_config_get_real(config, "data", "scale");
    s->shape.scale = scale != 0 ? scale : 1;
    if (scale == 0 && s->shape.type == AVI_U8 && s->shape.height > 1) { /* grey values; a table has numbers */
        s->shape.scale = 1.0 / 255;
        s->bits_or_grey = true;
    }
    return AVI_OK;
}

/* Collective. A damaged file can crash HDF5 or keep it busy for ever: a child of rank 0 meets that first. Chunks are
 * many and far apart, so there every rank has its share of them looked at. */
static avi_status look_first(const avi_hdf5_request *a, avi_comm *comm)
{
    const int rank = avi_comm_rank(comm), ranks = avi_comm_size(comm);
    bool in_parts = false;
    AVI_TRY(avi_agree(comm, rank == 0 ? avi_hdf5_probe(a, 0, ranks, &in_parts) : AVI_OK));
    AVI_TRY(avi_comm_bcast(comm, &in_parts, sizeof in_parts, 0));
    if (!in_parts || ranks == 1) return AVI_OK;
    return avi_agree(comm, rank > 0 ? avi_hdf5_probe(a, rank, ranks, &in_parts) : AVI_OK);
}

static avi_status hdf5_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    const bool test = split == AVI_TEST;
    const char *path = avi_config_get_string(config, "data", "path"),
               *other = avi_config_get_string(config, "data", "test_path");
    const bool second = test && other[0];
    const char *key = test ? "test_dataset" : "dataset", *dataset = avi_config_get_string(config, "data", key);
    if (second && !dataset[0]) { /* a second file has the rows under the same name unless told otherwise */
        key = "dataset";
        dataset = avi_config_get_string(config, "data", key);
    }
    if (test && !other[0] && !dataset[0]) return AVI_OK;
    if (path[0] == '\0')
        return avi_config_fail(config, "data", "path", "is not set; data.source = hdf5 needs an HDF5 file");
    char rows[32];
    snprintf(rows, sizeof rows, "%lld", (long long)avi_config_get_int(config, "data", test ? "test_rows" : "rows"));
    const avi_hdf5_request a = {.path_key = second ? "test_path" : "path",
                                .path = second ? other : path,
                                .dataset_key = key,
                                .dataset = dataset,
                                .columns = avi_config_get_string(config, "data", "columns"),
                                .transpose = avi_config_get_string(config, "data", "transpose"),
                                .rows = rows,
                                .group = avi_config_get_string(config, "data", "group")};
    bool is_groups = false;
    snprintf(s->label, sizeof s->label, "dataset %s of %s", a.dataset, a.path);
    AVI_TRY(look_first(&a, comm));
    AVI_TRY(avi_agree(comm, avi_hdf5_groups_ask(&a, &is_groups)));
    if (is_groups) return open_groups(s, config, comm, split, &a);
    return avi_agree(comm, open_here(s, config, split, &a));
}

/* ---- read, close ---- */

static avi_status hdf5_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    source_rows *x = s->self;
    if (x->is_groups) return avi_hdf5_groups_read(&x->groups, first, count, out);
    return x->is_sparse ? avi_hdf5_sparse_read(&x->sparse, first, count, out)
                        : avi_hdf5_read(&x->dense, first, count, out);
}

static void hdf5_close(avi_source *s)
{
    source_rows *x = s->self;
    if (x && x->is_groups) avi_hdf5_groups_close(&x->groups);
    if (x && x->names >= 0) H5Dclose(x->names);
    if (x) free(x->path);
    if (x && x->is_sparse) avi_hdf5_sparse_close(&x->sparse);
    if (x) avi_hdf5_close(&x->dense);
    free(x);
    s->self = NULL;
    s->column_name = NULL;
    s->row_names = NULL;
}

static const avi_key hdf5_keys[] = {
    AVI_ROWS_KEYS_FILE,
    {"data", "path", AVI_KEY_PATH, "", 0, 0, NULL, NULL, "training rows: an HDF5 file"},
    {"data", "dataset", AVI_KEY_STRING, "x", 0, 0, NULL, NULL,
     "dataset of the training rows: (rows), (rows, width), images (rows, height, columns), (rows, channels, height, "
     "columns) or (rows, height, columns, channels), compound rows; or a sparse matrix in compressed rows (AnnData: X, "
     "layers/NAME)"},
    {"data", "test_path", AVI_KEY_PATH, "", 0, 0, NULL, NULL,
     "test rows: an HDF5 file; empty = the file of the training rows"},
    {"data", "test_dataset", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "dataset of the test rows; empty = no test data, or the name in dataset when test_path is given"},
    {"data", "columns", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "columns of a table or fields of compound rows to use, in this order: names (in double quotes where they have "
     "a comma), numbers from 0 or ranges 5..9, separated by commas; empty = all"},
    {"data", "group", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "key column of a long table: rows with one key are the entries of one datapoint, in the order of its first row; "
     "empty: every row is a datapoint (a group with indptr and data has groups without a key)"},
    {"data", "transpose", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "yes: the last dimension counts the rows, as R, Julia and MATLAB write a matrix whose first dimension does; auto: "
     "yes where MATLAB wrote the dataset"},
    {"data", "scale", AVI_KEY_REAL, "0", 0, 0, NULL, NULL,
     "value = stored number * scale; 0 = 1/255 for images of 8-bit integers above 1, 1 else"},
    {"data", "height", AVI_KEY_INT, "0", 0, INT_MAX, NULL, "pixels",
     "height of an image when a row of a table is one; 0 = rows are not images, or their dimensions say so"},
};

static const avi_accepted hdf5_accepts[] = {
    {"a table in HDF5, one row per datapoint: integers of 8 to 64 bits, floats of 16 to 128, bool, either byte order",
     "`data.source=hdf5 data.path=mine.h5 data.dataset=x` (and `data.test_path`, `data.test_dataset`)"},
    {"rows of any shape: images (rows, height, columns), with channels first or last; 8-bit images are grey values / "
     "255, values 0 and 1 alone bits",
     "the same; `data.scale` for another scale, `data.height=28` where a row of a table is an image"},
    {"some columns of a table, or fields of compound rows (pandas, PyTables)",
     "`data.columns=age,weight,7..9`: names (of fields, of a dimension scale, of an attribute `columns`; in double "
     "quotes where they have a comma) or numbers from 0; `position.x` for a field of a field; `r,i` for complex "
     "numbers "
     "of h5py"},
    {"variables of netCDF: `scale_factor`, `add_offset`, `_FillValue` and `missing_value` are applied",
     "`data.dataset=temperature`, and `data.missing=mask` where values are missing"},
    {"sparse matrices in compressed rows: AnnData's `.h5ad`, 10x Genomics",
     "`data.dataset=X`, `layers/counts`, `raw/X`, `mod/rna/X` or `matrix`; names of columns and rows are kept"},
    {"groups of any number of entries (visits of a patient, answers of a school): a long table with a key column, or "
     "`indptr` and `data` (entries, columns); model `hier_logistic`",
     "`data.group=patient` (a name or a number; rows of a group may lie apart), or `data.dataset=` the group that has "
     "`indptr` and `data`"},
    {"what MATLAB (`-v7.3`), R (rhdf5, hdf5r) and Julia write: the dimensions the other way round",
     "nothing for MATLAB, else `data.transpose=yes`"},
    {"CSV", "`analysis/csv2h5.py table.csv mine.h5`, then as a table; names of columns and missing values are kept"},
    {"values that are missing (NaN)", "`data.missing=mask`, models `vae` and `ppca`"},
};

const avi_source_ops avi_source_hdf5 = {
    .name = "hdf5",
    .doc = "rows of a dataset in an HDF5 file, of numbers of any type, or of a sparse matrix; each rank reads its own",
    .keys = hdf5_keys,
    .key_count = (int)(sizeof hdf5_keys / sizeof hdf5_keys[0]),
    .exchangeable = true,
    .open = hdf5_open,
    .read = hdf5_read,
    .any_rank = true,
    .close = hdf5_close,
    .accepts = hdf5_accepts,
    .accept_count = (int)(sizeof hdf5_accepts / sizeof hdf5_accepts[0]),
};
