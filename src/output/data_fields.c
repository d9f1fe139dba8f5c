#include "output/data_fields.h"
#include "source/holdout.h"

#include <stdlib.h>
#include <string.h>

static avi_field column_field(const avi_session *s, const char *path, const double *values, const char *description)
{
    return (avi_field){.path = path,
                       .type = AVI_F64,
                       .rank = 1,
                       .dims = {s->shape.width},
                       .data = values,
                       .description = description,
                       .units = "",
                       .axes = "column"};
}

char *avi_data_column_names(const avi_session *s)
{
    char *const *name = s->train_source->column_name;
    size_t bytes = 1, used = 0;
    for (int64_t k = 0; name && k < s->shape.width; k++) bytes += strlen(name[k]) + 1;
    char *text = calloc(1, bytes);
    if (!text) return NULL;
    if (!name) return text;
    for (int64_t k = 0; k < s->shape.width; k++) {
        const size_t n = strlen(name[k]);
        memcpy(text + used, name[k], n);
        used += n;
        if (k + 1 < s->shape.width) text[used++] = '\n';
    }
    return text;
}

int avi_data_fields(const avi_session *s, const char *columns, avi_field f[AVI_DATA_FIELDS])
{
    const avi_data *d = s->train;
    int n = 0;
    f[n++] = column_field(s, "/data/smallest", d->stats->smallest,
                          "smallest value of the column: log1p(stored * scale), or stored * scale");
    f[n++] = column_field(s, "/data/largest", d->stats->largest, "largest value, in the same units");
    f[n++] = column_field(s, "/data/mean", d->mean ? d->mean : d->stats->mean,
                          d->mean ? "mean, in the same units; the model sees (value - mean) / sd"
                                  : "mean, in the same units; the model sees the value itself");
    f[n++] = column_field(s, "/data/sd", d->sd ? d->sd : d->stats->sd,
                          d->sd ? "standard deviation (1 where the column has one value), in the same units"
                                : "standard deviation, in the same units");
    if (columns[0])
        f[n++] = (avi_field){.path = "/data/columns",
                             .text = columns,
                             .description = "names of the columns, one per line, in the order of the values of a row",
                             .units = "",
                             .axes = ""};
    return n;
}

int avi_data_attributes(const avi_session *s, avi_attribute a[AVI_DATA_ATTRIBUTES])
{
    const avi_data *d = s->train;
    int n = 0;
    a[n++] = (avi_attribute){.group = "/data", .name = "scale", .is_real = true, .real = d->shape.scale};
    /* How the file keeps its numbers: "stored value * 0.01 + 273.15"; values are those of what this says. */
    const char *packing = s->train_source->packing;
    a[n++] = (avi_attribute){.group = "/data", .name = "packing", .text = packing[0] ? packing : "none"};
    a[n++] = (avi_attribute){.group = "/data", .name = "transform", .text = d->log1p ? "log1p" : "none"};
    a[n++] = (avi_attribute){.group = "/data", .name = "standardise", .text = d->mean ? "yes" : "no"};
    /* To be added to ELBOs per row (nats), which are of what the model sees, for those of the values as given. */
    a[n++] = (avi_attribute){
        .group = "/data", .name = "log_jacobian_per_row", .is_real = true, .real = avi_data_log_jacobian(d)};
    const avi_holdout *held = avi_holdout_of(s->train_source);
    a[n++] = (avi_attribute){.group = "/data", .name = "held_out", .integer = held ? held->held : 0};
    a[n++] = (avi_attribute){.group = "/data", .name = "missing", .integer = d->stats->missing};
    /* What a row is, for who uses the fit without its data. */
    a[n++] = (avi_attribute){.group = "/data", .name = "row_height", .integer = s->shape.height};
    a[n++] = (avi_attribute){.group = "/data", .name = "row_columns", .integer = s->shape.columns};
    a[n++] = (avi_attribute){
        .group = "/data", .name = "row_channels", .integer = s->shape.channels > 1 ? s->shape.channels : 1};
    a[n++] = (avi_attribute){.group = "/data", .name = "row_channels_last", .integer = s->shape.channels_last};
    a[n++] = (avi_attribute){.group = "/data", .name = "row_ragged", .integer = s->shape.ragged};
    return n;
}
