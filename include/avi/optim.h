/* Optimizers: first-order rules that work value by value on a flat vector, the same for global parameters and for local
 * rows. One file src/optim/optim_<name>.c and one line AVI_OPTIM(<name>); the symbol is `const avi_optim_ops
 * avi_optim_<name>`. */
#ifndef AVI_OPTIM_H
#define AVI_OPTIM_H

#include "avi/config.h"
#include "avi/param.h"
#include "avi/registry.h"

enum { AVI_OPTIM_SLOTS = 2 };

/* One update of n values. */
typedef struct avi_optim_update {
    double learning_rate;
    double scale;  /* the gradient is scale * gradient (clipping, 1 / rows) */
    int64_t count; /* how many updates these values have had, this one included (1, 2, ...) */
} avi_optim_update;

typedef struct avi_optim avi_optim;

typedef struct avi_optim_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [optim] */
    int slots;         /* state vectors, up to AVI_OPTIM_SLOTS */
    const char *slot_name[AVI_OPTIM_SLOTS];
    bool slot_of_squares[AVI_OPTIM_SLOTS]; /* means of squares, which are never below 0 */
    avi_status (*create)(avi_optim *o, const avi_config *config);
    /* values -= rule(scale * gradient); slots updated in place. By precision. */
    void (*update[2])(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,
                      void *const *slot);
    /* Whole-vector methods (L-BFGS) are driven by run/: update is NULL then. */
} avi_optim_ops;

struct avi_optim {
    const avi_optim_ops *ops;
    double number[4]; /* the rule's constants */
};

/* Adds an optimizer to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
AVI_API avi_status avi_optim_register(avi_registry *registry, const avi_optim_ops *ops);
/* The keys that every optimizer has. */
avi_status avi_optim_register_keys(avi_registry *registry);
avi_status avi_optim_create(const avi_config *config, avi_optim *optim);

/* The learning rate of update `step` (0, 1, ...) of `total`: schedule constant | step | cosine with warm-up. */
typedef struct avi_schedule {
    double learning_rate, factor;
    int kind; /* 0 constant, 1 step, 2 cosine */
    int64_t every, warmup, total;
} avi_schedule;
void avi_schedule_read(const avi_config *config, int64_t total_steps, avi_schedule *schedule);
double avi_schedule_at(const avi_schedule *s, int64_t step);

#endif
