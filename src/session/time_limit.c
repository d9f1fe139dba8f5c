#include "session/time_limit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a launcher needs to end after its ranks, and a file system that is slow for once. */
static const double JOB_MARGIN = 30;

static double number_of(const char *text)
{
    char *end = NULL;
    errno = 0;
    const double value = strtod(text, &end);
    return errno || end == text || *end ? NAN : value;
}

/* Seconds from now to the end of the job, NAN outside of one. */
static double left_of_job(void)
{
    const char *end = getenv("SLURM_JOB_END_TIME");
    const double when = end ? number_of(end) : NAN;
    return when > 0 ? when - (double)time(NULL) : NAN;
}

avi_status avi_time_limit_read(avi_session *s)
{
    const char *text = avi_config_get_string(s->config, "run", "time_limit");
    avi_time_limit *t = &s->time_limit;
    *t = (avi_time_limit){0};
    if (!strcmp(text, "auto")) {
        const double left = left_of_job();
        t->of_job = true;
        t->seconds = isnan(left) ? 0 : left;
        t->read_at = avi_seconds();
        return AVI_OK;
    }
    const double minutes = number_of(text);
    if (!(minutes >= 0 && minutes <= 1e9))
        return avi_config_fail(s->config, "run", "time_limit",
                               "it is neither auto nor a number of minutes; use auto (the end of the Slurm job), 0 (no "
                               "limit), or minutes up to 1e9");
    t->seconds = 60 * minutes;
    return AVI_OK;
}

bool avi_time_limit_is_near(const avi_session *s, double start, double save_seconds)
{
    const avi_time_limit *t = &s->time_limit;
    if (t->seconds == 0) return false;
    /* Time for the last checkpoint must remain: twice what one took. The rest is never more than a tenth of the limit.
     */
    const double rest = fmin(t->of_job ? JOB_MARGIN : 2, 0.1 * fabs(t->seconds));
    return avi_seconds() - (t->of_job ? t->read_at : start) > t->seconds - 2 * save_seconds - rest;
}
