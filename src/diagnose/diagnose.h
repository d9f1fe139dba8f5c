/* Does an inference function of a domain exist, and what does the best one leave? From the optimal factors nu*_n of a
 * sample of rows, theta fixed: f of a domain closes the amortization gap if and only if f(domain of row n) = nu*_n for
 * all n (Margossian & Blei 2024, section 3: the amortization interpolation problem).
 *
 * Where every row's factor depends on what the domain shows alone (rows independent given theta, the row itself and all
 * that its likelihood looks at in the domain), such an f exists for every data set (theorem 3.2). The floor is what a
 * smooth f leaves: nats lost by a regression of nu* on the domain, the mean of its loss with the row and of that
 * without it, half of their difference being part of the error. Where posteriors have several modes, optimal factors
 * jump from one to the next as the input moves, and a smooth f between the two modes is worse than either: the function
 * that takes the factor of the nearest row is in place of the regression where it loses less of rows left out.
 *
 * A group of any number of entries is a multiset. Most inference functions see the means of its columns and the number
 * of its entries (domain "means"), of which such an f need not exist; functions of the entries see all of it ("self").
 * Their f is fitted to means, covariances and number, so that what it leaves bounds the floor from above. */
#ifndef AVI_DIAGNOSE_DIAGNOSE_H
#define AVI_DIAGNOSE_DIAGNOSE_H

#include "diagnose/sample.h"
#include "output/run_file.h"

enum { AVI_DIAGNOSE_DOMAINS = 8, AVI_DIAGNOSE_WITNESSES = 10 };

typedef struct avi_domain_floor {
    char name[24]; /* as in inference.domain */
    avi_domain domain;
    bool means;          /* of groups: their means and numbers of entries alone */
    bool exists;         /* by theorem 3.2 */
    bool known;          /* there is a floor */
    bool nearest;        /* its function takes the factor of the nearest row: optimal factors jump */
    double floor, error; /* nats, all rows of the data */
    double left_out;     /* nats, all rows: what the function loses of rows that it was not fitted to; 0: not known */
} avi_domain_floor;

/* Two rows that look alike to the function and have different optimal factors. */
typedef struct avi_witness {
    int64_t row[2];    /* as given, from 0 */
    double distance;   /* of their inputs: root mean square, in sds of each input */
    double difference; /* the largest of a value of the factors, in the sd that its factor leaves it */
    double cost;       /* nats that the two lose when they share a factor */
} avi_witness;

typedef struct avi_diagnosis {
    int64_t all, rows, converged; /* N; the sample; of it */
    bool chain, groups;
    double tolerance; /* nats per row that count as closed */
    double left;      /* what the optimizer may have left in a row, nats */
    int domains, own; /* own: that of the run */
    avi_domain_floor domain[AVI_DIAGNOSE_DOMAINS];
    bool has_function;     /* of an amortized run; else there is no gap */
    double gap, gap_error; /* of the inference function as it is, nats, all rows */
    double gain;           /* of it, what a correction that was fitted to the sample takes off other rows */
    double tied;           /* nats, all rows: lost by rows with equal inputs that must share a factor */
    int64_t tied_rows;     /* of the sample */
    int witnesses;
    avi_witness witness[AVI_DIAGNOSE_WITNESSES]; /* the worst first */
    char verdict[640];
    int64_t *given; /* (rows) */
} avi_diagnosis;

typedef struct avi_diagnose_settings {
    avi_sample_settings sample;
    double tolerance;
} avi_diagnose_settings;

/* Collective. table: as of avi_sample_make. The same on all ranks. Owner: caller, avi_diagnosis_free, also when it
 * fails. Errors: INTERNAL, STOPPED, DATA (too few rows with a finite ELBO). */
avi_status avi_diagnosis_make(const avi_fixed_theta *f, void *table, const avi_diagnose_settings *settings,
                              avi_diagnosis *d);
void avi_diagnosis_free(avi_diagnosis *d);
/* Bytes that it takes on this rank at its most, beside the estimators; rows: of its settings. Rank 0 compares rows by
 * two matrices of their number squared. Not collective. */
int64_t avi_diagnosis_bytes(const avi_session *s, int64_t rows);
/* /diagnose for run.h5; d must outlive the fields. Not collective. Errors: INTERNAL. */
avi_status avi_diagnosis_fields(const avi_diagnosis *d, avi_fields *fields);
/* Lines on the screen. Not collective. */
void avi_diagnosis_print(const avi_diagnosis *d);

/* ---- for the files of diagnose/ ---- */

/* Fills d->domain and d->own: self, what the run has, and of sequences the wider ones, narrow ones first; of groups
 * their means (what most functions see of them, graph/leaves.c), then self. */
void avi_diagnosis_list_domains(const avi_sample *s, avi_diagnosis *d);
/* Whether every function of domain b is one of domain a. */
bool avi_diagnosis_contains(const avi_domain_floor *a, const avi_domain_floor *b);
/* What a function of the domain sees of the rows of the sample: x (M, inputs), and how many inputs there are. The
 * entries of groups are seen by their moments. */
int64_t avi_diagnosis_inputs(const avi_sample *s, const avi_domain_floor *f);
void avi_diagnosis_look(const avi_sample *s, const avi_domain_floor *f, double *x);
/* d->verdict, from the rest. */
void avi_diagnosis_judge(avi_diagnosis *d);
/* Rows of the sample that look alike, on one rank: x (rows, inputs) is what the function sees of them. mark (rows):
 * rows whose marks differ are not equal, whatever x says; NULL: x says it. Fills d->witness, d->tied_rows, and shared
 * (rows, width): nu, but of rows with equal inputs their common best factor. Errors: INTERNAL. */
avi_status avi_diagnosis_compare_rows(const avi_sample *s, int64_t inputs, const double *x, const double *mark,
                                      avi_diagnosis *d, double *shared);
/* On one rank: left_out (rows, width) has the optimal factor of the nearest other row by x (rows, inputs), fitted the
 * row's own, or that of a row with an equal input. Errors: INTERNAL. */
avi_status avi_diagnosis_nearest(const avi_sample *s, int64_t inputs, const double *x, double *fitted,
                                 double *left_out);

#endif
