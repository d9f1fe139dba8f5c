/* Factorized VI: every row has its own nu, a row of a table that lives with the row's owner. */
#include "avi/infer.h"

static avi_status create(avi_infer *f, const avi_config *config)
{
    (void)f;
    (void)config;
    return AVI_OK;
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)f;
    (void)t;
    (void)rows;
    (void)features;
    (void)phi;
    return table;
}

const avi_infer_ops avi_infer_factorized = {
    .name = "factorized",
    .doc = "F-VI: every datapoint has its own variational factor",
    .local = true,
    .create = create,
    .forward = forward,
};
