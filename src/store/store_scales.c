/* Dimension scales of results: every axis of a dataset has a scale with the axis's name in the dataset's group,
 * attached as the netCDF-4 and HDF5 libraries do it, so that readers (xarray, netCDF, h5py) find dimensions with names.
 * A dataset of one dimension that is called like its own axis holds the coordinates of that axis and is the scale
 * itself; other scales have a size and no values. */
#include "store/store_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 64, PATH = 512, DIMENSIONS = 4 };

typedef struct scale {
    char path[PATH];
    int64_t size;
    int field;   /* that is the scale itself; -1: made for it */
    size_t uses; /* dimensions that it is attached to */
} scale;

struct avi_store_scales {
    const avi_store_plan *plan;
    scale *scale;
    int count;
    int (*of)[DIMENSIONS];                 /* (fields) the scale of each dimension */
    char (*axes)[DIMENSIONS * (NAME + 2)]; /* (fields) their names */
};

/* ---- which scales there are ---- */

static bool has_axes(const avi_field *f) { return !f->text && f->rank > 0; }

/* Name d of the axes of a field, of letters, digits and underscores; "axis" where it has fewer names. */
static void axis_name(const avi_field *f, int d, char name[NAME])
{
    const char *at = f->axes ? f->axes : "";
    size_t n = 0;
    for (; d > 0 && at; d--) at = (at = strchr(at, ',')) ? at + 1 : NULL;
    if (at) at += strspn(at, " ");
    for (; at && *at && *at != ',' && n + 1 < NAME; at++) name[n++] = isalnum((unsigned char)*at) ? *at : '_';
    name[n] = '\0';
    if (!n) snprintf(name, NAME, "axis");
}

static size_t group_length(const char *path) { return (size_t)(strrchr(path, '/') - path); }

/* A dataset whose own axis is called like it. */
static bool is_coordinate(const avi_field *f)
{
    char name[NAME];
    if (!has_axes(f) || f->rank != 1) return false;
    axis_name(f, 0, name);
    return !strcmp(strrchr(f->path, '/') + 1, name);
}

/* Whether a scale of that size may have the name: no other dataset and no group has it. *field: the dataset that is the
 * scale, else -1. */
static bool is_free(const avi_store_plan *plan, const char *path, int64_t size, int *field)
{
    const size_t n = strlen(path);
    *field = -1;
    for (int i = 0; i < plan->count; i++) {
        const avi_field *f = &plan->fields[i];
        if (strncmp(f->path, path, n) != 0) continue;
        if (f->path[n] == '/') return false;
        if (f->path[n]) continue;
        if (!is_coordinate(f) || f->dims[0] != size) return false;
        *field = i;
    }
    return true;
}

static scale *find(const avi_store_scales *s, const char *path)
{
    for (int i = 0; i < s->count; i++)
        if (!strcmp(s->scale[i].path, path)) return &s->scale[i];
    return NULL;
}

static bool is_used(const int *of, int d, int which)
{
    for (int i = 0; i < d; i++)
        if (of[i] == which) return true;
    return false;
}

/* The scale of that dimension, new or shared. The same name with another size is another one: its size is added to the
 * name. */
static avi_status choose(avi_store_scales *s, int i, int d, const char **name)
{
    const avi_field *f = &s->plan->fields[i];
    char axis[NAME], path[PATH];
    axis_name(f, d, axis);
    for (int attempt = 0; attempt < 100; attempt++) {
        int n = snprintf(path, sizeof path, "%.*s/%s", (int)group_length(f->path), f->path, axis), field;
        if (attempt > 0 && n < PATH) n += snprintf(path + n, sizeof path - (size_t)n, "_%lld", (long long)f->dims[d]);
        if (attempt > 1 && n < PATH) n += snprintf(path + n, sizeof path - (size_t)n, "_%d", attempt);
        if (n >= PATH) break;
        scale *there = find(s, path);
        if (!there && is_free(s->plan, path, f->dims[d], &field)) {
            there = &s->scale[s->count++];
            *there = (scale){.size = f->dims[d], .field = field};
            memcpy(there->path, path, sizeof path);
        }
        if (!there || there->size != f->dims[d] || is_used(s->of[i], d, (int)(there - s->scale))) continue;
        s->of[i][d] = (int)(there - s->scale);
        if (there->field != i) there->uses++;
        *name = strrchr(there->path, '/') + 1;
        return AVI_OK;
    }
    return avi_fail(AVI_ERR_INTERNAL, "dataset %s: no name for the scale of dimension %d", f->path, d);
}

