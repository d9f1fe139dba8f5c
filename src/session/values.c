#include "session/values.h"
#include "data/overlap.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static avi_support support_of(const void *model, int64_t column)
{
    const avi_model *m = model;
    return m->ops->support ? m->ops->support(m, column) : AVI_SUPPORT_REAL;
}

static const char *remedy_of(const avi_session *s)
{
    const char *own = s->model->support_remedy, *of_ops = s->model->ops->support_remedy;
    return own ? own : of_ops ? of_ops : "";
}

bool avi_values_masked(const avi_session *s)
{
    return !strcmp(avi_config_get_string(s->config, "data", "missing"), "mask") &&
           !(s->train_source && s->train_source->streamed);
}

bool avi_values_are_real(const avi_session *s)
{
    bool real = true;
    for (int64_t k = 0; k < s->shape.width && real; k++) real = support_of(s->model, k) == AVI_SUPPORT_REAL;
    return real;
}

avi_status avi_values_check_keys(const avi_session *s)
{
    const avi_config *c = s->config;
    const bool real = avi_values_are_real(s);
    if (!real && avi_config_get_bool(c, "data", "standardise"))
        return avi_config_fail(c, "data", "standardise",
                               "the likelihood of model %s cannot have standardised values; use no, or %s",
                               s->model->ops->name, remedy_of(s));
    if (!real && strcmp(avi_config_get_string(c, "data", "transform"), "none"))
        return avi_config_fail(c, "data", "transform",
                               "the likelihood of model %s cannot have transformed values; use none, or %s",
                               s->model->ops->name, remedy_of(s));
    if (!strcmp(avi_config_get_string(c, "data", "missing"), "mask") && !s->model->ops->masks)
        return avi_config_fail(c, "data", "missing",
                               "model %s cannot leave out single values; use model.name = ppca or vae, or refuse and "
                               "rows without missing values",
                               s->model->ops->name);
    return AVI_OK;
}

/* Outcomes that were coded as -1 and 1: the likelihood takes them for trials that are not there and ones, and would see
 * no 0 at all. A column of -1 and 1 alone has mean^2 + sd^2 = 1; one 0 among n rows takes 1/n off. */
static avi_status check_outcomes(const avi_session *s, const avi_data *data, const avi_source *source)
{
    const avi_column_stats *stats = data->stats;
    bool low = false, high = false;
    for (int64_t k = 0; k < s->shape.width; k++) {
        if (support_of(s->model, k) != AVI_SUPPORT_BINARY_OR_ABSENT) continue;
        const double zeros =
            (double)stats->finite[k] * (1 - stats->mean[k] * stats->mean[k] - stats->sd[k] * stats->sd[k]);
        if (stats->smallest[k] < -1 || stats->largest[k] > 1 || fabs(zeros) > 0.5) return AVI_OK;
        low = low || stats->smallest[k] < 0;
        high = high || stats->largest[k] > 0;
    }
    if (!low || !high) return AVI_OK;
    return avi_fail(AVI_ERR_DATA,
                    "%s: the outcomes are -1 or 1 and none is 0, but the likelihood needs 0 and 1; write 0 in place of "
                    "-1. (Below 0 there is no trial: where that is meant, write -2)",
                    source->label);
}

avi_status avi_values_check(const avi_session *s, const avi_data *data, const avi_source *source)
{
    double smallest, largest;
    avi_column_stats_range(data->stats, &smallest, &largest);
    const double most = fmax(fabs(smallest), fabs(largest)),
                 held = s->precision == AVI_PRECISION_SINGLE ? 0x1p24 : 0x1p53;
    if (source->integers && most > held && !data->mean && !data->log1p && avi_comm_rank(s->comm) == 0)
        avi_warn("%s: integers up to %.17g are rounded, since %s precision holds all of them to %.0f alone; %s",
                 source->label, most, s->precision == AVI_PRECISION_SINGLE ? "single" : "double", held,
                 s->precision == AVI_PRECISION_SINGLE ? "use run.precision = double, or data.standardise = yes"
                                                      : "use data.standardise = yes");
    if (source == s->train_source) AVI_TRY(check_outcomes(s, data, source));
    return avi_data_check_support(data, s->comm, source, support_of, s->model, remedy_of(s));
}

avi_status avi_values_check_overlap(const avi_session *s)
{
    int64_t looked, found;
    AVI_TRY(avi_data_overlap(s->train, s->test, s->comm, &looked, &found));
    if (20 * found >= looked && found > 0 && avi_comm_rank(s->comm) == 0)
        avi_warn(
            "%lld of %lld test rows are training rows too (%s), so what is said of test data is not of rows that were "
            "never seen; use data.holdout = 0.1 in place of the test keys to keep rows aside",
            (long long)found, (long long)looked, s->test_source->label);
    return AVI_OK;
}

void avi_values_describe(const avi_session *s, char *text, size_t size)
{
    const avi_data *d = s->train;
    double smallest, largest;
    avi_column_stats_range(d->stats, &smallest, &largest);
    size_t used = (size_t)snprintf(text, size, "%.6g to %.6g", smallest, largest);
    if (d->shape.scale != 1 && used < size)
        used += (size_t)snprintf(
            text + used, size - used,
            fabs(d->shape.scale * 255 - 1) < 1e-9 ? " (stored value / 255)" : " (stored value * %g)", d->shape.scale);
    if (s->train_source->packing[0] && used < size)
        used += (size_t)snprintf(text + used, size - used, " (%s)", s->train_source->packing);
    if (d->log1p && used < size) used += (size_t)snprintf(text + used, size - used, ", log(1 + value)");
    if (d->mean && used < size) used += (size_t)snprintf(text + used, size - used, ", each column standardised");
    if ((d->mean || d->log1p) && used < size)
        used += (size_t)snprintf(text + used, size - used,
                                 "; nats are of these, %+.6g nats per row for the values as given",
                                 avi_data_log_jacobian(d));
    if (d->masked && used < size)
        used +=
            (size_t)snprintf(text + used, size - used, "; %" PRId64 " of %" PRId64 " values are missing and left out",
                             d->stats->missing, d->stats->rows * d->stats->columns);
    if (d->stats->sampled && used < size)
        (void)snprintf(text + used, size - used, "; of a sample of %lld rows", (long long)d->stats->rows);
}

/* Numbers that people and programs write where there is none. */
static bool is_code(double v)
{
    static const double codes[] = {-99, -999, -9999, -99999, -999999, -32767, -32768, -2147483648.0};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (v == codes[i]) return true;
    return fabs(v) >= 1e20;
}

bool avi_values_note_codes(const avi_session *s, char *text, size_t size)
{
    const avi_data *d = s->train;
    const avi_column_stats *stats = d->stats;
    int64_t columns = 0, first = 0;
    double code = 0;
    for (int64_t k = 0; k < stats->columns && !d->log1p && d->shape.height <= 1; k++) {
        const double a = stats->smallest[k], b = stats->largest[k];
        /* far from the other end of the column */
        const bool below = is_code(a) && a < 0 && b > a / 10 && b < -a / 2,
                   above = is_code(b) && b > 0 && a < b / 10 && a > -b / 2;
        if ((!below && !above) || !stats->finite[k]) continue;
        if (columns++ == 0) {
            first = k;
            code = below ? a : b;
        }
    }
    if (!columns) return false;
    snprintf(text, size,
             "%.9g is a value of column %lld (from 0)%s; where it stands for a missing value, write NaN and use "
             "data.missing = mask",
             code, (long long)first, columns > 1 ? ", and other columns have such numbers too" : "");
    return true;
}
