/* What models with one scalar z and one scalar theta share: keys, the block of theta, draws for simulated data, fused
 * densities. */
#ifndef AVI_DENSITY_NORMAL_1D_H
#define AVI_DENSITY_NORMAL_1D_H

#include "avi/model.h"

/* Lines of a model's table of keys. */
#define AVI_SCALAR_THETA_KEYS                                                                                          \
    {"model", "prior_sd", AVI_KEY_REAL, "0", 0, 1e6, NULL, NULL, "theta ~ N(0, prior_sd^2); 0: flat"},                 \
        {"model",                                                                                                      \
         "global_log_sd",                                                                                              \
         AVI_KEY_REAL,                                                                                                 \
         "-2",                                                                                                         \
         -30,                                                                                                          \
         5,                                                                                                            \
         NULL,                                                                                                         \
         NULL,                                                                                                         \
         "initial log sd of q(theta), where global = gaussian"},                                                       \
    {                                                                                                                  \
        "model", "simulate_theta", AVI_KEY_REAL, "0", -1e6, 1e6, NULL, NULL,                                           \
            "theta that simulated data are drawn with"                                                                 \
    }

/* Reads the keys above but the last and declares theta (1, 1), started at 0. Errors: DATA when rows of the data hold
 * more than one value, INTERNAL. */
avi_status avi_scalar_create(avi_model *m, const avi_config *config);
/* DATA, with a message that names model and data, unless the rows of the data hold `width` values, which the model has
 * because of `why`. */
avi_status avi_model_need_width(const avi_model *m, int64_t width, const char *why);
/* Standard normals that belong to row `row` of simulated data: columns [first, first + cols); of all the rows listed:
 * (count, cols). */
void avi_simulate_normals(uint64_t seed, int64_t row, int64_t first, int64_t cols, double *out);
void avi_simulate_normals_rows(uint64_t seed, const int64_t *row, int64_t count, int64_t first, int64_t cols,
                               double *out);
enum { AVI_SIMULATE_BLOCK = 256 /* rows that models take at a time, so that their draws stay in cache */ };

/* A new constant (rows, cols) with these values. */
avi_node *avi_model_constant(avi_tape *t, int64_t rows, int64_t cols, const double *values);

/* log N(y; a u + b theta, sd^2), fused. Borrowed by the tape until its next reset. */
typedef struct avi_scalar_normal {
    double a, b, sd;
} avi_scalar_normal;
/* y (B, 1) repeated over draws or (B*S, 1); u (B*S, 1); theta (S, 1), (1, 1) or NULL -> (B*S, 1). All three may have
 * gradients. */
avi_node *avi_scalar_normal_lpdf(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *u, avi_node *theta);

/* log N(x; theta + z sin z + z, exp(cos z)^2), fused: x (B, 1), z (B*S, 1), theta (S, 1) or (1, 1) -> (B*S, 1).
 * *drop_log_sigma leaves out the term -cos z. */
avi_node *avi_wave_lpdf(avi_tape *t, const bool *drop_log_sigma, avi_node *x, avi_node *z, avi_node *theta);

/* The means over draws of both, at z = mean + exp(log_sd) eps with (mean, log_sd) the rows of nu (B, 2): in one pass
 * over eps (B*S, 1), without z. weight: of the draws (S, borrowed), NULL: all alike. y or x: (B, 1); theta as above ->
 * (B, 1). All but eps may have gradients. */
avi_node *avi_scalar_normal_draws(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *nu, avi_node *eps,
                                  avi_node *theta, const double *weight);
avi_node *avi_wave_draws(avi_tape *t, bool drop_log_sigma, avi_node *x, avi_node *nu, avi_node *eps, avi_node *theta,
                         const double *weight);
/* Of such a node (k_scalar_draws.c). */
typedef struct avi_scalar_draws {
    double a, b, sd;
    bool drop_log_sigma;
    const double *weight;
} avi_scalar_draws;

#endif
