#include "checkpoint/checkpoint_bins.h"

#include <inttypes.h>
#include <math.h>

static const char bins_path[] = "/state/elbo_bins", level_name[] = "elbo_bins_level",
                  epoch_name[] = "elbo_bins_epoch_steps";

avi_field avi_checkpoint_bins(const avi_elbo_bins *b)
{
    return (avi_field){.path = bins_path,
                       .type = AVI_F64,
                       .rank = 2,
                       .dims = {b->count, AVI_BIN_COLUMNS},
                       .data = b->value,
                       .description =
                           "ELBO of all steps in equal spans: sum over rows (nats, without the global part), "
                           "rows, steps, sum of the numbers of the steps",
                       .units = "",
                       .axes = "span, column"};
}

int avi_checkpoint_bins_attributes(const avi_elbo_bins *b, avi_attribute a[2])
{
    a[0] = (avi_attribute){.group = "/", .name = level_name, .integer = b->level};
    a[1] = (avi_attribute){.group = "/", .name = epoch_name, .integer = b->epoch_steps};
    return 2;
}

static avi_status check(const char *path, const avi_elbo_bins *b, int64_t steps)
{
    double sum = 0;
    bool good = true;
    for (int64_t i = 0; i < b->count; i++) {
        for (int c = 0; c < AVI_BIN_COLUMNS; c++) good = good && isfinite(b->value[i][c]);
        good = good && b->value[i][AVI_BIN_STEPS] >= 0;
        sum += b->value[i][AVI_BIN_STEPS];
    }
    if (good && sum <= (double)steps) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: %s has %g steps, of %" PRId64 " that were done; no run can have made that", path,
                    bins_path, sum, steps);
}

avi_status avi_checkpoint_restore_bins(const avi_session *s, avi_store *store, const char *path, avi_state *st)
{
    avi_elbo_bins *b = &st->bins;
    int64_t epoch_steps = 0, level = 0, dims[4];
    avi_dtype type;
    int rank;
    avi_elbo_bins_clear(b, s->epoch_steps);
    if (avi_store_attribute_int(store, "/", epoch_name, &epoch_steps) != AVI_OK) {
        avi_error_clear();
        return AVI_OK;
    }
    AVI_TRY(avi_store_attribute_int(store, "/", level_name, &level));
    AVI_TRY(avi_store_shape(store, bins_path, &type, &rank, dims));
    if (type != AVI_F64 || rank != 2 || dims[0] > AVI_ELBO_BINS || dims[1] != AVI_BIN_COLUMNS || level < 0 ||
        level > 62)
        return avi_fail(AVI_ERR_DATA, "%s: %s at level %" PRId64 " is not what a run has", path, bins_path, level);
    if (epoch_steps != s->epoch_steps || dims[0] == 0) return AVI_OK;
    AVI_TRY(avi_store_read(store, bins_path, AVI_F64, 2, (int64_t[4]){dims[0], dims[1]}, false, b->value));
    b->count = dims[0];
    b->level = level;
    return check(path, b, st->step);
}