static avi_status choose_all(avi_store_scales *s)
{
    for (int i = 0; i < s->plan->count; i++) {
        size_t used = 0;
        for (int d = 0; has_axes(&s->plan->fields[i]) && d < s->plan->fields[i].rank; d++) {
            const char *name;
            AVI_TRY(choose(s, i, d, &name));
            used += (size_t)snprintf(s->axes[i] + used, sizeof s->axes[i] - used, "%s%.*s", d ? ", " : "", NAME, name);
        }
    }
    return AVI_OK;
}

avi_status avi_store_scales_create(const avi_store_plan *plan, avi_store_scales **scales)
{
    const size_t n = (size_t)plan->count + 1;
    avi_store_scales *s = *scales = calloc(1, sizeof *s);
    if (!s) return avi_fail_memory(sizeof *s, "dimension scales");
    s->plan = plan;
    s->scale = malloc(n * DIMENSIONS * sizeof *s->scale);
    s->of = calloc(n, sizeof *s->of);
    s->axes = calloc(n, sizeof *s->axes);
    if (!s->scale || !s->of || !s->axes) return avi_fail_memory(n * DIMENSIONS * sizeof *s->scale, "dimension scales");
    return choose_all(s);
}

void avi_store_scales_destroy(avi_store_scales **scales)
{
    avi_store_scales *s = *scales;
    if (!s) return;
    free(s->scale);
    free(s->of);
    free(s->axes);
    free(s);
    *scales = NULL;
}

const char *avi_store_scales_axes(const avi_store_scales *s, int field) { return s->axes[field]; }

int64_t avi_store_scales_bytes(const avi_store_plan *plan)
{
    int64_t bytes = 65536; /* of the heap of references, which grows by pages */
    for (int i = 0; i < plan->count; i++) bytes += 512 + (has_axes(&plan->fields[i]) ? plan->fields[i].rank : 0) * 4096;
    return bytes;
}

/* ---- in the file ---- */

/* What the HDF5 library's H5DS functions and netCDF-4 write. */
typedef struct reference {
    hobj_ref_t dataset;
    int dimension;
} reference;

static herr_t put_array(hid_t object, const char *name, hid_t type, size_t n, const void *values)
{
    const hsize_t dims = n;
    const hid_t space = H5Screate_simple(1, &dims, NULL);
    const hid_t attribute = space < 0 ? -1 : H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0 || H5Awrite(attribute, type, values) < 0) return -1;
    H5Aclose(attribute);
    return H5Sclose(space);
}

static herr_t put_list(hid_t file, const avi_store_scales *s, int i, hid_t dataset)
{
    hobj_ref_t to[DIMENSIONS];
    hvl_t list[DIMENSIONS];
    const int rank = s->plan->fields[i].rank;
    const hid_t type = H5Tvlen_create(H5T_STD_REF_OBJ);
    for (int d = 0; d < rank; d++) {
        if (H5Rcreate(&to[d], file, s->scale[s->of[i][d]].path, H5R_OBJECT, -1) < 0) return -1;
        list[d] = (hvl_t){.len = 1, .p = &to[d]};
    }
    if (type < 0 || put_array(dataset, "DIMENSION_LIST", type, (size_t)rank, list) < 0) return -1;
    return H5Tclose(type);
}

