#include "avi/optim.h"

#include <math.h>
#include <string.h>

void avi_schedule_read(const avi_config *config, int64_t total_steps, avi_schedule *s)
{
    const char *kind = avi_config_get_string(config, "optim", "schedule");
    *s = (avi_schedule){
        .learning_rate = avi_config_get_real(config, "optim", "learning_rate"),
        .factor = avi_config_get_real(config, "optim", "schedule_factor"),
        .kind = !strcmp(kind, "step")     ? 1
                : !strcmp(kind, "cosine") ? 2
                                          : 0,
        .every = avi_config_get_int(config, "optim", "schedule_every"),
        .warmup = avi_config_get_int(config, "optim", "warmup"),
        .total = total_steps,
    };
}

double avi_schedule_at(const avi_schedule *s, int64_t step)
{
    double rate = s->learning_rate;
    if (step < s->warmup) return rate * (double)(step + 1) / (double)s->warmup;
    const int64_t stairs = step / s->every;
    if (s->kind == 1) rate *= pow(s->factor, (double)stairs);
    if (s->kind == 2 && s->total > s->warmup) {
        const int64_t last = step < s->total ? step : s->total; /* beyond the end it does not rise again */
        rate *= 0.5 * (1 + cos(acos(-1.0) * (double)(last - s->warmup) / (double)(s->total - s->warmup)));
    }
    return rate;
}
