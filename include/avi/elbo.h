/* The ELBO and its gradient: estimator, sums over tiles and ranks.
 *
 * ELBO = sum_n { E_q[log p(x_n | z_n, theta)] + E_q[log p(z_n | ..)] - E_q[log q(z_n)] } - KL(q(theta) || p(theta)), in
 * nats, with all normalizing constants (theta as a point: + log p(theta)). What is minimised is -ELBO / N.
 *
 * Minibatches. An epoch has E steps (avi_partition_epoch_steps), whose sets of rows B_1, .., B_E are disjoint and are
 * together all N rows: every row is in exactly one step. With L_n the local term of row n, step e estimates the ELBO by
 *     ELBO_e = E * sum_{n in B_e} L_n - KL(q(theta) || p(theta)),
 * with the weight E for every row of every step, however many rows the step has. So (1 / E) sum_e ELBO_e = ELBO exactly
 * (at the same parameters and draws), and the mean of the steps' gradients is the gradient of all rows. The weight must
 * not be N / |B_e|: the steps at the end of an epoch are short wherever the batch does not divide N, the same rows are
 * in them in every epoch because lanes are fixed, and these rows would count for more than the others. */
#ifndef AVI_ELBO_H
#define AVI_ELBO_H

#include "avi/comm.h"
#include "avi/data.h"
#include "avi/family.h"
#include "avi/infer.h"
#include "avi/model.h"
#include "avi/column_moments.h"
#include "avi/objective.h"

/* Gradients of an objective by draws of z. */
typedef enum avi_gradient {
    AVI_GRADIENT_PATHWISE, /* of the draws and of log q by its parameters */
    AVI_GRADIENT_STL, /* sticking the landing (Roeder, Wu & Duvenaud 2017): log q's parameters are held, which leaves
                         out a score term of mean 0 */
    AVI_GRADIENT_DREG /* of the importance-weighted bound, doubly reparameterized (Tucker, Lawson, Gu & Maddison
                         2018): log q's parameters are held, and the gradient by z has the squared weights */
} avi_gradient;

/* What is fitted, and how the ELBO is estimated; fixed during a run. Everything is borrowed. */
typedef struct avi_problem {
    avi_precision precision;
    uint64_t seed;
    bool reproducible; /* run.reproducible: sums over tiles in fixed point, the same bits for any number of ranks */
    const avi_model *model;
    const avi_infer *infer;
    const avi_family *family;
    const avi_objective *objective;
    avi_domain domain;
    const avi_column_moments *features; /* by which the values that the inference function sees are standardised; NULL:
                                    it sees them as they are */
    bool global_gaussian;               /* q(theta) is a Gaussian; else a point */
    const avi_family *global_family;    /* of a q(theta) whose values are correlated: one factor of this family, whose
                                           dimensions are the values of theta; NULL: a factorized Gaussian, or a point */
    int draws;                          /* S, or the number of points of `rule` */
    avi_gradient gradient;
    bool kl_sampled;                   /* KL of z by the same draws instead of in closed form */
    bool notebook;                     /* objective.entropy: steps minimise with the entropy terms of the published VAE
                                          notebook (avi_family_notebook), for z and theta; evaluations do not */
    const struct avi_quadrature *rule; /* quadrature in place of draws (objective.draws = 0), or NULL */
    /* The model's expectation over q(theta) and q(z), with these points, in place of draws and of `rule`
     * (avi_quadrature_is_of_model); NULL else. The two "draws" of theta are then its means and its log sds. */
    const struct avi_quadrature *moments_rule;
    /* The values of theta (layout.theta of them) that an inference function which sees means sees, where those of the
     * parameters are others: a draw of q(theta) in the place of a point. NULL: those of the parameters. */
    const void *theta_seen;
    int64_t block_rows; /* tiles of a rank are merged into blocks of up to this many rows */
    bool shared;        /* the gradient is summed in shared memory where all ranks are on one node and there is room */
} avi_problem;

