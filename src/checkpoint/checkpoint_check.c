#include "checkpoint/checkpoint_check.h"
#include "avi/rng.h"
#include "avi/store.h"
#include "state/best.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

avi_status avi_check_counters(const char *path, const avi_state *st)
{
    if (st->step < 0 || st->step > AVI_STEP_MAX)
        return avi_fail(AVI_ERR_DATA, "%s: step %" PRId64 "; a checkpoint is of a step between 0 and %" PRId64, path,
                        st->step, AVI_STEP_MAX);
    if (st->skipped < 0 || st->skipped > st->step || st->skipped_in_a_row < 0 || st->skipped_in_a_row > st->skipped)
        return avi_fail(AVI_ERR_DATA,
                        "%s: %" PRId64 " steps skipped of %" PRId64 ", %" PRId64
                        " of them in a row; no run can have counted that",
                        path, st->skipped, st->step, st->skipped_in_a_row);
    if (!(st->rate_factor > 0 && st->rate_factor <= 1)) /* NaN too */
        return avi_fail(AVI_ERR_DATA,
                        "%s: rate_factor is %g; rollbacks make it smaller than 1, but never 0 or negative", path,
                        st->rate_factor);
    if (st->best.step < 0 || st->best.step > st->step || (st->best.step > 0 && !isfinite(st->best.elbo)))
        return avi_fail(AVI_ERR_DATA,
                        "%s: its best evaluation is that of step %" PRId64 " with an ELBO of %g, in a checkpoint of "
                        "step %" PRId64 "; no run can have made that",
                        path, st->best.step, st->best.elbo, st->step);
    if (!(st->seconds >= 0 && st->seconds < 1e12))
        return avi_fail(AVI_ERR_DATA, "%s: %g seconds of stepping; no run can have taken that", path, st->seconds);
    return AVI_OK;
}

avi_status avi_check_lines(const char *path, const char *name, const avi_state *st, const avi_trace *t)
{
    double before = -1;
    for (int64_t r = 0; r < t->rows; r++) {
        const double step = t->value[r * (t->columns + t->extra)]; /* the first column of both tables */
        if (!(step > before && step <= (double)st->step && step == floor(step)))
            return avi_fail(AVI_ERR_DATA,
                            "%s: line %" PRId64 " of %s is of step %g; %s is expected, up to step %" PRId64, path, r,
                            name, step, "a step after that of the line before", st->step);
        before = step;
    }
    return AVI_OK;
}

/* A scale is the largest value of a block of the gradient, summed over the rows of a step. A step whose ELBO is beyond
 * 2^79 nats is not finite to reproducible sums, and no gradient of a smaller one comes near 2^120. (It cannot be held
 * against the norms in the trace: points that a line search tried and left may have had gradients of 1e19.) With a
 * larger scale all sums would be rounded to 0 without a word. */
avi_status avi_check_scales(const char *path, const double *scale, int count)
{
    const double most = 0x1p120;
    for (int i = 0; i < count; i++)
        if (!(scale[i] >= 0 && scale[i] <= most))
            return avi_fail(AVI_ERR_DATA,
                            "%s: the scale of block %d of the reproducible sums is %g; no gradient has that magnitude "
                            "(0 to %g)",
                            path, i, scale[i], most);
    return AVI_OK;
}

avi_status avi_check_features(const char *path, const avi_column_moments *m)
{
    for (int64_t k = 0; k < m->width; k++)
        if (!isfinite(m->mean[k]) || !isfinite(m->sd[k]) || m->sd[k] < 0)
            return avi_fail(AVI_ERR_DATA,
                            "%s: column %" PRId64
                            " is standardised by mean %g and standard deviation %g; no data have that",
                            path, k, m->mean[k], m->sd[k]);
    return AVI_OK;
}

static avi_status check_pairs(const char *path, const avi_lbfgs *l)
{
    for (int k = 0; k < l->pairs; k++) {
        const double *x = l->history + k * l->n, *g = l->history + (l->memory + k) * l->n;
        double curvature = 0;
        for (int64_t i = 0; i < l->n; i++) curvature += x[i] * g[i];
        if (!(curvature > 0 && isfinite(curvature)))
            return avi_fail(AVI_ERR_DATA, "%s: pair %d of L-BFGS has curvature %g; it must be above 0", path, k,
                            curvature);
    }
    return AVI_OK;
}

avi_status avi_check_state(const char *path, const avi_session *s, const avi_state *st)
{
    const char *what;
    AVI_TRY(avi_state_nonfinite(s, st, &what));
    if (what) return avi_fail(AVI_ERR_DATA, "%s: %s are not finite; no run resumes from there", path, what);
    bool below;
    AVI_TRY(avi_state_below_zero(s, st, &below));
    if (below)
        return avi_fail(
            AVI_ERR_DATA,
            "%s: a mean of squared gradients is below 0 in the optimizer's state; no run can have made that", path);
    const avi_state best = avi_best_shown(st);
    if (st->best.step > 0) AVI_TRY(avi_state_nonfinite(s, &best, &what));
    if (what) return avi_fail(AVI_ERR_DATA, "%s: the best %s are not finite; use another checkpoint", path, what);
    return check_pairs(path, &st->lbfgs);
}

avi_status avi_check_data(const char *path, const avi_session *s, avi_store *store)
{
    int64_t rows, sum, now = (int64_t)s->train->checksum;
    AVI_TRY(avi_store_attribute_int(store, "/", "rows", &rows));
    AVI_TRY(avi_store_attribute_int(store, "/", "data_checksum", &sum));
    if (!sum || !now) {
        AVI_TRY(avi_store_attribute_int(store, "/", "data_origin", &sum));
        now = (int64_t)s->train->origin;
    }
    if (rows == s->partition.rows && sum == now) return AVI_OK;
    return avi_fail(
        AVI_ERR_DATA,
        "%s: the checkpoint is of other data (%" PRId64 " rows, checksum %016" PRIx64 "; now %" PRId64
        " rows, %016" PRIx64
        "). To use this fit on other rows use avi_mpi %s run.task=encode (or evaluate, reconstruct) with their "
        "data.path and another run.output; to fit them use another run.output",
        path, rows, (uint64_t)sum, s->partition.rows, (uint64_t)now, avi_config_get_string(s->config, "run", "output"));
}

/* ---- before one is written ---- */

static uint64_t hash_of(const avi_session *s, const void *values, uint64_t h)
{
    const size_t n = (size_t)s->layout.size * avi_real_size(s->precision);
    for (size_t i = 0; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, (const unsigned char *)values + i, sizeof word);
        h = avi_mix64(h, word);
    }
    return h;
}

avi_status avi_check_replicas(const avi_session *s, const avi_state *st)
{
    int64_t hash[2] = {0, 0};
    uint64_t h = hash_of(s, st->params, 0);
    for (int k = 0; k < s->optim.ops->slots; k++) h = hash_of(s, st->slot[k], h);
    if (st->best.step > 0) h = hash_of(s, st->best.params, h);
    hash[0] = (int64_t)(h >> 2);
    hash[1] = -hash[0];
    AVI_TRY(avi_comm_max_int64(s->comm, hash, 2));
    if (hash[0] == -hash[1]) return AVI_OK;
    return avi_fail(AVI_ERR_INTERNAL,
                    "step %" PRId64 ": the ranks' copies of the global parameters or of the optimizer's state differ; "
                    "the checkpoint before it is kept",
                    st->step);
}
