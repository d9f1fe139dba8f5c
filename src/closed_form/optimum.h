/* Exact answers: the optimum of factorized VI in closed form, and how close a class of inference functions can come to
 * it.
 *
 * A model with a closed form is one file src/closed_form/exact_<name>.c and one line AVI_EXACT(<name>) in registry.def;
 * the symbol is `const avi_exact_ops avi_exact_<name>`. Everything here is in double and in SLABS of given rows
 * (partition.h), whatever the run's precision and partition.
 *
 * A jointly Gaussian model is log p(x, u) = log p(x, u*) - |J (u - u*)|^2 / 2 in its unknowns u = (z, theta): u* its
 * mode, J'J = P the posterior precision. F-VI's optimum has the means u* and the variances 1 / P_ii. For factors of
 * means m and variances v ELBO* - ELBO = |J (m - u*)|^2 / 2 + sum_i (a_i - 1 - log a_i) / 2,   a_i = v_i P_ii, so the
 * best means of a class of functions are a least-squares problem, and the best variances a convex one. */
#ifndef AVI_CLOSED_FORM_OPTIMUM_H
#define AVI_CLOSED_FORM_OPTIMUM_H

#include "output/run_file.h"

typedef struct avi_optimum avi_optimum;

typedef struct avi_exact_ops {
    AVI_PLUGIN_FIELDS; /* name: the model's */
    /* Required. CONFIG when the configured variant has no closed form. Not collective. */
    avi_status (*check)(const avi_session *s);
    /* Required. Fills the fields of the answer marked `solve` below. Collective. Errors: DATA, INTERNAL. */
    avi_status (*solve)(avi_optimum *a);
    /* Jointly Gaussian models: the rows of J that belong to the own datapoints [first, first + count), first counted
     * from the slab's start: out (count * a->residuals, cols) = J u for `cols` vectors u at once: z (1 + count, L,
     * cols), row 0 that of the datapoint before, theta (thetas, cols). Not collective, unless `whole`. NULL: solve adds
     * the classes that it knows by itself. */
    avi_status (*residuals)(const avi_optimum *a, int64_t first, int64_t count, int64_t cols, const double *z,
                            const double *theta, double *out);
    bool whole; /* residuals wants all rows of the slab at once, on all ranks together */
    /* Optional: bytes that solve holds on this rank at its most beside the arrays of the answer. Not collective. */
    int64_t (*bytes)(const avi_session *s);
    void (*destroy)(avi_optimum *a); /* optional: frees a->self */
} avi_exact_ops;

/* The best member of a class of inference functions. */
typedef struct avi_best_polynomial {
    char name[32];         /* constant, degree_1, ...: as in the names of datasets */
    int64_t features;      /* coefficients of each output; 0: not counted */
    double gap, gap_means; /* nats; gap_means: the part that the means leave, the rest is the variances' */
    const char *left_out;  /* why there is no number; NULL else */
    double *coefficient;   /* (features, L): of the means, of the first `features` monomials; NULL when not computed */
} avi_best_polynomial;

enum { AVI_BEST_POLYNOMIALS = 17 };

struct avi_optimum {
    const avi_session *s;
    const avi_exact_ops *ops;
    avi_fields fields;               /* what goes to /exact; owns every array here */
    int64_t first, rows;             /* own slab of the N datapoints */
    int64_t latent, width;           /* L; values of the domain of a datapoint */
    int thetas;                      /* scalar global parameters that are optimised along: 0 or 1 */
    double *x;                       /* (rows, D); rows that the domain reaches lie before and after it */
    double *x_next;                  /* (rows, D), of models with lookahead: x one row on; NULL else */
    double *domain_mean, *domain_sd; /* (width); sd 1 where a value never changes */
    int64_t *monomial; /* (monomials, width): exponents of the features of the classes; NULL when there are none, or
                          they are too many to keep */
    int64_t monomials;
    /* solve: */
    double *mean;      /* (1 + rows, L): F-VI optimum; row 0 is filled in afterwards */
    double *log_sd;    /* (rows, L) */
    double *precision; /* (rows, L, L): blocks of P on its diagonal; jointly Gaussian models */
    double theta_mean, theta_precision;
    double theta_prior; /* precision of theta's prior, 0: flat; its row of J is not one of `residuals` */
    int64_t residuals;  /* rows of J of a datapoint */
    double log_joint;   /* log p(x, u*), nats; jointly Gaussian models */
    double elbo;        /* of the F-VI optimum, nats; jointly Gaussian models: filled in afterwards */
    double log_evidence;
    const char *evidence; /* what log_evidence is, for people */
    avi_best_polynomial class[AVI_BEST_POLYNOMIALS];
    int classes;
    void *self; /* the model's own */
};

