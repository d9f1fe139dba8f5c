/* Steps of a fit that are not finite: skip them, go back, or end. */
#include "checkpoint/checkpoint_state.h"
#include "output/console.h"
#include "train/fit_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROLLBACKS = 20 };

/* Restoring takes the learning rate of the checkpoint, so the cut one is put back. The trace has become shorter:
 * metrics.csv is opened anew and cut to it. */
static avi_status roll_back(fit *f)
{
    char *path = NULL;
    const double factor = f->st->rate_factor * avi_config_get_real(f->s->config, "nan", "lr_cut");
    AVI_TRY(avi_checkpoint_find(f->folder, f->s->comm, &path));
    const char *from = avi_config_get_string(f->s->config, "checkpoint", "from");
    avi_status status = path    ? avi_restore(f->s, f->st, path)
                        : *from ? avi_restore(f->s, f->st, from)
                                : avi_state_reset(f->s, f->st);
    free(path);
    AVI_TRY(status);
    f->st->rate_factor = factor;
    f->rollbacks++;
    f->applied = 0;
    avi_metrics_close(&f->metrics);
    return avi_fit_open_metrics(f);
}

/* Where no step was applied since the state to go back to, the same steps would follow again. */
bool avi_fit_can_go_back(const fit *f) { return f->applied > 0 && f->rollbacks < MAX_ROLLBACKS; }

avi_status avi_fit_go_back(fit *f)
{
    AVI_TRY(roll_back(f));
    if (avi_comm_rank(f->s->comm) == 0)
        avi_warn("back to step %" PRId64 ", learning rate times %g from here", f->st->step, f->st->rate_factor);
    return AVI_OK;
}

/* The state is written before the run is marked as diverged: with it the first bad step can be repeated and looked at.
 */
static avi_status end_diverged(fit *f, const char *text)
{
    char path[4096], advice[AVI_ENDING_TEXT];
    const bool moved = f->st->step > f->st->skipped; /* some step, in this start or one before */
    AVI_TRY(avi_checkpoint_state_dump(f->s, f->st, f->folder, path, sizeof path));
    avi_fit_end(f, AVI_ERR_DIVERGED, "diverged");
    AVI_TRY(avi_ending_advice(f->s, f->st, advice));
    if (!moved) return avi_fail(AVI_ERR_DIVERGED, "%s. No step of the run was finite. %s", text, advice);
    return avi_fail(AVI_ERR_DIVERGED,
                    "%s. %" PRId64 " steps in a row without a finite gradient; the last checkpoint is as it was, and "
                    "checkpoint.from = %s replays the first of these steps. "
                    "%s",
                    text, f->st->skipped_in_a_row, path, advice);
}

avi_status avi_fit_handle_bad(fit *f, const avi_step_result *r)
{
    char text[512], hint[AVI_ENDING_TEXT] = "";
    const avi_config *c = f->s->config;
    const char *policy = avi_config_get_string(c, "nan", "policy");
    const int64_t max = avi_config_get_int(c, "nan", "max_skips");
    AVI_TRY(avi_step_describe_bad(f->s, f->st, r, text, sizeof text));
    f->st->skipped++;
    f->st->skipped_in_a_row++;
    const bool stop = !strcmp(policy, "stop"), enough = f->st->skipped_in_a_row >= max,
               back = !strcmp(policy, "rollback");
    if (!stop && f->st->step == 1) AVI_TRY(avi_ending_first_step(f->s, hint));
    if (avi_comm_rank(f->s->comm) == 0) {
        avi_console_break();
        /* One warning for bad steps that follow each other, not one for each. */
        if (!stop && f->st->skipped_in_a_row == 1)
            avi_warn("%s; the step is skipped%s%s", text, f->st->step == 1 ? ". " : "", f->st->step == 1 ? hint : "");
    }
    if (!stop && !enough) return AVI_OK;
    if (back && avi_fit_can_go_back(f)) return avi_fit_go_back(f);
    return end_diverged(f, text);
}
