#include "checkpoint/checkpoint_best.h"
#include "state/best.h"

static const char step_name[] = "best_step", elbo_name[] = "best_elbo_test";

int avi_checkpoint_best_attributes(const avi_state *st, avi_attribute a[2])
{
    if (st->best.step == 0) return 0;
    a[0] = (avi_attribute){.group = "/", .name = step_name, .integer = st->best.step};
    a[1] = (avi_attribute){.group = "/", .name = elbo_name, .is_real = true, .real = st->best.elbo};
    return 2;
}

int64_t avi_checkpoint_best_step(avi_store *store)
{
    int64_t step;
    if (avi_store_attribute_int(store, "/", step_name, &step) == AVI_OK) return step;
    avi_error_clear(); /* most have none */
    return 0;
}

avi_status avi_checkpoint_best_restore(avi_store *store, avi_state *st)
{
    avi_best_clear(st);
    if (st->best.params) st->best.step = avi_checkpoint_best_step(store);
    return st->best.step != 0 ? avi_store_attribute_real(store, "/", elbo_name, &st->best.elbo) : AVI_OK;
}
