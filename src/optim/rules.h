/* Update loops in both precisions (k_rules.c). Slots as the optimizer's file declares them. */
#ifndef AVI_OPTIM_RULES_H
#define AVI_OPTIM_RULES_H

#include "avi/optim.h"

#define AVI_RULE(name)                                                                                                 \
    void name##_f32(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,      \
                    void *const *slot);                                                                                \
    void name##_f64(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,      \
                    void *const *slot);
AVI_RULE(avi_rule_adam)
AVI_RULE(avi_rule_sgd)

#endif