/* Quadrature points in place of standard normal draws: E f(eps) = sum_s weight[s] f(eps_s). */
typedef struct avi_quadrature {
    int count;
    double *weight; /* (count) */
    double *z[2];   /* (count, L) for rows of even and odd number: neighbours in a chain are independent */
    int thetas;     /* values of a scalar theta that have a coordinate; 0 when theta is a point */
    double *theta;  /* (count, thetas): their coordinates */
} avi_quadrature;
/* What q(theta) is. */
typedef enum avi_theta_form { AVI_THETA_POINT, AVI_THETA_FACTORS, AVI_THETA_JOINT } avi_theta_form;
avi_theta_form avi_theta_form_of(const avi_problem *p);
/* Chooses the rule for a model: exact degree-3 cubature (2 points per dimension of z and value of theta) when the model
 * is quadratic, else Gauss-Hermite with `points` per dimension of z (L <= 3) times 2 points for one scalar theta. In
 * single precision the points are floats, and the weights those that belong to them. Errors: CONFIG when there is none
 * for the model and its q(theta). Owner: caller, avi_quadrature_destroy. */
avi_status avi_quadrature_create(const avi_model *model, avi_theta_form theta, int points, avi_precision precision,
                                 avi_quadrature **rule);
/* A rule for any number of dimensions that is exact for polynomials of degree 3 and does not go far from where a normal
 * is: `turns` random rotations of the points +-sqrt(L) e_i (a stochastic spherical rule, Genz & Monahan 1998), other
 * rotations for rows of odd number; a function of the seed. 2 L turns points. Errors: INTERNAL. Owner: caller. */
avi_status avi_quadrature_spherical(int64_t latent, int turns, uint64_t seed, avi_quadrature **rule);
/* Whether objective.draws = 0 is the model's own expectation over q(theta) and q(z) (model.h): then the rule is that of
 * one standard normal. */
bool avi_quadrature_is_of_model(const avi_model *model, avi_theta_form theta);
void avi_quadrature_destroy(avi_quadrature **rule);

/* Layout of the variational parameters, one flat vector: q(theta) means | what q(theta) has beside them | phi. A
 * factorized Gaussian has a log sd for each mean, laid out like the means; a global_family the values of its nu behind
 * the means; a point nothing. */
typedef struct avi_parameter_layout {
    int64_t theta, phi; /* sizes with padding */
    int64_t beside;     /* of what q(theta) has beside its means, with padding */
    int64_t size;       /* of the vector of variational parameters */
    int theta_draws;    /* draws of theta in a step: S, or 1; 2 for its means and log sds (moments_rule) */
    int64_t seen;       /* theta, where the means are leaves of their own beside the draws
                           (avi_problem_sees_means); else 0 */
    int64_t gradient;   /* theta_draws * theta + phi + seen: what the tiles sum */
} avi_parameter_layout;
avi_parameter_layout avi_parameter_layout_of(const avi_problem *p);
/* Index of the first value beside the means (the first log sd of a factorized Gaussian), and of phi. */
int64_t avi_parameter_layout_log_sd(const avi_problem *p, const avi_parameter_layout *l);
int64_t avi_parameter_layout_phi(const avi_problem *p, const avi_parameter_layout *l);

/* Whether nu of a row depends on the means of theta in a way that gradients follow: its inference function sees them,
 * or its steps go through them (infer.h). */
bool avi_problem_sees_means(const avi_problem *p);

/* Whether all draws of theta are evaluated at once, in the rows of the draws of z: a scalar theta, unless every draw of
 * it has factors of its own. Draw s of value i is then at i * theta_draws + s of the draws, else at s * theta + i. */
bool avi_theta_rides(const avi_problem *p);

/* nu (width) of the global_family of q(theta): the means without padding, then the values beside them. */
void avi_theta_nu(const avi_problem *p, const void *params, double *nu);

/* Sums over rows of what a pass saw; after the reduction the same on all ranks. */
typedef enum avi_sum {
    AVI_SUM_ELBO,   /* local part of the ELBO, nats, unscaled */
    AVI_SUM_LOGLIK, /* of it, E log p(x | z, theta) */
    AVI_SUM_SQERR,  /* squared reconstruction error (evaluation) */
    AVI_SUM_ROWS,
    AVI_SUM_BAD,      /* rows with a non-finite ELBO, values of a local gradient that are not finite */
    AVI_SUM_LOCAL_SQ, /* squared norm of the local rows' gradients */
    AVI_SUM_STOP,     /* requests by any rank: stop */
    AVI_SUM_SAVE,     /* checkpoint */
    AVI_SUM_FAIL,     /* blocks that this rank could not compute: memory ran out */
    AVI_SUM_OVERFLOW, /* reproducible sums: values out of range, the step is to be redone */
    AVI_SUMS
} avi_sum;

