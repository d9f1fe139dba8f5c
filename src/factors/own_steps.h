/* The steps that a row's own factor has by default in F-VI by minibatches (optim.local_learning_rate = auto).
 *
 * A row is seen once an epoch, so that its steps must be long, of the scale of the prior, as long as its factor is
 * wide; and short once the factor is narrow, or the factor is shaken by more than its own width: with posteriors of sd
 * 0.07 steps of 0.2 left F-VI 1.7 nats per row below A-VI. So a mean moves by sqrt(sd) times the optimizer's step, and
 * all steps shrink as 1 / sqrt(1 + epoch / 20), as those of a stochastic approximation may. */
#ifndef AVI_FACTORS_OWN_STEPS_H
#define AVI_FACTORS_OWN_STEPS_H

#include "avi/param.h"

#include <stdint.h>

/* All of this is not collective. */

/* What the learning rate of factors is multiplied by in an epoch (from 0). */
double avi_own_steps_rate(int64_t epoch);
/* means (rows, L) = those in nu (rows, 2 L: means, then log sds), before a step; means before and after are in the
 * precision p. */
void avi_own_steps_keep(avi_precision p, int64_t rows, int64_t latent, const void *nu, void *means);
/* nu after the optimizer's step: means go min(1, sqrt(sd)) of the way from where they were, sd as it is now. */
void avi_own_steps_shorten(avi_precision p, int64_t rows, int64_t latent, void *nu, const void *means);

#endif
