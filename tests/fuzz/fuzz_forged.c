/* Checkpoints whose checksums hold and that say what no run has said: values, counts, shapes, types, texts, groups. The
 * first byte chooses a run that stands at step 3; the others say how its checkpoint is forged while it is written. Read
 * back, it is refused with a message, or it makes sense: counters in range, lines in order, numbers finite. What is
 * accepted can be resumed from for a step, and saved and read again. */
#define _XOPEN_SOURCE 700 /* nftw */
#include "avi/store.h"

static avi_status forge(avi_comm *comm, const char *path, const avi_field *fields, int count,
                        const avi_attribute *attributes, int attribute_count);
#define avi_store_write forge
#include "checkpoint/checkpoint_state.c"
#undef avi_store_write

#include "cli/registry.h"
#include "store/store_internal.h"
#include "tasks/task.h"
#include "train/step.h"

#include "forge.h"

#include <ftw.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* HDF5 leaks what it refuses. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1:detect_leaks=0"; }

enum { KINDS = 4, STEP = 3 };

static const char *const arguments[KINDS] = {
    "[run]\nreproducible = yes\nprecision = double\n[model]\nname = linear\n[inference]\nfunction = "
    "factorized\n[optim]\nbatch = 8\n",
    "[run]\nprecision = double\n[model]\nname = nonlinear\n[inference]\nfunction = polynomial\n[objective]\ndraws = "
    "0\npoints = 8\n[optim]\nmethod = lbfgs\nbatch = 0\n",
    "[run]\nreproducible = yes\n[model]\nname = ppca\nlatent = 2\nsimulate_width = 3\n[inference]\nfunction = "
    "mlp\nhidden = 2\nstandardise = yes\n[log]\nprofile = yes\n[optim]\nbatch = 8\n",
    "[model]\nname = hmm\n[inference]\nfunction = factorized\n[optim]\nmethod = sgd\nbatch = 0\n",
};

/* A run at step 3, which stays as it is, and a second state that checkpoints are read into. */
typedef struct run {
    avi_config *config;
    avi_session *session;
    avi_state *kept, *read;
    double *scale, *mean, *sd; /* of the session, which a checkpoint replaces */
} run;

static avi_comm *world;
static avi_registry *registry;
static run runs[KINDS];
static char folder[64], path[96];
static bytes *forger; /* NULL: write as it is */

/* ---- the runs ---- */

static int remove_one(const char *name, const struct stat *about, int kind, struct FTW *place)
{
    (void)about;
    (void)kind;
    (void)place;
    return remove(name);
}

static void stop(void)
{
    for (int k = 0; k < KINDS; k++) {
        avi_state_destroy(&runs[k].kept);
        avi_state_destroy(&runs[k].read);
        avi_session_close(&runs[k].session);
        avi_config_destroy(&runs[k].config);
        free(runs[k].scale);
        free(runs[k].mean);
        free(runs[k].sd);
    }
    avi_registry_destroy(&registry);
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    avi_comm_finish(&world);
}

