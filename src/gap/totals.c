/* Sums over all rows of a data set, the same bits on any number of ranks: fixed point, and counts. */
#include "avi/fixed_point.h"
#include "gap/ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUMS = 8, COUNTS = 2 + AVI_RUNGS, WORDS = SUMS * AVI_WIDE_LIMBS + COUNTS };
enum { SUM_AVI, SUM_FVI, SUM_GAP, SUM_GAP_ERROR, SUM_P, SUM_P_ERROR, SUM_APPROXIMATION };

static double square(double x) { return x * x; }

/* Adds own rows: words of fixed-point sums, then counts. A value that is not there (NaN) is left out; a row without an
 * ELBO of its own factor is counted as bad. */
static void add_rows(const avi_gap_ledger *l, int64_t *word)
{
    static const struct {
        avi_gap_column column;
        bool squared;
    } sums[] = {[SUM_AVI] = {AVI_GAP_ELBO_AVI, false},
                [SUM_FVI] = {AVI_GAP_ELBO_FVI, false},
                [SUM_GAP] = {AVI_GAP_AMORTIZATION, false},
                [SUM_GAP_ERROR] = {AVI_GAP_AMORTIZATION_ERROR, true},
                [SUM_P] = {AVI_GAP_LOG_P, false},
                [SUM_P_ERROR] = {AVI_GAP_LOG_P_ERROR, true},
                [SUM_APPROXIMATION] = {AVI_GAP_APPROXIMATION, false}};
    int64_t *count = word + SUMS * AVI_WIDE_LIMBS;
    for (int64_t r = 0; r < l->rows; r++) {
        if (!isfinite(l->column[AVI_GAP_ELBO_FVI][r])) {
            count[0]++;
            continue;
        }
        count[1] += l->column[AVI_GAP_CONVERGED][r] > 0;
        count[2 + (int)l->column[AVI_GAP_RUNG][r]]++;
        for (int i = 0; i < (int)(sizeof sums / sizeof sums[0]); i++) {
            const double v = l->column[sums[i].column][r];
            if (isfinite(v)) avi_wide_add(word + i * AVI_WIDE_LIMBS, sums[i].squared ? square(v) : v);
        }
    }
}

/* Collective. Sum and number of the gaps above a threshold. */
static avi_status above(const avi_session *s, const avi_gap_ledger *l, double threshold, double *sum, int64_t *rows)
{
    int64_t word[AVI_WIDE_LIMBS + 1] = {0};
    for (int64_t r = 0; r < l->rows; r++) {
        const double gap = l->column[AVI_GAP_AMORTIZATION][r];
        if (!(gap > threshold)) continue;
        avi_wide_add(word, gap);
        word[AVI_WIDE_LIMBS]++;
    }
    AVI_TRY(avi_comm_sum_int64(s->comm, word, AVI_WIDE_LIMBS + 1));
    *sum = avi_wide_read(word);
    *rows = word[AVI_WIDE_LIMBS];
    return AVI_OK;
}

/* Collective. The part of the rows with the largest gaps that carries half of the positive gaps: by halving an
 * interval, so that no rank sees all rows. */
static avi_status half_share(const avi_session *s, const avi_gap_ledger *l, double worst, double *share)
{
    double all, sum, low = 0, high = worst;
    int64_t rows;
    *share = NAN;
    AVI_TRY(above(s, l, 0, &all, &rows));
    if (!(all > 0)) return AVI_OK;
    for (int i = 0; i < 50; i++) {
        const double middle = 0.5 * (low + high);
        AVI_TRY(above(s, l, middle, &sum, &rows));
        if (sum >= 0.5 * all)
            low = middle;
        else
            high = middle;
    }
    AVI_TRY(above(s, l, low, &sum, &rows));
    *share = (double)rows / (double)l->all;
    return AVI_OK;
}

/* Collective. The largest gap of a row; doubles of one sign order like their bits. */
static avi_status largest(const avi_session *s, const avi_gap_ledger *l, double *worst)
{
    double top = 0;
    int64_t bits;
    for (int64_t r = 0; r < l->rows; r++) top = fmax(top, l->column[AVI_GAP_AMORTIZATION][r]);
    memcpy(&bits, &top, sizeof bits);
    AVI_TRY(avi_comm_max_int64(s->comm, &bits, 1));
    memcpy(worst, &bits, sizeof bits);
    return AVI_OK;
}

/* Collective. The first rows that nothing serves: those of the first ranks, since slabs ascend. */
static avi_status list_unserved(const avi_session *s, avi_gap_ledger *l)
{
    const int ranks = avi_comm_size(s->comm);
    int64_t own[AVI_GAP_NAMED + 1] = {0}, *all = malloc((size_t)ranks * sizeof own), listed = 0;
    AVI_TRY(avi_agree_memory(s->comm, all, (size_t)ranks * sizeof own, "the gap ledger"));
    for (int64_t r = 0; r < l->rows && own[0] < AVI_GAP_NAMED; r++)
        if ((int)l->column[AVI_GAP_RUNG][r] == AVI_RUNG_NONE) own[++own[0]] = l->first + r;
    const avi_status status = avi_comm_allgather(s->comm, own, sizeof own, all);
    for (int k = 0; k < ranks && status == AVI_OK; k++) {
        const int64_t *one = all + k * (AVI_GAP_NAMED + 1);
        for (int64_t i = 1; i <= one[0] && listed < AVI_GAP_NAMED; i++) l->total.unserved[listed++] = one[i];
    }
    free(all);
    return status;
}

avi_status avi_gap_totals_make(const avi_session *s, avi_gap_ledger *l)
{
    int64_t word[WORDS] = {0};
    add_rows(l, word);
    AVI_TRY(avi_comm_sum_int64(s->comm, word, WORDS));
    const int64_t *count = word + SUMS * AVI_WIDE_LIMBS;
    double sum[SUMS];
    for (int i = 0; i < SUMS; i++) sum[i] = avi_wide_read(word + i * AVI_WIDE_LIMBS);
    const bool function = l->all > 0 && !(s->infer->ops->local && !strcmp(l->name, "test"));
    l->total = (avi_gap_totals){.rows = l->all,
                                .bad = count[0],
                                .converged = count[1],
                                .elbo_avi = function ? sum[SUM_AVI] : NAN,
                                .elbo_fvi = sum[SUM_FVI],
                                .amortization = function ? sum[SUM_GAP] : NAN,
                                .amortization_error = function ? sqrt(sum[SUM_GAP_ERROR]) : NAN,
                                .log_p = sum[SUM_P],
                                .log_p_error = sqrt(sum[SUM_P_ERROR]),
                                .approximation = sum[SUM_APPROXIMATION]};
    for (int k = 0; k < AVI_RUNGS; k++) l->total.rung[k] = count[2 + k];
    AVI_TRY(list_unserved(s, l));
    AVI_TRY(largest(s, l, &l->total.worst));
    return half_share(s, l, l->total.worst, &l->total.half_share);
}
