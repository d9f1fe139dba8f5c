/* What models with one scalar z and one scalar theta share: keys, the block of theta, draws for simulated data. */
#ifndef AVI_MODEL_SCALAR_H
#define AVI_MODEL_SCALAR_H

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
         "initial log sd of q(theta), where it is a Gaussian"},                                                        \
    {                                                                                                                  \
        "model", "simulate_theta", AVI_KEY_REAL, "0", -1e6, 1e6, NULL, NULL,                                           \
            "theta that simulated data are drawn with"                                                                 \
    }

/* A line of the table of models whose theta is the location of x. */
#define AVI_LOCATION_START_KEY                                                                                         \
    {                                                                                                                  \
        "model", "start", AVI_KEY_CHOICE, "mean", 0, 0, "mean | zero", NULL,                                           \
            "where theta starts: at the mean of the training rows, or at 0 as in the paper's code"                     \
    }

/* Where the configuration has the key above and it says mean: theta starts there. After avi_scalar_create. */
void avi_scalar_start(avi_model *m, const avi_config *config);
/* Reads the keys above but the last and declares theta (1, 1), started at 0, with what it means for who reads the
 * results. Errors: DATA when rows of the data hold more than one value, INTERNAL. */
avi_status avi_scalar_create(avi_model *m, const avi_config *config, const char *meaning);
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

#endif