static double *copy(const double *from, int64_t n)
{
    double *to = malloc((size_t)(n + 1) * sizeof *to);
    must(to != NULL, "memory");
    if (n) memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

static void start_run(int kind, run *r)
{
    static avi_options options = {.verbosity = 0};
    char text[1024], checkpoint[160];
    options.registry = registry;
    options.file = "forged.ini";
    must(avi_registry_config(registry, &r->config) == AVI_OK, "configuration");
    snprintf(text, sizeof text,
             "%ssteps = %d\ntile = 4\n[run]\noutput = %s/%d\n[data]\nsource = model\nrows = 21\ntest_rows = "
             "0\n[log]\nevery = 1\neval_every = 2\nprogress = none\n[checkpoint]\nminutes = 0\n",
             arguments[kind], STEP, folder, kind);
    must(avi_config_parse(r->config, options.file, text, 0, NULL) == AVI_OK, "parse");
    must(avi_task_perform(world, r->config, &options) == AVI_OK, "fit");
    must(avi_session_open(world, r->config, &options, &r->session) == AVI_OK, "session");
    must(avi_state_create(r->session, &r->kept) == AVI_OK && avi_state_create(r->session, &r->read) == AVI_OK, "state");
    snprintf(checkpoint, sizeof checkpoint, "%s/%d/checkpoint/step_%09d.h5", folder, kind, STEP);
    must(avi_restore(r->session, r->kept, checkpoint) == AVI_OK, "a whole checkpoint");
    const int scales = avi_estimator_scales(r->session->train_elbo, NULL);
    r->scale = calloc((size_t)scales + 1, sizeof *r->scale);
    must(r->scale != NULL, "memory");
    if (scales) avi_estimator_scales(r->session->train_elbo, r->scale);
    if (!r->session->problem.features) return;
    r->mean = copy(r->session->moments->mean, r->session->moments->width);
    r->sd = copy(r->session->moments->sd, r->session->moments->width);
}

static void start(void)
{
    if (world) return;
    must(avi_comm_start(NULL, NULL, &world) == AVI_OK, "start");
    snprintf(folder, sizeof folder, "%s/avi_forged.%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    snprintf(path, sizeof path, "%s.h5", folder);
    must(avi_registry_builtin(&registry) == AVI_OK, "registry");
    avi_h5_silence();
    (void)H5set_free_list_limits(-1, -1, -1, -1, -1, -1); /* faster: its large blocks would be mapped anew each time */
    for (int k = 0; k < KINDS; k++) start_run(k, &runs[k]);
    snprintf(path, sizeof path, "%s/forged.h5", folder);
    atexit(stop);
}

/* What a checkpoint that was read has changed of the session. */
static void put_back(const run *r)
{
    avi_session *s = r->session;
    if (avi_estimator_scales(s->train_elbo, NULL)) avi_estimator_set_scales(s->train_elbo, r->scale);
    if (!r->mean) return;
    memcpy(s->moments->mean, r->mean, (size_t)s->moments->width * sizeof *r->mean);
    memcpy(s->moments->sd, r->sd, (size_t)s->moments->width * sizeof *r->sd);
    avi_column_moments_set_factor(s->moments);
}

/* ---- forging ---- */

static avi_status forge(avi_comm *comm, const char *to, const avi_field *fields, int count,
                        const avi_attribute *attributes, int attribute_count)
{
    if (!forger) return avi_store_write(comm, to, fields, count, attributes, attribute_count);
    forged *f = calloc(1, sizeof *f);
    must(f && count <= MAX_FIELDS && attribute_count <= ATTRIBUTES, "more fields than expected");
    memcpy(f->field, fields, (size_t)count * sizeof *fields);
    memcpy(f->attribute, attributes, (size_t)attribute_count * sizeof *attributes);
    f->fields = count;
    f->attributes = attribute_count;
    hold_values(f);
    for (int n = 0; n < MOST_CHANGES && forger->at < forger->size; n++) change(forger, f);
    const avi_status status = avi_store_write(comm, to, f->field, f->fields, f->attribute, f->attributes);
    for (int i = 0; i < f->memories; i++) free(f->owned[i]);
    free(f);
    return status;
}

/* ---- what must hold ---- */

static void check_lines(const avi_trace *t, int64_t step)
{
    for (int64_t r = 0; r < t->rows; r++) {
        const double *row = t->value + r * (t->columns + t->extra);
        must(row[0] >= 0 && row[0] <= (double)step && (!r || row[0] > row[-(t->columns + t->extra)]),
             "lines in no order");
    }
}

static void check(const avi_session *s, const avi_state *st)
{
    const char *what;
    must(st->step >= 0 && st->step <= AVI_STEP_MAX, "a step that has no name");
    must(st->skipped >= 0 && st->skipped <= st->step && st->skipped_in_a_row >= 0 &&
             st->skipped_in_a_row <= st->skipped,
         "skipped steps");
    must(st->rate_factor > 0 && st->rate_factor <= 1 && st->seconds >= 0 && st->seconds < 1e13, "a factor or a time");
    must(avi_state_nonfinite(s, st, &what) == AVI_OK && !what, "values that are not finite");
    bool below;
    must(avi_state_below_zero(s, st, &below) == AVI_OK && !below, "a mean of squares below 0");
    must(st->lbfgs.pairs >= 0 && st->lbfgs.pairs <= st->lbfgs.memory, "pairs of L-BFGS");
    must(st->shares.lines == 0 || st->shares.lines == st->trace.rows, "shares of other lines");
    check_lines(&st->trace, st->step);
    check_lines(&st->eval, st->step);
    for (int64_t k = 0; s->problem.features && k < s->moments->width; k++)
        must(isfinite(s->moments->mean[k]) && s->moments->sd[k] >= 0 && isfinite(s->moments->sd[k]), "features");
}

/* A step from it ends, and fails with a message if it fails. */
static void go_on(const avi_session *s, avi_state *st)
{
    avi_row_ranges job = {0};
    avi_step_result r = {.measure = true};
    if (st->step == AVI_STEP_MAX) return;
    const avi_status status = avi_step(s, st, &job, &r);
    must(status == AVI_OK || *avi_error_text(), "a step that fails without a word");
    avi_row_ranges_free(&job);
    avi_error_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    bytes b = {data, size, 1};
    const run *r = &runs[size ? data[0] % KINDS : 0];
    avi_error_clear();
    forger = &b;
    const avi_status written = save_state(r->session, r->kept, NULL, path);
    forger = NULL;
    if (written != AVI_OK) return 0; /* two datasets of one name: there is no such file */
    avi_status status = avi_store_verify(path);
    if (status == AVI_OK) status = avi_restore(r->session, r->read, path);
    must(status == AVI_OK || (status == AVI_ERR_DATA && *avi_error_text()),
         "refused without a word, or as something else than bad data");
    avi_error_clear();
    if (status == AVI_OK) {
        check(r->session, r->read);
        const int64_t step = r->read->step;
        must(save_state(r->session, r->read, NULL, path) == AVI_OK && avi_restore(r->session, r->read, path) == AVI_OK,
             "what was accepted is not when it is saved");
        must(r->read->step == step, "another step");
        go_on(r->session, r->read);
    }
    put_back(r);
    return 0;
}