/* The rows of a pass on this rank: runs of consecutive positions, for a step one for each tile (exact: never joined).
 * An evaluation takes longer runs too, and cuts them itself; exact: at tiles, so they begin with one. */
typedef struct avi_row_ranges {
    int count;
    int64_t *first, *rows; /* positions, lengths */
} avi_row_ranges;

typedef struct avi_estimator avi_estimator;

/* Where the time of passes goes; seconds of this rank since the estimator was made. Reading the clock a few times a
 * block costs nothing that can be measured. */
typedef enum avi_phase {
    AVI_PHASE_INPUT,
    AVI_PHASE_DRAWS,
    AVI_PHASE_FORWARD,
    AVI_PHASE_BACKWARD,
    AVI_PHASE_REDUCTION,
    AVI_PHASE_OPTIMIZER,
    AVI_PHASE_OUTPUT,
    AVI_PHASES
} avi_phase;

/* Not collective, unless p->shared. Owner: caller. A model with dense coupling has its K factored (O(N^3 / P), two (N,
 * N) matrices over the ranks; with reproducible sums by rank 0 alone) at the first pass. */
avi_status avi_estimator_create(const avi_problem *p, avi_comm *comm, const avi_data *data, avi_estimator **estimator);
void avi_estimator_destroy(avi_estimator **estimator);
size_t avi_estimator_bytes(const avi_estimator *e); /* tape, buffers */
/* Whether the one reduction of a step goes through shared memory. */
bool avi_estimator_is_shared(const avi_estimator *e);

/* Ranks that share memory share out the work on global parameters: each draws theta, makes the gradient and moves the
 * parameters of its part alone, and all use what all have made. The parts of a rank as ranges of the vector of
 * variational parameters: means of some theta, their log sds, some of phi; `end` may equal `first`. All of the vector,
 * in one range, where nothing is shared out. */
enum { AVI_PARTS = 3 };
int avi_estimator_parts(const avi_estimator *e, int64_t first[AVI_PARTS], int64_t end[AVI_PARTS]);
/* Collective, for an estimator that is shared. From now on steps are shared out: params and gradient of
 * avi_estimator_step are then the same memory on all ranks. shared: of which a rank has AVI_SHARE_BYTES of its own;
 * draws (layout.theta_draws * layout.theta values, NULL where theta is a point) in its common part. Both borrowed. */
enum { AVI_SHARE_BYTES = 64 };
avi_status avi_estimator_share_out(avi_estimator *e, avi_shared *shared, void *draws);
bool avi_estimator_is_shared_out(const avi_estimator *e);
/* The first five are counted here; the caller adds the others. Owned by the estimator. */
double *avi_estimator_phases(avi_estimator *e);

/* Collective. One pass over the job of each rank with gradients, then the one reduction of a step. Shared out, params
 * may change when all ranks have returned and not before: see avi_shared_barrier. params      variational parameters
 * (layout.size) table       local factors with one halo row before and after: (1 + own rows + 1, width); NULL for
 * amortized functions table_grad  the same shape; rows of the job get the gradient of -sum(ELBO of rows), untouched
 * elsewhere sums        in: what this rank adds to AVI_SUM_STOP and AVI_SUM_SAVE; out: the total over ranks gradient
 * out (layout.size): gradient of -ELBO_e / N = -(sum of the step's local terms) * E / N + KL(theta) / N own out: this
 * rank's share of the sums; NULL when nobody reads the step's ELBO: in single precision its row values are then the
 * floats of the graph, else they are worked out in double (avi_tape_row_values). A row that is not finite is counted in
 * AVI_SUM_BAD; bad->position is the first of this rank (-1: none), bad->value a value of the gradient that is not
 * finite, the same on all ranks (-1: none, or there is no gradient because of AVI_SUM_BAD). */
typedef struct avi_bad {
    int64_t position, value;
} avi_bad;
avi_status avi_estimator_step(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t step,
                              const avi_row_ranges *job, double sums[AVI_SUMS], void *gradient, double own[AVI_SUMS],
                              avi_bad *bad);

