/* What a Gaussian hidden Markov model is given: the matrices of its keys. The model and its exact answers read them
 * alike. */
#ifndef AVI_MODEL_HMM_H
#define AVI_MODEL_HMM_H

#include "avi/config.h"

typedef struct avi_hmm {
    int64_t latent, width;       /* L, D */
    double *a, *c;               /* (L, L), (D, L) */
    double *log_sd_q, *log_sd_r; /* (L), (D) */
    double initial_sd;
} avi_hmm;

/* Reads A, C, Q, R and initial_sd of section [model] for L and D. Errors: CONFIG, INTERNAL. Owner: caller,
 * avi_hmm_free, also after a failure. */
avi_status avi_hmm_read(const avi_config *config, int64_t latent, int64_t width, avi_hmm *h);
void avi_hmm_free(avi_hmm *h);

#endif
