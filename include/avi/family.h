/* Variational families of a local factor q(z_n; nu_n): AVI_FAMILY(<name>) in registry.def, `const avi_family
 * avi_family_<name>` in src/family/. */
#ifndef AVI_FAMILY_H
#define AVI_FAMILY_H

#include "avi/registry.h"
#include "avi/tape.h"

typedef struct avi_family {
    AVI_PLUGIN_FIELDS;                /* keys: of section [inference] */
    bool independent;                 /* nu = (means, log sds), z = mean + exp(log_sd) eps in each dimension */
    int64_t (*width)(int64_t latent); /* of nu */
    avi_node *(*draw)(avi_tape *t, avi_node *nu, avi_node *eps); /* (B*S, L) */
    avi_node *(*entropy)(avi_tape *t, avi_node *nu);             /* (B, 1) */
    avi_node *(*kl_std)(avi_tape *t, avi_node *nu); /* KL to N(0, 1), (B, 1); NULL: not in closed form here */
    avi_node *(*logq)(avi_tape *t, avi_node *nu, avi_node *z); /* (B*S, 1) */
    /* Mean and log sd of each dimension of one factor; mean, log_sd (L). */
    void (*moments)(const double *nu, int64_t latent, double *mean, double *log_sd);
} avi_family;

/* Adds a family to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
avi_status avi_family_register(avi_registry *registry, const avi_family *family);

#endif
