#include "data/settle.h"
#include "data/column_stats.h"
#include "data/ragged.h"
#include "data/row_stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_VALUES = 1 << 15, SAMPLE_ROWS = 4096 };

/* `count` stored values as numbers. */
static void numbers_of(const avi_data *d, const void *values, int64_t count, double *out)
{
    for (int64_t i = 0; i < count; i++) {
        const double v = d->shape.type == AVI_U8    ? (double)((const unsigned char *)values)[i]
                         : d->shape.type == AVI_F32 ? (double)((const float *)values)[i]
                                                    : ((const double *)values)[i];
        out[i] = d->log1p ? log1p(v * d->shape.scale) : v * d->shape.scale;
    }
}

/* ---- streamed rows ---- */

static int64_t sample_count(const avi_data *d) { return d->shape.rows < SAMPLE_ROWS ? d->shape.rows : SAMPLE_ROWS; }

static int64_t sample_row(const avi_data *d, int64_t i) { return i * d->shape.rows / sample_count(d); }

/* Bytes of the largest row of a source. */
static size_t row_room(const avi_data *d, const avi_source *source)
{
    return (size_t)(avi_source_largest_row(source) * d->shape.width) * avi_dtype_size(d->shape.type);
}

avi_status avi_settle_sample(avi_data *d, avi_source *source)
{
    const size_t bytes = row_room(d, source);
    void *row = malloc(bytes);
    if (!row) return avi_fail_memory(bytes, "a row of the data");
    avi_status status = source->ops->read_rows(source, NULL, 0, row);
    for (int64_t i = 0; i < sample_count(d) && status == AVI_OK; i++) {
        const int64_t given = sample_row(d, i);
        status = source->ops->read_rows(source, &given, 1, row);
        if (status != AVI_OK) break;
        if (d->entry)
            avi_column_stats_add(d->stats, d->shape.type, row, source->first_entry[given], NULL,
                                 avi_source_entries(source, given));
        else
            avi_column_stats_add(d->stats, d->shape.type, row, 0, &given, 1);
    }
    d->stats->sampled = true;
    free(row);
    return status;
}

/* ---- a walk over the rows that this rank owns, or over the sample ---- */

/* position: of the first of `rows` rows; of ragged data the place of an entry among those that are held, or the given
 * number of one that is streamed. */
typedef avi_status (*visitor)(void *self, const avi_data *d, int64_t position, int64_t rows, const double *numbers);

/* Stored rows: entries of ragged ones. The row after the last that has a factor belongs to the last rank that owns any.
 */
static int64_t own_rows(const avi_data *d)
{
    if (d->entry) return d->entry[d->count];
    return d->count > 0 && d->first + d->count == d->partition.rows ? d->count + d->lookahead : d->count;
}

static avi_status walk_held(const avi_data *d, double *numbers, int64_t most, visitor visit, void *self)
{
    const int64_t width = d->shape.width, rows = own_rows(d);
    const size_t row_bytes = (size_t)width * avi_dtype_size(d->shape.type);
    for (int64_t at = 0; at < rows; at += most) {
        const int64_t n = rows - at < most ? rows - at : most;
        numbers_of(d, (const unsigned char *)d->values + (size_t)(d->halo_left + at) * row_bytes, n * width, numbers);
        AVI_TRY(visit(self, d, d->entry ? at : d->first + at, n, numbers));
    }
    return AVI_OK;
}

static avi_status walk_sample(const avi_data *d, avi_source *source, double *numbers, visitor visit, void *self)
{
    const int64_t width = d->shape.width, most = PIECE_VALUES / width > 0 ? PIECE_VALUES / width : 1;
    unsigned char *row = malloc(row_room(d, source));
    avi_status status = row ? AVI_OK : avi_fail_memory(row_room(d, source), "a row of the data");
    for (int64_t i = 0; i < sample_count(d) && status == AVI_OK; i++) {
        const int64_t given = sample_row(d, i);
        status = source->ops->read_rows(source, &given, 1, row);
        if (status != AVI_OK) break;
        const int64_t stored = avi_source_entries(source, given);
        avi_rows_round(source, stored, row);
        for (int64_t at = 0, n; at < stored && status == AVI_OK; at += n) { /* one turn of a row of one width */
            n = stored - at < most ? stored - at : most;
            numbers_of(d, row + (size_t)(at * width) * avi_dtype_size(d->shape.type), n * width, numbers);
            status = visit(self, d,
                           d->entry ? source->first_entry[given] + at : avi_partition_shuffled(&d->partition, given), n,
                           numbers);
        }
    }
    free(row);
    return status;
}

