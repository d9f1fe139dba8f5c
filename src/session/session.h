/* A session: everything that a task works with, built from the configuration once. */
#ifndef AVI_SESSION_SESSION_H
#define AVI_SESSION_SESSION_H

#include "avi/data.h"
#include "avi/elbo.h"
#include "avi/optim.h"

typedef struct avi_options {
    avi_registry *registry;  /* what can be chosen by name; borrowed */
    const avi_config *given; /* the configuration as rank 0 has read it (avi_config_derive); borrowed */
    const char *file;
    int overrides;
    const char *const *override; /* "section.key=value" */
    int argc;
    char **argv;
    bool dry_run, check_gradient;
    bool no_steps;       /* the task takes no steps: optim.batch and optim.tile need not suit the data */
    int64_t sample_rows; /* --dry-run tries the task with so many rows at most; 0: as many as memory and steps say */
    int verbosity;       /* 0 quiet, 1, 2 */
    double started;      /* avi_seconds() from which run.time_limit counts; 0: from the first step */
} avi_options;

/* When a fit is evaluated, and how (evaluation_plan.c): from counts of rows, draws and steps, never from a clock, so
 * that it is the same on any number of ranks. */
typedef struct avi_evaluation_plan {
    avi_quadrature *rule; /* expectations without draws, owned, or of the problem; NULL: draws */
    bool own_rule;
    int draws, last_draws;   /* K per row, during the fit and at its end; 0 with a rule */
    int64_t first, every;    /* steps: the first evaluation, and then every so many; every = 0: only at the end */
    int64_t rows, last_rows; /* of the training data that they take */
    bool test_factors[2];    /* factorized: whether factors of test rows are fitted in an evaluation during the fit, and
                                in that at its end */
    double share;            /* of the work of the steps that all evaluations are, about; 0 where there are no steps */
} avi_evaluation_plan;

/* run.time_limit (time_limit.h). */
typedef struct avi_time_limit {
    double seconds; /* from the start, or from read_at; 0: none */
    bool of_job;    /* auto */
    double read_at; /* avi_seconds() */
} avi_time_limit;

/* How much there is of the data, of whatever a plan loads a part (sample.c). */
typedef struct avi_session_counts {
    int64_t rows, test_rows; /* of the data; test_rows: with a factor, 0 when there are none */
    avi_partition partition; /* of the training rows */
    int64_t batch, epoch_steps;
} avi_session_counts;

typedef struct avi_session {
    avi_comm *comm;
    const avi_config *config;
    const avi_options *options;
    uint64_t seed;
    avi_precision precision;
    avi_source *train_source, *test_source;
    avi_shape shape;         /* of the training data */
    avi_partition partition; /* of the training rows */
    avi_data *train, *test;  /* test: NULL when there is none */
    avi_model *model;
    avi_infer *infer;
    avi_column_moments
        *moments; /* of the training rows; NULL where nothing needs them: bytes that are not standardised */
    avi_family *family;
    avi_family *global_family; /* of q(theta); NULL: a point, or a factorized Gaussian */
    avi_objective *objective;
    avi_quadrature *rule;
    avi_problem problem;
    avi_parameter_layout layout;
    avi_estimator *train_elbo, *test_elbo;
    avi_optim optim;
    struct avi_fitted *theta_from; /* model.theta_from, owned; NULL: none */
    int64_t fixed;                 /* the first values of the parameters that no step moves (model.theta_fixed) */
    double local_rate; /* F-VI: of the factors of rows, at the height of the schedule (optim.local_learning_rate) */
    bool local_own;    /* local_learning_rate = auto gives them steps of their own (factors/own_steps.h) */
    int local_steps;   /* of them, each time that a row is in the batch */
    bool local_all;    /* F-VI by minibatches: a step moves the factors of all rows (optim.local_rows) */
    avi_schedule schedule;
    int64_t batch; /* rows of a full step */
    int64_t epoch_steps, total_steps;
    avi_session_counts counts; /* of all of the data */
    bool sampled;              /* the session holds fewer rows than these: --dry-run */
    avi_evaluation_plan evaluation;
    avi_time_limit time_limit;
    double opened;       /* avi_seconds() */
    double load_seconds; /* of this rank's processor, to load the rows that are here */
    char *hosts;         /* of all ranks, each once, in order of ranks: "node1, node2" */
} avi_session;

/* Collective. Reads the configuration, opens and distributes the data, creates model, inference function, estimator and
 * optimizer. All ranks return the same status. Owner: caller, avi_session_close. */
avi_status avi_session_open(avi_comm *comm, const avi_config *config, const avi_options *options,
                            avi_session **session);
void avi_session_close(avi_session **session);

/* Not collective, before the data are loaded. Fills s->counts, and for --dry-run has the session load no more rows than
 * tell what all of them take: as many as fill blocks of rows, and a step where that is possible. Partition, batch and
 * steps of an epoch are then those of these rows. Errors: INTERNAL. */
avi_status avi_session_sample(avi_session *s);

/* Not collective. Values of a row of the data: of groups of any number of entries in the mean, at least 1. */
int64_t avi_session_row_values(const avi_session *s);

/* Not collective. Fills s->evaluation from log.* and the shape of the run. Errors: CONFIG, INTERNAL. */
avi_status avi_evaluation_plan_make(avi_session *s);
void avi_evaluation_plan_free(avi_evaluation_plan *p);
/* Not collective. Whether evaluations of the rows of s->train_source take no draws: groups may have become so large
 * since the plan was made that points are no longer cheap. */
bool avi_evaluation_has_rule(const avi_session *s);
/* Evaluations of a fit of `steps` steps, the one at its end aside. */
int64_t avi_evaluation_count(const avi_evaluation_plan *p, int64_t steps);
/* What an evaluation takes of a row, in passes of a row forward through one network; last: the one at the end. */
double avi_evaluation_passes(const avi_session *s, bool last);
/* Whether an evaluation has test rows: there are some, and they have factors or are given some. */
bool avi_evaluation_has_test(const avi_session *s, bool last);
/* Whether the fit is evaluated after `step` steps (the end of the fit aside). */
bool avi_evaluation_due(const avi_evaluation_plan *p, int64_t step);

/* Runs of consecutive positions of this rank. Owner: caller, avi_row_ranges_free. */
avi_status avi_row_ranges_step(const avi_session *s, int64_t step,
                               avi_row_ranges *job); /* reuses job's arrays when large enough */
/* Rows [0, limit) of the partition (0: all) that this rank owns, tile by tile. */
avi_status avi_row_ranges_rows(const avi_partition *p, int rank, int64_t limit, avi_row_ranges *job);
/* The same rows as one run: no list of tiles, of which 1e9 rows have many. */
avi_status avi_row_ranges_pass(const avi_partition *p, int rank, int64_t limit, avi_row_ranges *job);
int64_t avi_row_ranges_total(const avi_row_ranges *job);
void avi_row_ranges_free(avi_row_ranges *job);

#endif
