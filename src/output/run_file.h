/* run.h5: results, trace and provenance of a fit (analysis/README.md describes the format). */
#ifndef AVI_OUTPUT_RUN_FILE_H
#define AVI_OUTPUT_RUN_FILE_H

#include "avi/store.h"
#include "state/moments.h"

/* What a task adds to the fields of a store. Arrays are freed with the list. */
typedef struct avi_fields {
    avi_field *field;
    int count, capacity;
    void **owned;
    int owned_count;
    avi_attribute *attribute; /* of groups and datasets that are in the list */
    int attributes;
} avi_fields;

/* Not collective. */
avi_status avi_fields_add(avi_fields *l, avi_field field);
/* Adds an attribute; its texts are borrowed. */
avi_status avi_fields_attribute(avi_fields *l, avi_attribute a);
/* Adds fields and attributes of another list, which must outlive this one. */
avi_status avi_fields_borrow(avi_fields *l, const avi_fields *other);
/* Memory that lives as long as the list. NULL when short. */
void *avi_fields_memory(avi_fields *l, size_t bytes);
/* printf into such memory. */
char *avi_fields_text(avi_fields *l, const char *format, ...) AVI_PRINTF(2, 3);
void avi_fields_free(avi_fields *l);

/* Collective. Replaces folder/run.h5. status: running | done | stopped | diverged. whole: also what takes an evaluation
 * (images, local factors of amortized runs). extra: fields of other tasks, may be NULL. */
avi_status avi_run_file_write(const avi_session *s, avi_state *st, avi_folder *folder, const char *status,
                              const char *why, bool whole, const avi_fields *extra);

/* Collective. Writes the results of a fit again, from its checkpoint in st, with the fields of another task; how the
 * fit ended is kept. Errors: as avi_run_file_write. */
avi_status avi_run_file_update(const avi_session *s, avi_state *st, avi_folder *folder, const avi_fields *extra);

/* Collective. How the run whose results are in folder/run.h5 ended: its attributes status and why_stopped; NULL where
 * there is none. Owner: caller, free(). */
void avi_run_file_ending(const avi_session *s, const avi_folder *folder, char **status, char **why);
/* Collective. Whether folder/run.h5 holds the results of a run that came to its end. One that was killed between its
 * last checkpoint and its results has not. */
bool avi_run_is_complete(const avi_session *s, const avi_folder *folder);

/* The type of the numbers of a run. */
avi_dtype avi_run_file_type(const avi_session *s);
/* Values of theta up to which the covariance of a q(theta) with a global_family is written. */
enum { AVI_MOST_COVARIANCE = 2048 };
/* Not collective. /global and /inference, which borrow from the session, the state and the list. */
avi_status avi_run_file_parameters(const avi_session *s, const avi_state *st, avi_fields *l);

/* Not collective. Names of the axes of a block as it is stored, "output, input": those that were declared, of a single
 * row the last one; else names made of the block's own, in memory of the list. NULL when memory is short. */
const char *avi_run_file_axes(avi_fields *l, const avi_block *b);

/* Local factors in given order, from the table or the inference function, as a supply of the fields mean and log sd,
 * (rows, L) each, and of covariance (rows, L, L) where the family has one, in the precision of the run. */
typedef struct avi_local {
    const avi_session *s;
    avi_moments moments;
    avi_file_order *pull;
    bool wide;   /* parameters of factors come as double, not in the precision of the run */
    double *own; /* (own rows, width): of amortized functions; NULL else */
    void *typed; /* (piece, width): as they are held */
    double *nu;  /* (block, width) */
    double *out; /* (block) rows of all fields, one after the other */
    avi_row_producer supply;
} avi_local;
/* Collective. Owner: caller, avi_local_close, also when it fails; l stays where it is until then. */
avi_status avi_local_open(const avi_session *s, avi_state *st, avi_local *l);
/* Values of a row in all fields. Not collective. */
int64_t avi_local_values(const avi_session *s);
void avi_local_close(avi_local *l);
/* Collective. The whole of own slab rows. */
avi_status avi_run_file_local(const avi_session *s, avi_state *st, avi_fields *l, double **mean, double **log_sd);
/* Not collective. The group of examples (originals, reconstructions, draws from the prior): "images" where rows are
 * grey images, "rows" else; NULL: none are kept. */
const char *avi_run_file_examples(const avi_session *s);
/* Collective. /images or /rows. */
avi_status avi_run_file_images(const avi_session *s, avi_state *st, avi_fields *l);
/* Attributes of / and /provenance into a (room for 24); returns the count. Not collective. */
int avi_run_file_provenance(const avi_session *s, avi_fields *l, const char *status, const char *why, double seconds,
                            avi_attribute *a);

#endif
