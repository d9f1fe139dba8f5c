/* Inference functions: where the variational parameters nu_n of a row come from. Factorized VI reads a local table,
 * amortized VI applies a function of the data to the row's domain. One file src/infer/infer_<name>.c and one line
 * AVI_INFER(<name>); the symbol is `const avi_infer_ops avi_infer_<name>`. */
#ifndef AVI_INFER_H
#define AVI_INFER_H

#include "avi/config.h"
#include "avi/nn.h"
#include "avi/param.h"
#include "avi/registry.h"
#include "avi/tape.h"

typedef struct avi_infer avi_infer;

/* The domain of an inference function: the rows before and after row n that it sees. */
typedef struct avi_domain {
    int64_t before, after; /* rows n - before .. n + after */
    bool only_next;        /* x_{n+1} alone */
} avi_domain;

/* What a function sees of the global parameters beside its domain ([inference] theta): their values as they are in the
 * vector of parameters, so the logarithm of a scale that is one there. MEAN: those of q(theta), nu = f(x, E theta).
 * DRAW: nu = f(x, theta) for every draw of theta, which makes q(z | x, theta) a factor given theta. A theta that is a
 * point is both. */
typedef enum avi_theta_view { AVI_THETA_UNSEEN, AVI_THETA_MEAN, AVI_THETA_DRAW } avi_theta_view;

/* What the values of a row's features are to each other. */
typedef enum avi_layout {
    AVI_LAYOUT_VECTOR,   /* plain values: one channel, height 1, width D */
    AVI_LAYOUT_SEQUENCE, /* the rows of a window, earlier ones first: columns of the data are channels, height 1, width
                            is the number of rows */
    AVI_LAYOUT_IMAGE,    /* channels, height and width of the data's rows */
    AVI_LAYOUT_SET       /* entries of groups, for functions with ops->entries: one channel, height 1, width D */
} avi_layout;

typedef struct avi_feature_shape {
    avi_layout layout;
    /* Features (B, inputs) as images or sequences, where they are (nn.h). Two planes where values may be missing: the
     * values (0 where one is missing), then 1 where it is there, 0 where not. */
    avi_view view;
    int64_t entry; /* of groups of any number of entries: D, values of an entry; 0: rows of one width */
    int64_t theta; /* values of theta behind those of the domain, the same in every row; 0: none (inference.theta) */
} avi_feature_shape;
/* The shape of what `domain` shows of data of this shape; masked: values may be missing. Not collective. */
avi_feature_shape avi_feature_shape_of(const avi_shape *data, const avi_domain *domain, bool masked);

typedef struct avi_infer_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [inference] */
    bool local;        /* nu is a table with a row for each datapoint, owned by the rank that owns the row */
    bool features;     /* forward uses the features of the domain */
    bool entries;      /* of groups of any number of entries forward sees these themselves: features (E, inputs), whose
                          avi_segments are the groups; else their means over the entries and log(1 + entries) */
    bool refines;      /* the function that [inference] base names, and steps behind it: create reads the keys of these
                          steps into f->refine, and there is no forward. f->ops is the base then */
    bool plain;        /* forward takes features (B, inputs) of any number of values, whatever they are to each other:
                          those of theta may be among them */
    /* Reads keys and declares phi; f->inputs, f->shape, f->outputs, f->latent are set. Errors: CONFIG, INTERNAL. */
    avi_status (*create)(avi_infer *f, const avi_config *config);
    /* Optional, for local functions: the start of row `row` (in the order of the data as given), a function of seed and
     * row: nu (outputs). NULL: 0. */
    void (*start)(const avi_infer *f, uint64_t seed, int64_t row, double *nu);
    /* nu (B, outputs) from: features (B, inputs) when ops->features, table rows (B, outputs) when ops->local (else
     * NULL); phi[i] is block i of f->phi. */
    avi_node *(*forward)(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi);
} avi_infer_ops;

/* Steps of gradient ascent that move nu of a row from where the function has put it (Kim et al. 2018), on the ELBO of
 * that row by itself at the mean of q(theta): graph/refinement.c. */
typedef struct avi_refine {
    int steps;   /* k; 0: none */
    double rate; /* nu moves by rate times the gradient of the row's ELBO, in nats */
    int draws;   /* of z per row and step; 0: a quadrature */
    bool full;   /* the gradient of a fit goes through the steps; else to first order, past them */
} avi_refine;

struct avi_infer {
    const avi_infer_ops *ops;
    const avi_infer_ops *named; /* what [inference] function names; ops, unless that is a function with ops->refines */
    avi_refine refine;
    avi_theta_view theta;
    int64_t inputs;          /* values of the domain of a row, avi_view_values(&shape.view), and shape.theta */
    avi_feature_shape shape; /* what these values are to each other */
    int64_t outputs;         /* width of nu */
    int64_t latent;          /* L; nu starts with the L means */
    avi_params phi;
    void *self; /* freed with free() */
};

/* Rows of the data that the domain has. */
int64_t avi_domain_rows(const avi_domain *d);

/* Adds an inference function to the registry. Errors: INTERNAL when a required entry is missing or the name is taken.
 */
AVI_API avi_status avi_infer_register(avi_registry *registry, const avi_infer_ops *ops);
/* The keys that every inference function has: [inference] function, family, domain. */
avi_status avi_infer_register_keys(avi_registry *registry);
/* Reads [inference] domain: self | next | ahead | window:w. Errors: CONFIG. */
avi_status avi_domain_read(const avi_config *config, avi_domain *domain);
/* Reads [inference] theta. */
avi_theta_view avi_theta_view_read(const avi_config *config);
/* shape: of the features of a row; outputs: width of the family. Owner: caller. */
avi_status avi_infer_create(const avi_config *config, const avi_feature_shape *shape, int64_t outputs, int64_t latent,
                            avi_infer **infer);
/* A table of local factors whatever the configuration selects, as `factorized` has one; its rows are the caller's to
 * fill. Owner: caller. */
avi_status avi_infer_create_local(const avi_config *config, const avi_feature_shape *shape, int64_t outputs,
                                  int64_t latent, avi_infer **infer);
void avi_infer_destroy(avi_infer **infer);

#endif
