/* Which groups a file has, and their entries. A long table may have the rows of a group anywhere: they are then found
 * by a list of all rows, and read in the order of the file a piece at a time. */
#include "hdf5/hdf5_groups.h"
#include "hdf5/hdf5_links.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 512, PIECE = 1 << 16 };
/* Rows between two that are wanted which are rather read than passed over, and rows that are read at once. */
enum { GAP = 256, MOST_ROWS = 4096 };

/* ---- what a request leads to ---- */

static bool has(hid_t group, const char *name) { return H5Lexists(group, name, H5P_DEFAULT) > 0; }

static bool is_compressed(const avi_hdf5_request *a, hid_t file)
{
    avi_hdf5_links links;
    const hid_t access = a->dataset[0] ? avi_hdf5_link_access(&links) : H5I_INVALID_HID,
                object = access >= 0 ? H5Oopen(file, a->dataset, access) : H5I_INVALID_HID;
    const bool is = object >= 0 && H5Iget_type(object) == H5I_GROUP && has(object, "indptr") && has(object, "data") &&
                    !has(object, "indices");
    if (access >= 0) H5Pclose(access);
    if (object >= 0) H5Oclose(object);
    return is;
}

static avi_status ask(const avi_hdf5_request *a, bool *is_groups)
{
    hid_t file = H5I_INVALID_HID;
    AVI_TRY(avi_hdf5_open_file(a, &file));
    const bool compressed = is_compressed(a, file);
    H5Fclose(file);
    *is_groups = compressed || a->group[0];
    if (compressed && a->group[0])
        return avi_fail(
            AVI_ERR_DATA,
            "[data] group = %s: dataset %s of %s has indptr and data, which say where its groups are; leave "
            "data.group out",
            a->group, a->dataset, a->path);
    return AVI_OK;
}

avi_status avi_hdf5_groups_ask(const avi_hdf5_request *a, bool *is_groups)
{
    avi_status status;
    *is_groups = false;
    H5E_BEGIN_TRY { status = ask(a, is_groups); }
    H5E_END_TRY;
    return status;
}

/* ---- open ---- */

static void clear(avi_hdf5_groups *x)
{
    *x = (avi_hdf5_groups){0};
    x->table.file = x->table.dataset = x->table.space = H5I_INVALID_HID;
    x->index.file = x->index.dataset = x->index.space = H5I_INVALID_HID;
}

static avi_status open_compressed(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    char data[TEXT], indptr[TEXT];
    if (snprintf(data, sizeof data, "%s/data", a->dataset) >= TEXT ||
        snprintf(indptr, sizeof indptr, "%s/indptr", a->dataset) >= TEXT)
        return avi_fail(AVI_ERR_DATA, "[data] %s: the name is too long", a->dataset_key);
    avi_hdf5_request part = *a;
    part.rows = "0";
    part.dataset = data;
    AVI_TRY(avi_hdf5_open(&x->table, &part));
    part.dataset = indptr;
    part.columns = "";
    part.transpose = "no";
    AVI_TRY(avi_hdf5_open(&x->index, &part));
    if (x->index.dimensions == 1 && x->index.integers && x->index.rows >= 2) return AVI_OK;
    return avi_fail(AVI_ERR_DATA,
                    "%s: %s is not what says where groups begin; write one dimension of integers from 0 to the entries "
                    "of %s, one more than there are groups",
                    a->path, indptr, data);
}

/* The columns of the table that are not its key. */
static avi_status open_without_key(avi_hdf5_groups *x, const avi_hdf5_request *part, int64_t key, int64_t columns)
{
    char text[TEXT] = "";
    avi_hdf5_request rest = *part;
    if (columns < 2)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has nothing but the key column %s; use a table with values beside it",
                        part->path, part->dataset, part->group);
    if (key > 0) snprintf(text, sizeof text, "0..%lld", (long long)key - 1);
    if (key + 1 < columns)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld..%lld", key > 0 ? "," : "",
                 (long long)key + 1, (long long)columns - 1);
    rest.columns = text;
    return avi_hdf5_open(&x->table, &rest);
}

/* What is wrong with a column is said of data.columns: here of the key. */
static avi_status name_key(const avi_hdf5_request *a, avi_status status)
{
    char text[2 * TEXT];
    if (status != AVI_ERR_DATA) return status;
    snprintf(text, sizeof text, "%s", avi_error_text());
    avi_error_clear();
    return avi_fail(status, "[data] group = %s: no key column: %s", a->group, text);
}

