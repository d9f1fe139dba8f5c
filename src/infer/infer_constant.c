/* One nu for all rows: the poorest inference function, a floor for the others. */
#include "avi/infer.h"

static avi_status create(avi_infer *f, const avi_config *config)
{
    (void)config;
    AVI_TRY(avi_params_add(&f->phi, "constant", 1, f->outputs, AVI_INIT_CONSTANT, 0, NULL));
    return avi_params_describe(&f->phi, "constant", "variational_parameter",
                               "variational parameters that all rows share: means, then log sds");
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)f;
    (void)features;
    (void)table;
    return avi_repeat(t, phi[0], rows);
}

const avi_infer_ops avi_infer_constant = {
    .name = "constant",
    .doc = "one variational factor shared by all datapoints",
    .create = create,
    .forward = forward,
};
