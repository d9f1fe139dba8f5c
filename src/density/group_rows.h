/* The groups of a block as the kernels of grouped densities see them: rows of one width, or ragged rows. Included by
 * k_*.c alone. */
#ifndef AVI_DENSITY_GROUP_ROWS_H
#define AVI_DENSITY_GROUP_ROWS_H

#include "avi/kernel.h"
#include "density/logistic_groups.h"

/* Trial j of a group: outcome y[j * y_stride], covariates x[j * x_stride ...]. */
typedef struct group_row {
    int64_t trials, before; /* its own, and those of the groups before it */
    const real *y, *x;
    int64_t y_stride, x_stride;
} group_row;

/* Group b of x: a row of m outcomes and then their covariates, or entries of an outcome and its covariates each. */
static inline group_row group_of(const avi_group_shape *s, const avi_node *x, int64_t b)
{
    const real *row = (const real *)x->value + (s->entry ? s->entry[b] : b) * x->cols;
    if (!s->entry) return (group_row){s->trials, b * s->trials, row, row + s->trials, 1, s->covariates};
    return (group_row){s->entry[b + 1] - s->entry[b], s->entry[b], row, row + 1, x->cols, x->cols};
}

/* Groups of the block, and trials of all of them. */
static inline int64_t group_count(const avi_group_shape *s, const avi_node *x)
{
    return s->entry ? s->groups : x->rows;
}
static inline int64_t group_trials(const avi_group_shape *s, const avi_node *x)
{
    return s->entry ? x->rows : x->rows * s->trials;
}

#endif