/* Not collective. */
static avi_status walk(const avi_data *d, avi_source *source, visitor visit, void *self)
{
    const int64_t width = d->shape.width, most = PIECE_VALUES / width > 0 ? PIECE_VALUES / width : 1;
    double *numbers = malloc((size_t)(most * width) * sizeof *numbers);
    if (!numbers) return avi_fail_memory((size_t)(most * width) * sizeof *numbers, "rows of the data");
    const avi_status status =
        d->feed ? walk_sample(d, source, numbers, visit, self) : walk_held(d, numbers, most, visit, self);
    free(numbers);
    return status;
}

/* ---- what is refused ---- */

static int64_t in_file(const avi_source *source, int64_t row)
{
    return source->row_in_file ? source->row_in_file(source, row) : row;
}

const char *avi_settle_name(const avi_source *source, int64_t column, char name[AVI_SETTLE_NAME])
{
    name[0] = '\0';
    if (source->column_name) snprintf(name, AVI_SETTLE_NAME, "; %.100s", source->column_name[column]);
    return name;
}

static avi_status check_finite(const avi_data *d, const avi_source *source)
{
    const avi_column_stats *s = d->stats;
    const char *label = source->label;
    char others[48] = "", name[AVI_SETTLE_NAME];
    if (s->infinite > 1) snprintf(others, sizeof others, ", the first of %lld values", (long long)s->infinite);
    if (s->infinite)
        return avi_fail(
            AVI_ERR_DATA,
            "%s: row %lld, column %lld (both from 0%s) is infinite%s; every value must be finite: use other "
            "values there, or NaN with data.missing = mask",
            label, (long long)in_file(source, s->first_infinite.row), (long long)s->first_infinite.column,
            avi_settle_name(source, s->first_infinite.column, name), others);
    if (s->missing && !source->missing_allowed)
        return avi_fail(
            AVI_ERR_DATA,
            "%s: row %lld, column %lld (both from 0%s) is NaN; every value must be finite, but %lld of %lld "
            "values in %lld row%s are missing: use data.missing = mask (models ppca and vae), or write the "
            "rows without them",
            label, (long long)in_file(source, s->first_missing.row), (long long)s->first_missing.column,
            avi_settle_name(source, s->first_missing.column, name), (long long)s->missing,
            (long long)(s->rows * s->columns), (long long)s->bad_rows, s->bad_rows == 1 ? "" : "s");
    for (int64_t k = 0; k < s->columns; k++)
        if (!s->finite[k])
            return avi_fail(AVI_ERR_DATA,
                            "%s: column %lld (from 0%s) has no value in any row; use data.columns to leave "
                            "it out",
                            label, (long long)k, avi_settle_name(source, k, name));
    return AVI_OK;
}

static avi_status check_log(const avi_data *d, const avi_source *source)
{
    char name[AVI_SETTLE_NAME];
    for (int64_t k = 0; d->log1p && k < d->stats->columns; k++)
        if (d->stats->smallest[k] * d->shape.scale <= -1 || d->stats->largest[k] * d->shape.scale <= -1)
            return avi_fail(
                AVI_ERR_DATA,
                "%s: column %lld (from 0%s) has the value %g, of which [data] transform = log1p, log(1 + x), "
                "is not finite; use transform = none, or data.columns without it",
                source->label, (long long)k, avi_settle_name(source, k, name), d->stats->smallest[k] * d->shape.scale);
    return AVI_OK;
}

/* ---- scale, transform, moments ---- */

static avi_status add_moments(void *self, const avi_data *d, int64_t position, int64_t rows, const double *numbers)
{
    (void)self;
    (void)position;
    avi_column_stats_add_moments(d->stats, numbers, rows);
    return AVI_OK;
}

