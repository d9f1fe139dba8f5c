/* Factorized VI: every row has its own nu, a row of a table that lives with the row's owner. */
#include "avi/infer.h"
#include "avi/rng.h"

#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"inference", "start_mean_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL,
     "means of q(z_n) start as draws of N(0, start_mean_sd^2), for every row its own; the paper's VAE notebook: 1"},
    {"inference", "start_log_sd", AVI_KEY_REAL, "0", -30, 30, NULL, NULL,
     "log sds of q(z_n) start as draws of N(start_log_sd, start_log_sd_sd^2); the paper's VAE notebook: -1"},
    {"inference", "start_log_sd_sd", AVI_KEY_REAL, "0", 0, 30, NULL, NULL,
     "spread of the log sds' starts; the paper's VAE notebook: 1"},
};

typedef struct factorized {
    double mean_sd, log_sd, log_sd_sd; /* of the starts */
} factorized;

static avi_status create(avi_infer *f, const avi_config *config)
{
    factorized *s = f->self = malloc(sizeof *s);
    if (!s) return avi_fail_memory(sizeof *s, "the inference function");
    s->mean_sd = avi_config_get_real(config, "inference", "start_mean_sd");
    s->log_sd = avi_config_get_real(config, "inference", "start_log_sd");
    s->log_sd_sd = avi_config_get_real(config, "inference", "start_log_sd_sd");
    if ((s->log_sd != 0 || s->log_sd_sd > 0) && f->outputs != 2 * f->latent)
        return avi_config_fail(config, "inference", s->log_sd != 0 ? "start_log_sd" : "start_log_sd_sd",
                               "starts of log sds are for independent dimensions; use inference.family = gaussian");
    return AVI_OK;
}

static void start(const avi_infer *f, uint64_t seed, int64_t row, double *nu)
{
    const factorized *s = f->self;
    const int64_t l = f->latent;
    memset(nu, 0, (size_t)f->outputs * sizeof *nu);
    if (!(s->mean_sd > 0) && s->log_sd == 0 && !(s->log_sd_sd > 0)) return; /* no draws, and no zeros with a sign */
    avi_normal_f64(avi_stream_make(seed, AVI_DRAW_INIT, 1), (uint64_t)row, 1, 0, f->outputs == 2 * l ? 2 * l : l, nu);
    for (int64_t i = 0; i < l; i++) nu[i] *= s->mean_sd;
    for (int64_t i = l; i < 2 * l && f->outputs == 2 * l; i++) nu[i] = s->log_sd + s->log_sd_sd * nu[i];
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)f;
    (void)t;
    (void)rows;
    (void)features;
    (void)phi;
    return table;
}

const avi_infer_ops avi_infer_factorized = {
    .name = "factorized",
    .doc = "F-VI: every datapoint has its own variational factor",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .local = true,
    .start = start,
    .create = create,
    .forward = forward,
};
