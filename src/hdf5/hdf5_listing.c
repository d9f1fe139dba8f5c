/* Where a name leads to no dataset: what is there instead, and which datasets there are. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LISTED = 16, TEXT = 512 };

/* ---- the datasets of a file or of a group ---- */

typedef struct listing {
    char text[1024];
    const char *prefix; /* of the names: "" or "group/" */
    size_t used;
    int datasets;
} listing;

static void list_add(listing *l, const char *text)
{
    const size_t bytes = strlen(text);
    if (l->used + bytes >= sizeof l->text) return;
    memcpy(l->text + l->used, text, bytes + 1);
    l->used += bytes;
}

/* Begins an entry; false, when no more are to be listed. */
static bool list_name(listing *l, const char *name)
{
    if (++l->datasets > MOST_LISTED) return false;
    list_add(l, l->datasets > 1 ? ", " : "");
    if (l->datasets < MOST_LISTED) list_add(l, l->prefix);
    list_add(l, l->datasets < MOST_LISTED ? name : "...");
    return l->datasets < MOST_LISTED;
}

static void list_dataset(listing *l, hid_t object, const char *name)
{
    if (!list_name(l, name)) return;
    const hid_t space = H5Dget_space(object);
    hsize_t dimension[H5S_MAX_RANK];
    const int n = space >= 0 ? H5Sget_simple_extent_dims(space, dimension, NULL) : -1;
    for (int i = 0; i < n; i++) {
        char number[32];
        snprintf(number, sizeof number, "%s%llu", i ? ", " : " (", (unsigned long long)dimension[i]);
        list_add(l, number);
    }
    if (n > 0) list_add(l, ")");
    if (space >= 0) H5Sclose(space);
}

/* What another listed thing is a part of is left out: the arrays of a sparse matrix, which is listed itself. */
static bool is_part_of_sparse(hid_t group, const char *name)
{
    char path[TEXT];
    const char *slash = strrchr(name, '/');
    if (!slash || (size_t)(slash - name) + 8 >= sizeof path) return false;
    snprintf(path, sizeof path, "%.*s/indptr", (int)(slash - name), name);
    return H5Lexists(group, path, H5P_DEFAULT) > 0 &&
           (!strcmp(slash, "/data") || !strcmp(slash, "/indices") || !strcmp(slash, "/indptr"));
}

static herr_t list_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    listing *l = context;
    if (info->type != H5L_TYPE_HARD) {
        if (list_name(l, name)) list_add(l, " (link)");
        return 0;
    }
    if (is_part_of_sparse(group, name)) {
        char text[TEXT];
        const char *slash = strrchr(name, '/');
        if (strcmp(slash, "/indptr") != 0) return 0;
        snprintf(text, sizeof text, "%.*s", (int)(slash - name), name);
        if (list_name(l, text)) list_add(l, " (sparse)");
        return 0;
    }
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return 0;
    if (H5Iget_type(object) == H5I_DATASET) list_dataset(l, object, name);
    H5Oclose(object);
    return 0;
}

/* ---- what the name leads to ---- */

/* "is a link to ..., which is not there", of a link that leads nowhere; else "". */
static void describe_link(hid_t file, const char *name, char *text, size_t size)
{
    H5L_info_t info;
    char value[256] = "";
    const char *other = NULL, *object = NULL;
    unsigned flags;
    text[0] = '\0';
    if (!name[0] || H5Lget_info(file, name, &info, H5P_DEFAULT) < 0 || info.type == H5L_TYPE_HARD) return;
    if (info.u.val_size >= sizeof value || H5Lget_val(file, name, value, sizeof value, H5P_DEFAULT) < 0) return;
    if (info.type == H5L_TYPE_SOFT)
        snprintf(text, size, "is a link to %.200s, which leads to no dataset", value);
    else if (info.type == H5L_TYPE_EXTERNAL &&
             H5Lunpack_elink_val(value, info.u.val_size, &flags, &other, &object) >= 0)
        snprintf(text, size,
                 "is a link to %.120s of the file %.160s, which leads to no dataset; put that file beside this one, or "
                 "name its folder in HDF5_EXT_PREFIX",
                 object, other);
}

avi_status avi_hdf5_fail_dataset(hid_t file, hid_t object, const avi_hdf5_request *a)
{
    char link[TEXT] = "", prefix[TEXT] = "";
    const bool group = object >= 0 && H5Iget_type(object) == H5I_GROUP && strspn(a->dataset, "/") < strlen(a->dataset);
    listing l = {.prefix = prefix};
    if (object < 0) describe_link(file, a->dataset, link, sizeof link);
    if (link[0]) return avi_fail(AVI_ERR_DATA, "[data] %s = %s: %s (in %s)", a->dataset_key, a->dataset, link, a->path);
    if (group) {
        snprintf(prefix, sizeof prefix, "%.400s/", a->dataset);
        (void)H5Lvisit(object, H5_INDEX_NAME, H5_ITER_INC, list_link, &l);
        if (!l.datasets)
            return avi_fail(AVI_ERR_DATA,
                            "[data] %s = %s: is a group of %s that has no datasets (attributes are not read); name a "
                            "dataset",
                            a->dataset_key, a->dataset, a->path);
        return avi_fail(AVI_ERR_DATA, "[data] %s = %s: is a group of %s, not a dataset; it has: %s", a->dataset_key,
                        a->dataset, a->path, l.text);
    }
    (void)H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, list_link, &l);
    return avi_fail(AVI_ERR_DATA, "[data] %s = %s: no such dataset in %s; %s%s", a->dataset_key, a->dataset, a->path,
                    l.datasets ? "it has: " : "it has no datasets", l.text);
}
