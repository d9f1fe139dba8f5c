/* metrics.csv: a line for every logged step, to watch a run by. */
#include "train/fit_internal.h"

#include <stdio.h>

static const char metrics_header[] =
    "step,epoch,seconds,elbo,elbo_per_row,log_likelihood,kl_local,kl_global,grad_norm,learning_rate,skipped";

/* ---- trace ---- */

avi_status avi_fit_write_metrics(fit *f, const double *row)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%.0f,%.6f,%.4f", row[0], row[1], row[2]);
    for (int c = 3; c < AVI_TRACE_COLUMNS; c++) n += snprintf(line + n, sizeof line - (size_t)n, ",%.10g", row[c]);
    return avi_metrics_line(f->metrics, line);
}

/* Written anew from the trace that the checkpoint holds: so a file that lost lines (removed, or with a node that went
 * down) is whole again. */
avi_status avi_fit_open_metrics(fit *f)
{
    const avi_trace *t = &f->st->trace;
    AVI_TRY(avi_metrics_open(f->folder, f->s->comm, metrics_header, &f->metrics));
    avi_status status = AVI_OK;
    for (int64_t r = 0; r < t->rows && status == AVI_OK; r++)
        status = avi_fit_write_metrics(f, t->value + r * (t->columns + t->extra));
    return avi_agree(f->s->comm, status);
}