/* For steps of local factors alone before avi_estimator_step of the same step and job. _begin, collective where steps
 * are shared out: theta as that step draws it. Then, not collective, as often as wanted: the gradient of -ELBO of the
 * rows by their factors, with draws of z of their own (set 1, 2, ...), into table_grad; a value that is not finite is
 * the caller's to leave out. Needs local factors of independent rows. A rank whose memory runs out says so in the
 * step's reduction. */
void avi_estimator_local_begin(avi_estimator *e, const void *params, int64_t step);
void avi_estimator_local_gradient(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t step,
                                  int set, const avi_row_ranges *job);

/* Whether the local part of the ELBO is E log p(x | z, theta) - KL(q(z) || N(0, I)) with the KL in closed form. */
bool avi_estimator_kl_is_closed(const avi_problem *p);
/* Adds weight * the gradient of sum(KL(q(z_n) || N(0, I))) over the job's rows to their rows of table_grad (shapes as
 * in avi_estimator_step). Not collective. Needs local factors and a KL in closed form. Errors: MEMORY. */
avi_status avi_estimator_add_kl(avi_estimator *e, void *table, void *table_grad, const avi_row_ranges *job,
                                double weight);

/* Collective. Moves the local factors of the job's rows (all rows of this rank) towards their optimum given the global
 * parameters, by at most `iterations` safeguarded Newton steps each, until no value of a row's gradient exceeds
 * tolerance (nats). Draws, where there are any, are those of step 0. */
avi_status avi_estimator_newton(avi_estimator *e, const void *params, void *table, void *table_grad,
                                const avi_row_ranges *job, int iterations, double tolerance);

/* How far a row has come in avi_estimator_refine. */
typedef struct avi_refined {
    int steps;      /* accepted */
    bool converged; /* less than the tolerance is left by the quadratic model */
    double left;    /* nats that the quadratic model says are left */
    double elbo;    /* of the row at its factor, nats, without the global part */
} avi_refined;
/* Moves the local factors of own rows [first, first + rows) (positions) to the optimum of each row's ELBO given the
 * global parameters, starting where the table has them, in at most `passes` passes over the rows. Rows must be
 * independent, the problem's expectations a quadrature, and the inference function one of local factors. out (rows).
 * With reproducible sums call it for one tile at a time: bits then do not depend on the ranks. Not collective.
 * Errors: INTERNAL (memory; a problem of another kind). */
avi_status avi_estimator_refine(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t first,
                                int64_t rows, int passes, double tolerance, avi_refined *out);

/* Collective. Second derivatives of -ELBO by the first `columns` values of the local factors of the job's rows (runs
 * within a tile), at the factors in the table: own (rows of the job, width, width): blocks of a row with itself, whose
 * columns from `columns` on are 0; next: the same shape, of a row with the one after it, which chains have (NULL where
 * rows are independent). The expectations must be a quadrature. 2 columns passes over the rows, three times as many for
 * a chain. Errors: INTERNAL (memory; a problem of another kind). */
avi_status avi_estimator_curvature(avi_estimator *e, const void *params, void *table, void *table_grad,
                                   const avi_row_ranges *job, int64_t columns, double *own, double *next);

/* For checks by finite differences. Sticking the landing has the gradient of the ELBO with the parameters of log q(z;
 * nu) fixed: the next step over the job takes them down, and later steps use those, so that differences of values are
 * differences of what was derived. Not collective. */
avi_status avi_estimator_hold(avi_estimator *e, const avi_row_ranges *job);

/* KL(q(theta) || p(theta)), or -log p(theta) of a point; nats. Not collective: the same on all ranks. */
double avi_estimator_kl_global(const avi_estimator *e, const void *params);
/* What steps minimise in its place: the same, unless p->notebook puts E[-log q] of the notebook for the entropy of
 * q(theta): sum (log s + s + log 2 pi) / 2 for sum (2 log s + 1 + log 2 pi) / 2. Nats. Not collective. */
double avi_estimator_step_kl_global(const avi_estimator *e, const void *params);

/* Collective. Values without gradients at draws of the evaluation (the same at every call). Sums over all ranks;
 * per-row arrays, when not NULL, are indexed by the order of the job's rows: elbo, loglik (rows), nu (rows, width) in
 * double, reconstruction (rows, D) in double (mean of the draws). with_error adds AVI_SUM_SQERR. */