/* Mean and sd to subtract and divide by: of these data, or of those that they are like. */
static avi_status take_transform(avi_data *d, const avi_source *source)
{
    const size_t bytes = (size_t)d->shape.width * sizeof *d->mean;
    const bool here = source->like ? source->like->mean != NULL : source->standardise;
    if (!here) return AVI_OK;
    d->mean = malloc(bytes);
    d->sd = malloc(bytes);
    if (!d->mean || !d->sd) return avi_fail_memory(2 * bytes, "the means of the columns");
    memcpy(d->mean, source->like ? source->like->mean : d->stats->mean, bytes);
    memcpy(d->sd, source->like ? source->like->sd : d->stats->sd, bytes);
    for (int64_t k = 0; k < d->shape.width; k++)
        if (!(d->sd[k] > 0)) d->sd[k] = 1; /* a column of one value has nothing to be divided by */
    return AVI_OK;
}

avi_status avi_settle(avi_data *d, const avi_source *source, avi_comm *comm)
{
    double smallest, largest;
    d->log1p = source->log1p;
    d->masked = source->missing_allowed && !d->feed;
    AVI_TRY(
        avi_agree(comm, check_finite(d, source))); /* each rank draws a sample of its own, where rows are streamed */
    avi_column_stats_range(d->stats, &smallest, &largest);
    /* A scale is one of how values are stored: numbers that are no bytes of images have the scale of their own keys. */
    if (source->bits_or_grey && source->like)
        d->shape.scale = source->like->shape.scale;
    else if (source->bits_or_grey && largest <= 1)
        d->shape.scale = 1;
    AVI_TRY(check_log(d, source));
    avi_column_stats_as_numbers(d->stats, d->shape.scale, d->log1p);
    avi_source *rows = d->feed ? avi_row_stream_source(d->feed) : NULL;
    AVI_TRY(avi_agree(comm, walk(d, rows, add_moments, NULL)));
    AVI_TRY(avi_column_stats_finish(d->stats, d->feed ? NULL : comm));
    return avi_agree(comm, take_transform(d, source));
}

/* ---- back to the user's units ---- */

double avi_data_value_as_given(const avi_data *d, int64_t column, double seen)
{
    if (d->mean) seen = d->mean[column] + d->sd[column] * seen;
    return d->log1p ? expm1(seen) : seen;
}

void avi_data_as_given(const avi_data *d, int64_t rows, double *values)
{
    const int64_t width = d->shape.width;
    if (!d->mean && !d->log1p) return;
    for (int64_t i = 0; i < rows * width; i++) values[i] = avi_data_value_as_given(d, i % width, values[i]);
}

double avi_data_observed(const avi_data *d)
{
    const double all = (double)d->stats->rows * (double)d->stats->columns;
    return d->masked && all > 0 ? 1 - (double)d->stats->missing / all : 1;
}

double avi_data_log_jacobian(const avi_data *d)
{
    double sum = 0;
    const double rows = (double)(d->entry ? d->partition.rows : d->stats->rows);
    for (int64_t k = 0; k < d->shape.width && rows > 0; k++) {
        const double part = (double)d->stats->finite[k] / rows;
        if (d->mean) sum -= part * log(d->sd[k]);
        if (d->log1p) sum -= part * d->stats->mean[k];
    }
    return sum;
}

/* ---- support ---- */

bool avi_support_has(avi_support support, double v)
{
    const double slack = 1e-6; /* a grey value that was divided and rounded */
    switch (support) {
    case AVI_SUPPORT_REAL:
        return true;
    case AVI_SUPPORT_UNIT:
        return v >= -slack && v <= 1 + slack;
    case AVI_SUPPORT_BINARY:
        return v == 0 || v == 1;
    case AVI_SUPPORT_BINARY_OR_ABSENT:
        return v <= 0 || v == 1;
    case AVI_SUPPORT_COUNT:
        return v >= 0 && v == nearbyint(v);
    case AVI_SUPPORT_GREY:
        return v >= -slack && v <= 1 + slack && fabs(255 * v - nearbyint(255 * v)) < 255 * slack;
    case AVI_SUPPORT_LEVELS:
        break;
    }
    return v >= 0 && v == nearbyint(v) && v < (double)support - AVI_SUPPORT_LEVELS;
}

const char *avi_support_name(avi_support support)
{
    static const char *const names[] = {"a real number",
                                        "a number from 0 to 1",
                                        "0 or 1",
                                        "0 or 1 (below 0: absent)",
                                        "a count (0, 1, 2, ...)",
                                        "a grey value k / 255",
                                        "a level, a whole number from 0 below model.levels,"};
    return names[support < AVI_SUPPORT_LEVELS ? support : AVI_SUPPORT_LEVELS];
}

