/* What a store holds: names of its objects and their attributes, for a writer that keeps what others wrote. */
#include "store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As much as files of avi_mpi stay far below. */
enum { MOST_OBJECTS = 200000, MOST_ATTRIBUTES = 1000, MOST_TEXT = 1 << 20 };

/* ---- names ---- */

typedef struct names {
    FILE *out;
    int64_t objects;
} names;

static herr_t add_name(hid_t root, const char *name, const H5O_info_t *info, void *state)
{
    names *n = state;
    if (!strcmp(name, ".")) return 0; /* the root itself */
    if (++n->objects > MOST_OBJECTS) return -1;
    if (info->type == H5O_TYPE_DATASET && avi_store_is_scale(root, name)) return 0;
    return fprintf(n->out, "/%s%s\n", name, info->type == H5O_TYPE_DATASET ? "" : "/") > 0 ? 0 : -1;
}

avi_status avi_store_list_local(hid_t file, const char *path, char **text)
{
    size_t bytes = 0;
    names n = {.out = open_memstream(text, &bytes)};
    if (!n.out) return avi_fail_memory(1, "the names in a file");
    avi_status status = AVI_OK;
    if (H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, add_name, &n) < 0)
        status = avi_h5_fail(AVI_ERR_DATA, path, "cannot list", "");
    if (fclose(n.out) != 0 && status == AVI_OK) status = avi_fail_memory(bytes, "the names in a file");
    return status;
}

/* ---- attributes: as bytes that every rank takes apart; a name, a letter, and a text or eight bytes ---- */

typedef struct packer {
    FILE *out;
    int count;
} packer;

static void pack(packer *p, const char *name, char kind, const void *value, size_t bytes)
{
    fwrite(name, 1, strlen(name) + 1, p->out);
    fputc(kind, p->out);
    fwrite(value, 1, bytes, p->out);
    p->count++;
}

/* Numbers and texts; what else an attribute may be is none of ours and is left out. */
static herr_t pack_one(hid_t object, const char *name, const H5A_info_t *info, void *state)
{
    packer *p = state;
    if (p->count >= MOST_ATTRIBUTES) return -1;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return -1;
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    const H5T_class_t kind = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    const bool single = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    herr_t code = 0;
    double real;
    int64_t integer;
    if (single && kind == H5T_FLOAT && (code = H5Aread(attribute, H5T_NATIVE_DOUBLE, &real)) >= 0)
        pack(p, name, 'r', &real, sizeof real);
    if (single && kind == H5T_INTEGER && (code = H5Aread(attribute, H5T_NATIVE_INT64, &integer)) >= 0)
        pack(p, name, 'i', &integer, sizeof integer);
    if (single && kind == H5T_STRING && H5Tis_variable_str(type) == 0 && info->data_size <= MOST_TEXT) {
        char *text = calloc((size_t)info->data_size + 1, 1);
        code = text ? H5Aread(attribute, type, text) : -1;
        if (code >= 0) pack(p, name, 't', text, strlen(text) + 1);
        free(text);
    }
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Aclose(attribute);
    return code < 0 ? -1 : 0;
}

avi_status avi_store_pack_attributes(hid_t file, const char *path, const char *name, char **packed, size_t *bytes)
{
    packer p = {.out = open_memstream(packed, bytes)};
    if (!p.out) return avi_fail_memory(1, "attributes");
    hsize_t at = 0;
    avi_status status = AVI_OK;
    const hid_t object = H5Oopen(file, name, H5P_DEFAULT);
    if (object < 0 || H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &at, pack_one, &p) < 0)
        status = avi_h5_fail(AVI_ERR_DATA, path, "cannot read the attributes of", name);
    if (object >= 0) H5Oclose(object);
    if (fclose(p.out) != 0 && status == AVI_OK) status = avi_fail_memory(*bytes, "attributes");
    return status;
}

/* The attribute at *at, which goes to the next; its texts lie in the packed bytes. */
static avi_attribute unpack(const char **at)
{
    avi_attribute a = {.name = *at};
    *at += strlen(*at) + 1;
    const char kind = *(*at)++;
    if (kind == 't') {
        a.text = *at;
        *at += strlen(*at) + 1;
        return a;
    }
    a.is_real = kind == 'r';
    memcpy(a.is_real ? (void *)&a.real : (void *)&a.integer, *at, 8);
    *at += 8;
    return a;
}

int avi_store_unpack(const char *packed, size_t bytes, avi_attribute *list)
{
    int count = 0;
    for (const char *at = packed; at < packed + bytes; count++) {
        const avi_attribute a = unpack(&at);
        if (list) list[count] = a;
    }
    return count;
}
