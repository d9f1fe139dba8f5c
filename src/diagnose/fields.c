/* /diagnose of run.h5. */
#include "diagnose/diagnose.h"

#include <stdlib.h>

static avi_status scalar(avi_fields *l, const char *path, const double *value, const char *description)
{
    if (!path) return avi_fail_memory(64, "the diagnosis");
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_F64,
                                         .data = value,
                                         .description = description,
                                         .units = "nats, all training rows",
                                         .axes = ""});
}

static avi_status witness_fields(const avi_diagnosis *d, avi_fields *l)
{
    const size_t n = (size_t)d->witnesses;
    int64_t *rows = avi_fields_memory(l, 2 * n * sizeof *rows);
    double *distance = avi_fields_memory(l, n * sizeof *distance),
           *difference = avi_fields_memory(l, n * sizeof *difference), *cost = avi_fields_memory(l, n * sizeof *cost);
    if (!rows || !distance || !difference || !cost) return avi_fail_memory(n * sizeof *cost, "the diagnosis");
    for (size_t i = 0; i < n; i++) {
        rows[2 * i] = d->witness[i].row[0];
        rows[2 * i + 1] = d->witness[i].row[1];
        distance[i] = d->witness[i].distance;
        difference[i] = d->witness[i].difference;
        cost[i] = d->witness[i].cost;
    }
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/diagnose/witness",
                                          .type = AVI_I64,
                                          .rank = 2,
                                          .dims = {d->witnesses, 2},
                                          .data = rows,
                                          .description = "rows that look alike to a function of inference.domain and "
                                                         "have different optimal factors, the worst pair first",
                                          .units = "number of the row, from 0",
                                          .axes = "pair, member"}));
    const struct {
        const char *path;
        const double *data;
        const char *description, *units;
    } column[] = {{"/diagnose/witness_distance", distance, "root mean square distance of the inputs of the pair", "sd"},
                  {"/diagnose/witness_difference", difference,
                   "largest difference of a value of their factors, in the sd that a factor leaves it", "sd"},
                  {"/diagnose/witness_cost", cost, "what the two rows lose when they share a factor", "nats"}};
    for (size_t i = 0; i < sizeof column / sizeof column[0]; i++)
        AVI_TRY(avi_fields_add(l, (avi_field){.path = column[i].path,
                                              .type = AVI_F64,
                                              .rank = 1,
                                              .dims = {d->witnesses},
                                              .data = column[i].data,
                                              .description = column[i].description,
                                              .units = column[i].units,
                                              .axes = "pair"}));
    return AVI_OK;
}

static avi_status attributes(const avi_diagnosis *d, avi_fields *l)
{
    const struct {
        const char *name;
        int64_t value;
    } count[] = {{"rows", d->rows}, {"rows_converged", d->converged}, {"rows_with_equal_inputs", d->tied_rows}};
    const struct {
        const char *name;
        double value;
    } real[] = {{"tolerance", d->tolerance},
                {"equal_inputs_lose", d->tied},
                {"amortization_gap", d->gap},
                {"error_amortization_gap", d->gap_error},
                {"correction_gains", d->gain}};
    for (size_t i = 0; i < sizeof count / sizeof count[0]; i++)
        AVI_TRY(avi_fields_attribute(
            l, (avi_attribute){.group = "/diagnose", .name = count[i].name, .integer = count[i].value}));
    for (size_t i = 0; i < sizeof real / sizeof real[0]; i++)
        AVI_TRY(avi_fields_attribute(
            l, (avi_attribute){.group = "/diagnose", .name = real[i].name, .is_real = true, .real = real[i].value}));
    return AVI_OK;
}

avi_status avi_diagnosis_fields(const avi_diagnosis *d, avi_fields *l)
{
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/diagnose/verdict",
                                          .text = d->verdict,
                                          .description = "whether a function of inference.domain closes the "
                                                         "amortization gap",
                                          .units = "",
                                          .axes = ""}));
    for (int i = 0; i < d->domains; i++) {
        const avi_domain_floor *f = &d->domain[i];
        if (!f->known) continue;
        AVI_TRY(scalar(l, avi_fields_text(l, "/diagnose/floor_%s", f->name), &f->floor,
                       "the least gap that a smooth function of this domain leaves"));
        AVI_TRY(
            scalar(l, avi_fields_text(l, "/diagnose/floor_error_%s", f->name), &f->error,
                   "its standard error: of the sample of rows, and half of what rows cost more that were left out"));
        if (f->left_out > 0)
            AVI_TRY(scalar(l, avi_fields_text(l, "/diagnose/left_out_%s", f->name), &f->left_out,
                           "what a function of this domain that was fitted to the sample loses of rows that it has not "
                           "seen, as if all rows were such: the gap to expect on held-out rows"));
    }
    AVI_TRY(witness_fields(d, l));
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/diagnose/row",
                                          .type = AVI_I64,
                                          .rank = 1,
                                          .dims = {d->rows},
                                          .data = d->given,
                                          .description = "the rows that were compared",
                                          .units = "number of the row, from 0",
                                          .axes = "row"}));
    return attributes(d, l);
}
