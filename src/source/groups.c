#include "source/groups.h"

#include <stdio.h>
#include <stdlib.h>

/* What rank 0 found, to the others. */
static avi_status share_index(avi_comm *comm, avi_hdf5_groups *x)
{
    int64_t about[] = {x->rows, x->order != NULL};
    AVI_TRY(avi_comm_bcast(comm, about, sizeof about, 0));
    const size_t keys = x->by_key ? (size_t)about[0] * sizeof *x->key : 0,
                 rows = ((size_t)about[0] + 1) * sizeof(int64_t), entries = (size_t)x->table.rows * sizeof(int64_t);
    x->rows = about[0];
    if (!x->first_entry) x->first_entry = malloc(rows);
    if (about[1] && !x->order) x->order = malloc(entries);
    if (keys && !x->key) x->key = malloc(keys);
    AVI_TRY(avi_agree(comm, x->first_entry && (!about[1] || x->order) && (!keys || x->key)
                                ? AVI_OK
                                : avi_fail_memory(rows + entries, "the groups")));
    AVI_TRY(avi_comm_bcast(comm, x->first_entry, rows, 0));
    if (keys) AVI_TRY(avi_comm_bcast(comm, x->key, keys, 0));
    return about[1] ? avi_comm_bcast(comm, x->order, entries, 0) : AVI_OK;
}

static avi_status describe(avi_source *s, const avi_config *config, avi_split split, const avi_hdf5_request *a,
                           avi_hdf5_groups *x)
{
    const double scale = avi_config_get_real(config, "data", "scale");
    s->shape.type = x->table.dtype;
    s->shape.width = s->shape.columns = x->table.width;
    s->shape.height = 1;
    s->shape.scale = scale != 0 ? scale : 1;
    s->shape.ragged = true;
    s->integers = x->table.integers;
    s->column_name = x->table.name;
    s->first_entry = x->first_entry;
    if (x->by_key)
        snprintf(s->label, sizeof s->label, "groups by %s of dataset %s of %s", a->group, a->dataset, a->path);
    else
        snprintf(s->label, sizeof s->label, "groups of %s of %s", a->dataset, a->path);
    if (avi_config_get_int(config, "data", "height") > 1)
        return avi_config_fail(config, "data", "height", "groups of any number of entries are no images; use 0");
    return avi_source_take_rows(s, config, split, x->rows);
}

avi_status avi_groups_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split,
                           const avi_hdf5_request *a, avi_hdf5_groups *x)
{
    AVI_TRY(avi_agree(comm, avi_hdf5_groups_open(x, a)));
    AVI_TRY(avi_agree(comm, avi_comm_rank(comm) == 0 ? avi_hdf5_groups_index(x, a) : AVI_OK));
    AVI_TRY(share_index(comm, x));
    return avi_agree(comm, describe(s, config, split, a, x));
}
