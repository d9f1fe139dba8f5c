#include "state/elbo_bins.h"

#include <math.h>
#include <string.h>

void avi_elbo_bins_clear(avi_elbo_bins *b, int64_t epoch_steps)
{
    memset(b, 0, sizeof *b);
    b->epoch_steps = epoch_steps;
    b->parts = 1;
    while (b->parts < epoch_steps) b->parts *= 2;
}

/* Epochs begin at multiples of `parts`, a power of 2, so that halving the number again and again keeps them apart. */
int64_t avi_elbo_bins_place(const avi_elbo_bins *b, int64_t step)
{
    const int64_t epoch = step / b->epoch_steps, within = step % b->epoch_steps,
                  part = (int64_t)floor((double)within * (double)b->parts / (double)b->epoch_steps);
    return (epoch * b->parts + part) >> b->level;
}

int64_t avi_elbo_bins_of_epoch(const avi_elbo_bins *b)
{
    const int64_t bins = b->parts >> b->level;
    return bins > 1 ? bins : 1;
}

static void halve(avi_elbo_bins *b)
{
    for (int i = 0; i < AVI_ELBO_BINS; i++)
        for (int c = 0; c < AVI_BIN_COLUMNS; c++) {
            const double v = b->value[i][c];
            b->value[i][c] = 0;
            b->value[i / 2][c] += v;
        }
    b->count = (b->count + 1) / 2;
    b->level++;
}

void avi_elbo_bins_add(avi_elbo_bins *b, int64_t step, double elbo, double rows)
{
    while (avi_elbo_bins_place(b, step) >= AVI_ELBO_BINS) halve(b);
    const int64_t at = avi_elbo_bins_place(b, step);
    double *v = b->value[at];
    v[AVI_BIN_ELBO] += elbo;
    v[AVI_BIN_ROWS] += rows;
    v[AVI_BIN_STEPS]++;
    v[AVI_BIN_STEP_SUM] += (double)step;
    if (at >= b->count) b->count = at + 1;
}
