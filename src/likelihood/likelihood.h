/* Likelihoods p(x | z) of models whose decoder is a network: independent values given what the decoder makes of z. One
 * file and one line of the table in likelihood.c each.
 *
 * The outputs of a decoder, (B*S, P D): output p of value d is at p * output_stride + d * value_stride of a row. */
#ifndef AVI_LIKELIHOOD_H
#define AVI_LIKELIHOOD_H

#include "avi/model.h"
#include "density/levels.h"

typedef struct avi_likelihood avi_likelihood;

typedef struct avi_likelihood_ops {
    const char *name;
    const char *remedy; /* what to use for values that it cannot have */
    bool exposure;      /* model.exposure has a meaning */
    bool noise;         /* model.noise has one */
    /* Optional. Keys and own parameters, behind those of the decoder: l->block is the first. */
    avi_status (*create)(avi_likelihood *l, const avi_config *config, avi_params *theta);
    avi_support (*support)(const avi_likelihood *l);
    /* log p(x | z), summed over the values that are there, (B*S, 1). own[i]: own block i. */
    avi_node *(*log_density)(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                             avi_node *const *own);
    avi_node *(*mean)(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own); /* E x: (B*S, D) */
    /* A value of column d from its mean and a standard normal, which is turned into x by its quantile. */
    double (*draw)(const avi_likelihood *l, int64_t d, double mean, const double *const *own, double noise);
    /* In place of it where the mean does not say what the distribution is: from the outputs of the row. */
    double (*draw_of)(const avi_likelihood *l, int64_t d, const double *out, const double *const *own, double noise);
} avi_likelihood_ops;

struct avi_likelihood {
    const avi_likelihood_ops *ops;
    avi_shape shape; /* of the data */
    int64_t outputs; /* P: of the decoder for each value */
    int64_t output_stride, value_stride;
    int block;         /* the first own block of theta */
    double number;     /* gaussian: the standard deviation, where it is not learned */
    bool learned;      /* gaussian: model.noise = learned */
    bool exposure;     /* counts: the means are shares of the total of the row, which is given */
    avi_levels levels; /* of categorical and discretised_logistic */
};

/* Lines of the key table of a model. */
#define AVI_LIKELIHOOD_CHOICES "bernoulli | gaussian | categorical | poisson | negative_binomial | discretised_logistic"
#define AVI_LIKELIHOOD_KEYS                                                                                            \
    {"model",                                                                                                          \
     "likelihood",                                                                                                     \
     AVI_KEY_CHOICE,                                                                                                   \
     "bernoulli",                                                                                                      \
     0,                                                                                                                \
     0,                                                                                                                \
     AVI_LIKELIHOOD_CHOICES,                                                                                           \
     NULL,                                                                                                             \
     "p(x | z): independent bits by logit; N(decoder(z), noise_sd^2); one of `levels` classes for each value, by "     \
     "logits; counts with log mean decoder(z), of variance mean (poisson) or mean + mean^2 / r with r learned for "    \
     "each column (negative_binomial); levels as rounded values of a logistic variable at decoder(z), whose scale is " \
     "learned for each column"},                                                                                       \
        {"model",                                                                                                      \
         "noise_sd",                                                                                                   \
         AVI_KEY_REAL,                                                                                                 \
         "1",                                                                                                          \
         1e-6,                                                                                                         \
         1e6,                                                                                                          \
         NULL,                                                                                                         \
         "data units",                                                                                                 \
         "standard deviation of the gaussian likelihood; where it is learned, the one that it starts at"},             \
        {"model",                                                                                                      \
         "noise",                                                                                                      \
         AVI_KEY_CHOICE,                                                                                               \
         "fixed",                                                                                                      \
         0,                                                                                                            \
         0,                                                                                                            \
         "fixed | learned",                                                                                            \
         NULL,                                                                                                         \
         "the standard deviation of the gaussian likelihood: noise_sd, or learned with the decoder, one for all "      \
         "columns"},                                                                                                   \
        {"model",                                                                                                      \
         "levels",                                                                                                     \
         AVI_KEY_INT,                                                                                                  \
         "256",                                                                                                        \
         2,                                                                                                            \
         65536,                                                                                                        \
         NULL,                                                                                                         \
         "levels",                                                                                                     \
         "of categorical and discretised_logistic: values are 0, 1, ..., levels - 1, or grey values of 256 levels"},   \
        {"model",                                                                                                      \
         "logistic_scale",                                                                                             \
         AVI_KEY_REAL,                                                                                                 \
         "0.1",                                                                                                        \
         1e-6,                                                                                                         \
         1e6,                                                                                                          \
         NULL,                                                                                                         \
         "part of the range",                                                                                          \
         "the scale of discretised_logistic that every column starts at"},                                             \
        {"model", "dispersion", AVI_KEY_REAL,                                                                          \
         "1",     1e-6,         1e6,                                                                                   \
         NULL,    NULL,         "r of negative_binomial that every column starts at"},                                 \
    {                                                                                                                  \
        "model", "exposure", AVI_KEY_CHOICE, "none", 0, 0, "none | total", NULL,                                       \
            "total: the means of counts are exp(decoder(z)) times the total of the row, which is taken as given"       \
    }

/* Reads these keys. *l may be used by nodes until it is freed, so it must stay where it is. Errors: CONFIG. */
avi_status avi_likelihood_create(avi_likelihood *l, const avi_config *config, const avi_shape *shape);
/* Declares its own parameters behind those of the decoder. Errors: CONFIG, INTERNAL. */
avi_status avi_likelihood_declare(avi_likelihood *l, const avi_config *config, avi_params *theta);
avi_support avi_likelihood_support(const avi_likelihood *l);
/* out (B*S, P D) as the decoder makes it; theta: all blocks of the model. */
avi_node *avi_likelihood_log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                                     avi_node *const *theta);
/* E[x | z], (B*S, D), without a gradient where the likelihood has levels. */
avi_node *avi_likelihood_mean(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                              avi_node *const *theta);
/* Draws of one row: x (D) comes as E[x | z] and becomes a draw; out (P D), only read where needs_outputs. */
bool avi_likelihood_needs_outputs(const avi_likelihood *l);
void avi_likelihood_draw(const avi_likelihood *l, const double *out, const double *const *theta, const double *noise,
                         double *x);

/* ---- for the files of likelihood/ ---- */

/* The count whose distribution function first reaches Phi(noise): Poisson (r infinite) or negative binomial. */
double avi_count_quantile(double mean, double r, double noise);
/* Sets l->levels from [model] levels and the scale of the data. Errors: CONFIG. */
avi_status avi_likelihood_read_levels(avi_likelihood *l, const avi_config *config);
avi_support avi_likelihood_level_support(const avi_likelihood *l);

#endif