static avi_status open_by_key(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    avi_hdf5_request part = *a;
    part.rows = "0";
    part.columns = a->group;
    AVI_TRY(name_key(a, avi_hdf5_open(&x->index, &part)));
    const bool compound = x->index.dimensions == 1 && x->index.name;
    if (x->index.dimensions != 2 && !compound)
        return avi_fail(AVI_ERR_DATA,
                        "[data] group = %s: dataset %s of %s has %d dimension%s, and columns are those of a table; use "
                        "a dataset (entries, columns), or a group with indptr and data",
                        a->group, a->dataset, a->path, x->index.dimensions, x->index.dimensions == 1 ? "" : "s");
    if (x->index.width != 1)
        return avi_fail(AVI_ERR_DATA, "[data] group = %s: is not one column but %lld; name one", a->group,
                        (long long)x->index.width);
    part.columns = a->columns;
    if (a->columns[0] || compound) return avi_hdf5_open(&x->table, &part);
    const int64_t columns = (int64_t)x->index.dimension[x->index.transposed ? 0 : 1];
    return open_without_key(x, &part, x->index.pick_first, columns);
}

avi_status avi_hdf5_groups_open(avi_hdf5_groups *x, const avi_hdf5_request *a)
{
    clear(x);
    x->by_key = a->group[0] != '\0';
    AVI_TRY(x->by_key ? open_by_key(x, a) : open_compressed(x, a));
    if (x->table.dimensions <= 2) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: dataset %s: entries of %d dimensions; write each as one row of a table", a->path,
                    a->dataset, x->table.dimensions - 1);
}

void avi_hdf5_groups_close(avi_hdf5_groups *x)
{
    avi_hdf5_close(&x->table);
    avi_hdf5_close(&x->index);
    free(x->first_entry);
    free(x->order);
    free(x->key);
    free(x->place);
    free(x->room);
    clear(x);
}

/* ---- read ---- */

typedef struct avi_hdf5_place {
    int64_t row, to; /* a stored row, and the entry of the piece that it is */
} place;

static int by_row(const void *a, const void *b)
{
    const place *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* As many of n places as lie near each other. */
static int64_t near(const place *p, int64_t n)
{
    int64_t k = 1;
    while (k < n && p[k].row - p[k - 1].row <= GAP && p[k].row - p[0].row < MOST_ROWS) k++;
    return k;
}

static avi_status read_piece(avi_hdf5_groups *x, int64_t first, int64_t count, unsigned char *out)
{
    const size_t bytes = (size_t)x->table.width * avi_dtype_size(x->table.dtype);
    place *p = x->place;
    for (int64_t i = 0; i < count; i++) p[i] = (place){x->order[first + i], i};
    qsort(p, (size_t)count, sizeof *p, by_row);
    for (int64_t at = 0, n; at < count; at += n) {
        n = near(p + at, count - at);
        AVI_TRY(avi_hdf5_read(&x->table, p[at].row, p[at + n - 1].row - p[at].row + 1, x->room));
        for (int64_t i = at; i < at + n; i++)
            memcpy(out + (size_t)p[i].to * bytes, x->room + (size_t)(p[i].row - p[at].row) * bytes, bytes);
    }
    return AVI_OK;
}

avi_status avi_hdf5_groups_read(avi_hdf5_groups *x, int64_t first, int64_t count, void *out)
{
    const size_t bytes = (size_t)x->table.width * avi_dtype_size(x->table.dtype);
    if (!x->order) return avi_hdf5_read(&x->table, first, count, out);
    if (!x->place) x->place = malloc(PIECE * sizeof *x->place);
    if (!x->room) x->room = malloc((MOST_ROWS + 1) * bytes);
    if (!x->place || !x->room)
        return avi_fail_memory(PIECE * sizeof *x->place + MOST_ROWS * bytes, "entries of groups");
    for (int64_t at = 0, n; at < count; at += n) {
        n = count - at < PIECE ? count - at : PIECE;
        AVI_TRY(read_piece(x, first + at, n, (unsigned char *)out + (size_t)at * bytes));
    }
    return AVI_OK;
}
