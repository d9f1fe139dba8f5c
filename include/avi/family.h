/* Variational families of a local factor q(z_n; nu_n). One file src/family/<name>.c and one line AVI_FAMILY(<name>) in
 * registry.def; the symbol is `const avi_family_ops avi_family_<name>`.
 *
 * nu_n are the parameters of row n, made by the inference function. A family may have parameters that all rows share as
 * well (the weights of a flow): they are learned with those of the inference function. */
#ifndef AVI_FAMILY_H
#define AVI_FAMILY_H

#include "avi/registry.h"
#include "avi/tape.h"

typedef struct avi_family avi_family;

typedef struct avi_family_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [inference] */
    bool independent;  /* nu = (means, log sds), z = mean + exp(log_sd) eps in each dimension */
    /* Required. Reads keys and sets f->width; f->latent is set. Errors: CONFIG, INTERNAL. */
    avi_status (*create)(avi_family *f, const avi_config *config);
    /* Optional. Adds the shared parameters to phi. Errors: INTERNAL. */
    avi_status (*declare)(avi_family *f, avi_params *phi);
    /* Required. z (B*S, L) from nu (B, width), the shared parameters own[i] and standard normals eps (B*S, L). log_q,
     * when not NULL, becomes log q(z) of every draw, (B*S, 1). */
    avi_node *(*draw)(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **log_q);
    /* Optional: log q(z) at any z, (B*S, 1). Sticking the landing needs it. */
    avi_node *(*log_q)(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z);
    /* Optional closed forms, (B, 1): the entropy, and the KL to N(0, I). Without them both come from the draws. With an
     * entropy z must be affine in eps: the points of a quadrature then stand for the draws (objective.draws = 0). With
     * draw_after the entropy is that of z_n given z_{n-1}. */
    avi_node *(*entropy)(const avi_family *f, avi_tape *t, avi_node *nu);
    avi_node *(*kl_std)(const avi_family *f, avi_tape *t, avi_node *nu);
    /* Optional: the factors of a chain (model.h), q(z) = prod_n q(z_n | z_{n-1}). A draw of z_n (B*S, L) given the draw
     * of z_{n-1} that `draw` makes of eps_before (B*S, L) and the nu of that row; log_q as in draw, of z_n given
     * z_{n-1}. draw itself is then from the marginal q(z_n). Pairs of neighbours so drawn have the distribution that
     * they have under q, which is all that the ELBO of a chain asks for; each row needs its neighbours and no pass
     * along the chain. NULL: rows are independent under q. */
    avi_node *(*draw_after)(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                            avi_node *eps_before, avi_node **log_q);
    /* Required. Mean and log sd of each dimension of one factor: nu (width), own[i] the values of shared block i in
     * double (NULL without any); mean, log_sd (L). */
    void (*moments)(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd);
    /* Optional. The covariance (L, L) of one factor, where its dimensions are not independent; and, in nats, its
     * entropy. */
    void (*covariance)(const avi_family *f, const double *nu, double *covariance);
    double (*entropy_of)(const avi_family *f, const double *nu);
    /* Optional, both needed for q(theta): E |z|^2 in closed form, (B, 1); and of value k of nu the value that is the
     * logarithm of its scale: k itself for logarithms of scales, -1 for a number without a unit. With mean 0, these
     * logarithms 0 and all others 0 the factor is N(0, I). */
    avi_node *(*second_moment)(const avi_family *f, avi_tape *t, avi_node *nu);
    int64_t (*scale_of)(const avi_family *f, int64_t k);
    int moment_draws;               /* moments are means over so many fixed draws; 0: they are exact */
    void (*destroy)(avi_family *f); /* optional; else self is freed with free() */
} avi_family_ops;

struct avi_family {
    const avi_family_ops *ops;
    int64_t latent, width;               /* L; values of nu */
    int64_t tied;                        /* with draw_after: the last values of nu, 0 where there is no row before */
    bool kl_by_draws;                    /* set by create: kl_std costs more than it is worth */
    int first, count;                    /* the shared blocks: [first, first + count) of phi */
    const char *rank_section, *rank_key; /* which key says in how many directions dimensions are correlated */
    void *self;
};

/* Adds a family to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
AVI_API avi_status avi_family_register(avi_registry *registry, const avi_family_ops *ops);
/* The family that [inference] family selects. Owner: caller, avi_family_destroy. Errors: CONFIG, INTERNAL. */
avi_status avi_family_create(const avi_config *config, int64_t latent, avi_family **family);
/* The family of q(theta), one factor of `values` dimensions, that [model] global selects; NULL where that is a point or
 * a factorized Gaussian, or there is no theta. Owner: caller. Errors: CONFIG (too many values for the family),
 * INTERNAL. */
avi_status avi_family_create_global(const avi_config *config, int64_t values, avi_family **family);
/* A Gaussian with full covariance, whatever the configuration selects. Owner: caller. Errors: CONFIG, INTERNAL. */
avi_status avi_family_create_full(const avi_config *config, int64_t latent, avi_family **family);
void avi_family_destroy(avi_family **family);
/* Adds the shared parameters behind those of the inference function. Errors: INTERNAL. */
avi_status avi_family_declare(avi_family *f, avi_params *phi);
/* Whether the KL to N(0, I) is to be taken in closed form. */
bool avi_family_has_kl(const avi_family *f);
/* Whether the family is a Gaussian with full covariance: what closed forms can compare. */
bool avi_family_is(const avi_family *f, const char *name);
/* objective.entropy = notebook: a Gaussian with independent dimensions whose entropy, KL and log q are those of the
 * published VAE notebook, which takes the standard deviation for the variance there; draws and moments are unchanged.
 * NULL unless the family is such a Gaussian. Owned by the library. */
const avi_family_ops *avi_family_notebook(const avi_family *f);

#endif
