#include "tasks/post_fit.h"
#include "train/evaluation.h"

#include <stdio.h>
#include <string.h>

enum { EXACT = 1, EVALUATE = 2 };

/* Names separated by commas or blanks, as bits. */
static avi_status parse(const avi_session *s, int *tasks)
{
    const char *text = avi_config_get_string(s->config, "run", "after");
    *tasks = 0;
    for (size_t n; *(text += strspn(text, ", \t")); text += n) {
        n = strcspn(text, ", \t");
        if (n == 5 && !strncmp(text, "exact", n))
            *tasks |= EXACT;
        else if (n == 8 && !strncmp(text, "evaluate", n))
            *tasks |= EVALUATE;
        else
            return avi_config_fail(
                s->config, "run", "after",
                "%.*s is not a task that follows a fit; exact or evaluate, or both with a comma, would serve", (int)n,
                text);
    }
    return AVI_OK;
}

avi_status avi_post_fit_check(const avi_session *s)
{
    int tasks;
    AVI_TRY(parse(s, &tasks));
    return tasks & EXACT ? avi_optimum_check(s) : AVI_OK;
}

avi_status avi_post_fit(const avi_session *s, avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                        avi_optimum **answer, avi_fit_comparison *fit)
{
    int tasks;
    *answer = NULL;
    AVI_TRY(avi_agree(s->comm, parse(s, &tasks)));
    if (!(tasks & EXACT)) return AVI_OK;
    AVI_TRY(avi_optimum_create(s, answer));
    AVI_TRY(avi_optimum_compare_fit(*answer, st, evaluation[AVI_EVAL_ELBO_TRAIN] * (double)s->partition.rows, fit));
    return avi_agree(s->comm, avi_optimum_fields(*answer, fit));
}

void avi_post_fit_print(const avi_session *s, const avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                        const avi_optimum *answer, const avi_fit_comparison *fit)
{
    int tasks;
    if (parse(s, &tasks) == AVI_OK && tasks & EVALUATE) avi_evaluation_print(s, st, evaluation);
    if (answer) avi_optimum_print(answer, fit);
}
