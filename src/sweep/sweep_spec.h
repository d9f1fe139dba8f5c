/* The text of --sweep: 'inference.hidden=1|4|16|64; run.seed=1..5' -> keys, their values, and the runs of their
 * product. */
#ifndef AVI_SWEEP_SWEEP_SPEC_H
#define AVI_SWEEP_SWEEP_SPEC_H

#include "avi/status.h"

#include <stdint.h>

enum { AVI_SWEEP_RUNS = 10000, AVI_SWEEP_NAME = 200 /* bytes of the name of a run's folder */ };

typedef struct avi_sweep_key {
    char *name;   /* "section.key" */
    char **value; /* (count), without blanks at both ends */
    int count;
} avi_sweep_key;

typedef struct avi_sweep_spec {
    avi_sweep_key *key; /* (keys), as given */
    int keys;
    int64_t runs;    /* the product; the last key turns fastest */
    int64_t *number; /* (runs) of folders, where an earlier sweep of other extent gave them; NULL: the runs' own */
} avi_sweep_spec;

/* Not collective. All mistakes in one message. overrides: those of the command line, which may not name a key that is
 * swept. Owner: caller, avi_sweep_spec_free. Errors: USAGE. */
avi_status avi_sweep_spec_parse(const char *text, int overrides, const char *const *override, avi_sweep_spec *spec);
void avi_sweep_spec_free(avi_sweep_spec *spec);

/* The value of a key in a run. Owned by spec. */
const char *avi_sweep_spec_value(const avi_sweep_spec *spec, int64_t run, int key);
/* "inference.hidden=4 run.seed=2" into text. */
void avi_sweep_spec_label(const avi_sweep_spec *spec, int64_t run, char *text, size_t size);
/* The name of the run's folder, at first by its own number: "007_inference.hidden=4,run.seed=2", of letters, digits and
 * . _ = , + - alone. */
void avi_sweep_spec_name(const avi_sweep_spec *spec, int64_t run, char name[AVI_SWEEP_NAME]);

#endif
