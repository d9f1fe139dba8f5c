/* Importance weights of one row: log p(x) with its error, effective sample size, and Pareto k-hat. Not collective. */
#ifndef AVI_GAP_PSIS_H
#define AVI_GAP_PSIS_H

#include <stdint.h>

typedef struct avi_weights {
    double log_p;       /* log (1/K) sum_k w_k, nats (Burda, Grosse & Salakhutdinov 2016) */
    double log_p_error; /* its standard error by the delta method: sd(w) / (mean(w) sqrt(K)) */
    double ess;         /* (sum w)^2 / sum w^2, 1 .. K */
    double khat; /* Pareto k-hat of the tail (Vehtari, Simpson, Gelman, Yao & Gabry 2024): reliable below 0.7. 0 where
                    all weights are equal, since q is then exact; NaN with fewer than 25 draws, which have no tail */
} avi_weights;

/* log_weight (K), overwritten (sorted). A weight that is NaN or +infinity makes everything NaN; -infinity is a weight
 * of 0. */
void avi_weights_summarise(int64_t draws, double *log_weight, avi_weights *out);

/* Shape k and scale of a generalized Pareto distribution of n exceedances, ascending and positive, by the empirical
 * Bayes estimate of Zhang & Stephens (2009), with the weak prior at 0.5 of Vehtari et al. (2024, appendix G). */
double avi_pareto_shape(int64_t n, const double *exceedance);

#endif