/* Where the scale is attached. */
static herr_t put_references(hid_t file, const avi_store_scales *s, const scale *one, hid_t dataset)
{
    const avi_store_plan *plan = s->plan;
    reference *all = calloc(one->uses + 1, sizeof *all);
    size_t n = 0;
    herr_t result = all ? 0 : -1;
    for (int i = 0; i < plan->count && result >= 0; i++)
        for (int d = 0; has_axes(&plan->fields[i]) && d < plan->fields[i].rank && result >= 0; d++) {
            if (&s->scale[s->of[i][d]] != one || one->field == i) continue;
            all[n].dimension = d;
            result = H5Rcreate(&all[n++].dataset, file, plan->fields[i].path, H5R_OBJECT, -1);
        }
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof *all);
    if (result >= 0 && (type < 0 || H5Tinsert(type, "dataset", HOFFSET(reference, dataset), H5T_STD_REF_OBJ) < 0 ||
                        H5Tinsert(type, "dimension", HOFFSET(reference, dimension), H5T_NATIVE_INT) < 0 ||
                        put_array(dataset, "REFERENCE_LIST", type, n, all) < 0))
        result = -1;
    free(all);
    if (type >= 0) H5Tclose(type);
    return result;
}

/* A scale that has a size alone: no space is taken, since nothing is ever written. */
static hid_t make_scale(hid_t file, const scale *one)
{
    const hsize_t size = (hsize_t)one->size;
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &size, NULL);
    if (plist < 0 || space < 0 || H5Pset_obj_track_times(plist, false) < 0 ||
        H5Pset_attr_creation_order(plist, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0)
        return -1;
    const hid_t dataset = H5Dcreate2(file, one->path, H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Pclose(plist);
    H5Sclose(space);
    return dataset;
}

static herr_t put_scale(hid_t file, const avi_store_scales *s, const scale *one)
{
    char name[NAME + 16];
    snprintf(name, sizeof name, "%.*s", NAME, strrchr(one->path, '/') + 1);
    const hid_t dataset = one->field < 0 ? make_scale(file, one) : H5Dopen2(file, one->path, H5P_DEFAULT);
    if (dataset < 0) return -1;
    if (one->field < 0 && (avi_h5_put_text(dataset, "description", "names a dimension and has no values") < 0 ||
                           avi_h5_put_text(dataset, "units", "") < 0 || avi_h5_put_text(dataset, "axes", name) < 0))
        return -1;
    /* The words by which netCDF-4 tells a dimension without coordinates. */
    if (one->field < 0)
        snprintf(name, sizeof name, "This is a netCDF dimension but not a netCDF variable.%10lld",
                 (long long)one->size);
    if (avi_h5_put_text(dataset, "CLASS", AVI_STORE_SCALE) < 0 || avi_h5_put_text(dataset, "NAME", name) < 0) return -1;
    if (one->uses > 0 && put_references(file, s, one, dataset) < 0) return -1;
    return H5Dclose(dataset);
}

avi_status avi_store_scales_put(const avi_store_scales *s, hid_t file)
{
    const avi_store_plan *plan = s->plan;
    for (int i = 0; i < s->count; i++)
        if (put_scale(file, s, &s->scale[i]) < 0)
            return avi_h5_fail(AVI_ERR_IO, plan->path, "cannot make dimension scale", s->scale[i].path);
    for (int i = 0; i < plan->count; i++) {
        if (!has_axes(&plan->fields[i]) || s->scale[s->of[i][0]].field == i) continue;
        const hid_t dataset = H5Dopen2(file, plan->fields[i].path, H5P_DEFAULT);
        if (dataset < 0 || put_list(file, s, i, dataset) < 0 || H5Dclose(dataset) < 0)
            return avi_h5_fail(AVI_ERR_IO, plan->path, "cannot name the dimensions of", plan->fields[i].path);
    }
    return AVI_OK;
}

/* ---- in a file that is read ---- */

bool avi_store_is_scale(hid_t file, const char *path)
{
    const hid_t object = H5Oopen(file, path, H5P_DEFAULT);
    const bool is = object >= 0 && H5Iget_type(object) == H5I_DATASET && H5Aexists(object, "CLASS") > 0 &&
                    (H5Aexists(object, "checksum") == 0 || H5Aexists(object, "_Encoding") > 0);
    if (object >= 0) H5Oclose(object);
    return is;
}