typedef struct avi_row_values {
    double *elbo, *nu, *reconstruction, *log_weight; /* log_weight: (rows, S) log p(x, z) - log q(z) of each draw */
    double *loglik;                                  /* of elbo, E log p(x | z, theta) */
    double *z, *draw_x; /* (rows, S, L), (rows, S, D): each draw and E[x | z, theta] for it; with reconstruction */
    double *draw_loglik, *draw_log_q; /* (rows, S): log p(x | z, theta) and log q(z) of each draw; with log_weight */
    uint64_t set; /* which draws: 0 are those of the evaluations, others are independent of them and of each other */
} avi_row_values;
avi_status avi_estimator_evaluate(avi_estimator *e, const void *params, void *table, const avi_row_ranges *job,
                                  bool with_error, double sums[AVI_SUMS], const avi_row_values *rows);

/* ---- evaluation with an error ----
 *
 * Rows [0, R) by position are cut into G = min(R, 32) groups of consecutive rows. Group g has two independent draws
 * theta_g1, theta_g2 of q(theta) (of a point both are the point), and each of its rows has K / 2 draws of z with each
 * of them. A_g and B_g are the sums over the rows of the group of the mean of a row's terms over these draws. Then
 *
 *   ELBO = sum_g (A_g + B_g) / 2 - KL(q(theta) || p(theta))     is unbiased, and
 *   sum_g ((A_g - B_g) / 2)^2                                   is an unbiased estimate of its variance,
 *
 * since all A_g and B_g are independent, and the two of a group are distributed alike: G degrees of freedom. The draws
 * of theta that rows share are counted so. Neighbouring rows of a chain share draws of z too; what two groups have in
 * common at their edge is neglected. With quadrature there is no error (0); whether the points are enough is asked by
 * avi_estimation.rule with more points.
 *
 * Draws are a function of (seed, position, number of the draw): two runs with one seed on the same rows have the same
 * draws. The error of the difference of their ELBOs is the root of sum_g (h_g - h'_g)^2 with h_g = (A_g - B_g) / 2. */
enum { AVI_EVAL_GROUPS = 32 };

typedef struct avi_estimation {
    const avi_quadrature *rule; /* points in place of draws; NULL: draws. Borrowed */
    int draws;                  /* K: draws of z per row, even and at least 2; with a rule ignored */
    int64_t rows;               /* R: positions [0, rows) of the data, all ranks together; 0: all */
    bool squares;               /* squared reconstruction errors too, where the model has a reconstruction */
} avi_estimation;

typedef struct avi_estimate {
    double rows; /* R */
    double elbo,
        error; /* local part of the ELBO over the rows and its standard error, nats; NaN: a row is not finite */
    double squares, squares_error; /* sum over rows and values of E_q (x - E[x | z, theta])^2, and its standard error */
    double half[AVI_EVAL_GROUPS];  /* h_g, nats */
} avi_estimate;

/* Collective. Values without gradients, the same draws at every call. kl: (L) sums over the rows of KL(q(z_nd) || N(0,
 * 1)) of each dimension, NULL where not wanted or avi_estimator_kl_dimensions says no. Memory: pieces of rows no larger
 * than a step's. Errors: INTERNAL (memory), those of the data. */
avi_status avi_estimator_estimate(avi_estimator *e, const void *params, void *table, const avi_estimation *how,
                                  avi_estimate *out, double *kl);
/* Whether the KL of q(z_n) is a sum over dimensions of KL(q(z_nd) || N(0, 1)). */
bool avi_estimator_kl_dimensions(const avi_problem *p);
/* Not collective. Variational parameters nu of rows [first, first + rows) of this rank: (rows, width) in double. */
avi_status avi_estimator_factors(avi_estimator *e, const void *params, void *table, int64_t first, int64_t rows,
                                 double *nu);

/* Reproducible sums carry their scales from step to step: state for the checkpoint, (avi_estimator_scales) doubles. */
int avi_estimator_scales(const avi_estimator *e, double *out);     /* returns the count; out may be NULL */
void avi_estimator_set_scales(avi_estimator *e, const double *in); /* NULL: as at the start of a run */

/* Mean images: x for given z (n, L) through the model: out (n, D). Not collective. DATA when the model cannot. */
avi_status avi_estimator_decode(avi_estimator *e, const void *params, int64_t n, const double *z, double *out);

#endif
