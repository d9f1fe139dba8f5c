#include "data/hdf5_file.h"
#include "data/hdf5_probe.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Every rank opens the file by itself, read-only, and reads the rows it is asked for: no parallel driver is needed to
 * read. */

static avi_status find_image(const avi_hdf5 *x, const avi_config *config, const avi_hdf5_request *a, avi_shape *shape)
{
    const int64_t height = avi_config_get_int(config, "data", "height");
    shape->height = x->dimensions == 3 ? (int64_t)x->dimension[1] : (height > 0 ? height : 1);
    if (x->dimensions == 3 && height > 0 && height != shape->height)
        return avi_config_fail(config, "data", "height", "%s: dataset %s has images of height %lld; give that, or 0",
                               a->path, a->dataset, (long long)shape->height);
    if (shape->width % shape->height != 0)
        return avi_config_fail(
            config, "data", "height",
            "%s: dataset %s has rows of %lld values; give a height that divides it, or 0 when rows are not images",
            a->path, a->dataset, (long long)shape->width);
    shape->columns = shape->width / shape->height;
    return AVI_OK;
}

static avi_status open_here(avi_source *s, const avi_config *config, avi_split split, const avi_hdf5_request *a)
{
    avi_hdf5 *x = calloc(1, sizeof *x);
    if (!x) return avi_fail_memory(sizeof *x, "a data source");
    s->self = x;
    AVI_TRY(avi_hdf5_open(x, a));
    s->shape.type = x->dtype;
    s->shape.width = x->width;
    AVI_TRY(avi_source_take_rows(s, config, split, (int64_t)x->dimension[0]));
    const double scale = avi_config_get_real(config, "data", "scale");
    s->shape.scale = scale != 0 ? scale : (s->shape.type == AVI_U8 ? 1.0 / 255 : 1.0);
    return find_image(x, config, a, &s->shape);
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
    } else if (test && !dataset[0]) {
        return AVI_OK;
    }
    if (!path[0] && !second)
        return avi_config_fail(config, "data", "path", "is not set; data.source = hdf5 needs an HDF5 file");
    const avi_hdf5_request a = {second ? "test_path" : "path", second ? other : path, key, dataset};
    snprintf(s->label, sizeof s->label, "dataset %s of %s", a.dataset, a.path);
    AVI_TRY(look_first(&a, comm));
    return avi_agree(comm, open_here(s, config, split, &a));
}

static avi_status hdf5_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    return avi_hdf5_read(s->self, first, count, out);
}

static void hdf5_close(avi_source *s)
{
    if (s->self) avi_hdf5_close(s->self);
    free(s->self);
    s->self = NULL;
}

static const avi_key hdf5_keys[] = {
    {"data", "path", AVI_KEY_PATH, "", 0, 0, NULL, NULL, "training rows: an HDF5 file"},
    {"data", "dataset", AVI_KEY_STRING, "x", 0, 0, NULL, NULL,
     "dataset of the training rows: (rows), (rows, width) or (rows, height, columns)"},
    {"data", "test_path", AVI_KEY_PATH, "", 0, 0, NULL, NULL,
     "test rows: an HDF5 file; empty = the file of the training rows"},
    {"data", "test_dataset", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "dataset of the test rows; empty = no test data, or the name in dataset when test_path is given"},
    {"data", "scale", AVI_KEY_REAL, "0", 0, 0, NULL, NULL,
     "value = stored number * scale; 0 = 1/255 for 8-bit integers, 1 else"},
    {"data", "height", AVI_KEY_INT, "0", 0, INT_MAX, NULL, "pixels",
     "height of an image when a row is one; 0 = rows are not images, or (rows, height, columns)"},
};

const avi_source_ops avi_source_hdf5 = {
    .name = "hdf5",
    .doc = "rows of a dataset in an HDF5 file: 8-bit integers or floats; each rank reads its own",
    .keys = hdf5_keys,
    .key_count = (int)(sizeof hdf5_keys / sizeof hdf5_keys[0]),
    .exchangeable = true,
    .open = hdf5_open,
    .read = hdf5_read,
    .any_rank = true,
    .close = hdf5_close,
};