typedef struct search {
    avi_support (*support)(const void *context, int64_t column);
    const void *context;
    const avi_source *source;
    avi_place first; /* in given order */
    double value;
} search;

static int64_t given_row(const avi_data *d, const avi_source *source, int64_t at)
{
    if (d->entry) return d->feed ? at : avi_ragged_given_entry(d, source, at);
    return at < d->partition.rows ? avi_partition_original(&d->partition, at) : at;
}

static avi_status look_for(void *self, const avi_data *d, int64_t position, int64_t rows, const double *numbers)
{
    search *s = self;
    const int64_t width = d->shape.width;
    for (int64_t k = 0; k < width; k++) {
        const avi_support support = s->support(s->context, k);
        if (support == AVI_SUPPORT_REAL) continue;
        for (int64_t i = 0; i < rows; i++) {
            const double v = numbers[i * width + k];
            if (isnan(v) || avi_support_has(support, v)) continue;
            const int64_t row = given_row(d, s->source, position + i);
            if (row > s->first.row || (row == s->first.row && k > s->first.column)) continue;
            s->first = (avi_place){row, k};
            s->value = v;
        }
    }
    return AVI_OK;
}

/* Whether a column may have a value outside, from its range and its whole numbers alone. */
static bool is_suspect(const avi_column_stats *s, avi_support support, int64_t k)
{
    const bool ends = avi_support_has(support, s->smallest[k]) && avi_support_has(support, s->largest[k]);
    if (support == AVI_SUPPORT_REAL || !s->finite[k]) return false;
    return !ends || (support != AVI_SUPPORT_UNIT && s->whole[k] != s->finite[k]);
}

/* The number that would bring the values into [0, 1]. */
static void hint_scale(const avi_data *d, avi_support support, char *text, size_t size)
{
    double smallest, largest;
    avi_column_stats_range(d->stats, &smallest, &largest);
    text[0] = '\0';
    const bool unit = support == AVI_SUPPORT_UNIT || support == AVI_SUPPORT_GREY;
    if (unit && smallest >= 0 && largest > 1 && largest <= 255 && !d->log1p)
        snprintf(text, size, "use data.scale = %.17g (1/255) where they are grey values, or ", d->shape.scale / 255);
    else if (support == AVI_SUPPORT_UNIT && smallest >= 0 && !d->log1p)
        snprintf(text, size, "use data.scale = %.6g, or ", d->shape.scale / largest);
    else if (support == AVI_SUPPORT_UNIT && smallest >= -1 && smallest < 0 && largest <= 1)
        snprintf(text, size, "write (x + 1) / 2 where -1 to 1 are black to white, or ");
}

avi_status avi_data_check_support(const avi_data *d, avi_comm *comm, const avi_source *source,
                                  avi_support (*support)(const void *context, int64_t column), const void *context,
                                  const char *remedy)
{
    search s = {.support = support, .context = context, .source = source, .first = {INT64_MAX, INT64_MAX}};
    bool suspect = false;
    for (int64_t k = 0; k < d->shape.width && !suspect; k++) suspect = is_suspect(d->stats, support(context, k), k);
    if (!suspect) return AVI_OK; /* the same on all ranks */
    avi_source *rows = d->feed ? avi_row_stream_source(d->feed) : NULL;
    AVI_TRY(avi_agree(comm, walk(d, rows, look_for, &s)));
    int64_t row = -s.first.row, column;
    AVI_TRY(avi_comm_max_int64(comm, &row, 1));
    if (row == -INT64_MAX) return AVI_OK;
    column = -row == s.first.row ? -s.first.column : -INT64_MAX;
    double value = -row == s.first.row ? s.value : -INFINITY, smallest, largest;
    AVI_TRY(avi_comm_max_int64(comm, &column, 1));
    AVI_TRY(avi_comm_max_double(comm, &value, 1));
    char scale[96], name[AVI_SETTLE_NAME];
    const avi_support needed = support(context, -column);
    avi_column_stats_range(d->stats, &smallest, &largest);
    hint_scale(d, needed, scale, sizeof scale);
    return avi_fail(AVI_ERR_DATA,
                    "%s: row %lld, column %lld (both from 0%s) is %.9g, but the likelihood needs %s there; the values "
                    "are %.6g to %.6g: %s%s",
                    source->label, (long long)in_file(source, -row), (long long)-column,
                    avi_settle_name(source, -column, name), value, avi_support_name(needed), smallest, largest, scale,
                    remedy);
}