/* The exact answers of a fit, where there is one. */
typedef struct avi_fit_comparison {
    double elbo, gap;    /* nats; gap: to the F-VI optimum, below 0 where the family is larger than that of F-VI */
    double evidence_gap; /* log p(x) - elbo, nats */
    double error;   /* standard error of both, nats: that of the last evaluation; 0 where the gap is in closed form */
    bool estimated; /* elbo is the estimate of the last evaluation, not the closed form */
} avi_fit_comparison;

/* Adds the closed form of a model to the registry. Errors: INTERNAL. Not collective. */
avi_status avi_closed_form_register(avi_registry *registry, const avi_exact_ops *ops);
/* CONFIG, with a message that names the models that have one, when the configured model has no closed form. Not
 * collective. */
avi_status avi_optimum_check(const avi_session *s);
/* Bytes that the answer takes on this rank at its most; 0 for models without a closed form. Not collective. */
int64_t avi_optimum_bytes(const avi_session *s);
/* Collective. Owner: caller. */
avi_status avi_optimum_create(const avi_session *s, avi_optimum **answer);
void avi_optimum_destroy(avi_optimum **answer);
/* Collective. The fit's ELBO held against the F-VI optimum; evaluation: the row of its last one (AVI_EVAL_COLUMNS), for
 * models that are not jointly Gaussian. */
avi_status avi_optimum_compare_fit(avi_optimum *a, avi_state *st, const double *evaluation, avi_fit_comparison *fit);
/* Whether the fit's q(z) are factors given theta, which may be above the optimum of F-VI. Not collective. */
bool avi_optimum_given_theta(const avi_session *s);
/* Fields of /exact into a->fields. fit may be NULL. Not collective. */
avi_status avi_optimum_fields(avi_optimum *a, const avi_fit_comparison *fit);
/* The table on the screen, rank 0. fit may be NULL. Not collective. */
void avi_optimum_print(const avi_optimum *a, const avi_fit_comparison *fit);

/* ---- for the files of exact_*.c, best_polynomial.c and optimum_*.c ---- */

/* Memory that lives as long as the answer: n doubles, zero. *status becomes INTERNAL when short; NULL then. */
double *avi_optimum_memory(avi_optimum *a, int64_t n, avi_status *status);
/* Collective. Row 0 of values (1 + rows, width) from the last row of the slab before; zeros for the first datapoint. */
avi_status avi_optimum_before(const avi_optimum *a, int64_t width, double *values);
/* x and x_next of the own slab, and what standardises domains. Collective. */
avi_status avi_optimum_rows(avi_optimum *a);
/* out (width): the domain of own datapoint n, -1 <= n < rows, each value less its mean, divided by its sd: the same
 * polynomials, better conditioned. Not collective. */
void avi_optimum_domain(const avi_optimum *a, int64_t n, double *out);

/* The rows of J u of all own datapoints, a block of them at a time: fill writes z (count, L, cols) of the datapoints
 * [first, first + count), first >= -1; take gets the rows of J of [first, first + count), (rows, cols), and at last on
 * rank 0 that of theta's prior, with count = 0. */
typedef struct avi_optimum_blocks {
    int64_t cols;
    const double *theta; /* (thetas, cols) */
    void *self;
    void (*fill)(void *self, int64_t first, int64_t count, double *z);
    avi_status (*take)(void *self, int64_t first, int64_t count, int64_t rows, const double *out);
} avi_optimum_blocks;
/* Collective. Errors: those of residuals and of take, on any rank; INTERNAL. */
avi_status avi_optimum_residuals(const avi_optimum *a, const avi_optimum_blocks *blocks);
/* Rows of J that a block has at most. Not collective. */
int64_t avi_optimum_block_rows(const avi_optimum *a, int64_t cols);
/* Adds the best constant and polynomials of degree 1 .. run.exact_degree. Collective. */
avi_status avi_best_polynomials_find(avi_optimum *a);
void avi_optimum_add_polynomial(avi_optimum *a, const char *name, int64_t features, double gap);
/* Adds a scalar in nats (or `units`) to /exact. */
avi_status avi_optimum_scalar(avi_optimum *a, const char *name, double value, const char *units,
                              const char *description);
/* log det of a symmetric positive definite block (l, l); its inverse (l, l), NULL when not wanted. Errors: DATA,
 * INTERNAL. Not collective. */
avi_status avi_optimum_block(int64_t l, const double *block, double *log_det, double *inverse);
/* (a - 1 - log a) / 2: what a variance a times the best one costs. */
double avi_optimum_excess(double a);

#endif
