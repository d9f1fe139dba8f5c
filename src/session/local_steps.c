#include "session/local_steps.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* On 20000 drawn glyphs and on 10000, factors by four steps of 0.2 per visit reach in 20 and in 40 epochs what an
 * encoder does; one step of 1e-3 would be hundreds of nats below. */
static const double OWN_RATE = 0.2;
enum { OWN_STEPS = 4 };

/* Where a row is seen once an epoch, and its factor has the scale of a standard normal prior: Adam's step is then one
 * of that scale. */
static bool has_own_step(const avi_session *s)
{
    return s->infer->ops->local && !strcmp(s->optim.ops->name, "adam") && !s->local_all &&
           s->model->ops->coupling == AVI_INDEPENDENT && s->batch < s->partition.rows;
}

avi_status avi_local_steps_read(avi_session *s)
{
    const avi_config *c = s->config;
    const char *text = avi_config_get_string(c, "optim", "local_learning_rate");
    const int steps = (int)avi_config_get_int(c, "optim", "local_steps");
    const bool automatic = !strcmp(text, "auto"), own = automatic && has_own_step(s);
    char *end = NULL;
    errno = 0;
    s->local_rate =
        automatic ? (own ? OWN_RATE : avi_config_get_real(c, "optim", "learning_rate")) : strtod(text, &end);
    if (!automatic && (errno || end == text || *end || !(s->local_rate >= 0 && s->local_rate <= 1e3)))
        return avi_config_fail(c, "optim", "local_learning_rate",
                               "it is neither auto nor a step size; use auto, or a number from 0 to 1000");
    s->local_own = own;
    s->local_steps = steps ? steps : own ? OWN_STEPS : 1;
    if (s->local_steps == 1 || !s->infer->ops->local) return AVI_OK;
    if (s->model->ops->coupling != AVI_INDEPENDENT || s->local_all || !s->optim.ops->update[s->precision])
        return avi_config_fail(
            c, "optim", "local_steps",
            "several steps are for the factors of independent rows, of those in the batch alone; use "
            "1, or adam or sgd with optim.local_rows = batch");
    return AVI_OK;
}
