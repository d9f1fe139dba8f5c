#include "idata/idata.h"
#include "idata/internal.h"
#include "output/console.h"
#include "output/run_file_kept.h"
#include "session/version.h"
#include "state/best.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAME "posterior.nc"

enum {
    AUTO_ROWS = 1000,
    AUTO_VALUES = 25000000, /* of the draws of rows, and of those of theta: 100 MB each in single precision */
    BATCH_VALUES = 4 << 20  /* 32 MB */
};

static const avi_key keys[] = {
    {"output", "idata", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL,
     "yes: posterior.nc at the end of a fit: draws of z, theta and x, log p and log q, as ArviZ, xarray and R read "
     "them"},
    {"output", "idata_draws", AVI_KEY_INT, "200", 1, 65536, NULL, "draws", "of every row in posterior.nc"},
    {"output", "idata_rows", AVI_KEY_STRING, "auto", 0, 0, NULL, NULL,
     "training rows in posterior.nc: all, or numbers from 0 and ranges (0..99, 500); auto = the first 1000, fewer "
     "where "
     "their draws take more than 100 MB in single precision"},
    {"output", "idata_theta", AVI_KEY_CHOICE, "auto", 0, 0, "auto | yes | no", NULL,
     "draws of a Gaussian q(theta) in posterior.nc; auto: where they take no more than 100 MB in single precision"},
};

avi_status avi_idata_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, keys, (int)(sizeof keys / sizeof keys[0]));
}

bool avi_idata_wanted(const avi_session *s) { return avi_config_get_bool(s->config, "output", "idata"); }

/* ---- what there will be ---- */

static AVI_PRINTF(2, 3) void leave_out(avi_idata_plan *p, const char *format, ...)
{
    va_list args;
    const size_t used = strlen(p->left_out);
    char *at = p->left_out + used;
    size_t room = sizeof p->left_out - used;
    if (used && room > 2) {
        memcpy(at, "; ", 3);
        at += 2;
        room -= 2;
    }
    va_start(args, format);
    vsnprintf(at, room, format, args);
    va_end(args);
}

static void choose_groups(const avi_session *s, avi_idata_plan *p)
{
    const avi_model_ops *m = s->model->ops;
    const char *theta = avi_config_get_string(s->config, "output", "idata_theta");
    const double theta_values = (double)p->draws * (double)avi_params_values(&s->model->theta);
    p->densities = !s->family->ops->draw_after;
    p->weights = p->densities && m->coupling != AVI_DENSE;
    p->scores = m->coupling == AVI_INDEPENDENT;
    p->observed = !s->shape.ragged;
    p->predictive = p->observed && m->draw && m->reconstruct && p->scores;
    p->theta = s->problem.global_gaussian &&
               (!strcmp(theta, "yes") || (!strcmp(theta, "auto") && theta_values <= AUTO_VALUES));
    if (!p->predictive)
        leave_out(p, "posterior_predictive: model %s has no draws of %s", m->name,
                  s->shape.ragged ? "groups of entries" : "rows by fitted parameters");
    if (!p->observed) leave_out(p, "observed_data: groups have any number of entries");
    if (!p->densities)
        leave_out(p, "sample_stats/log_p and log_q: family %s ties rows, and draws of z are of each row's marginal",
                  s->family->ops->name);
    else if (!p->weights)
        leave_out(p, "sample_stats/log_p: all rows of model %s are coupled", m->name);
    if (!p->scores) leave_out(p, "constant_data/khat, log_p and ess: rows of model %s are coupled", m->name);
    if (s->problem.global_gaussian && !p->theta)
        leave_out(p, "posterior of theta: %.3g values; use output.idata_theta = yes", theta_values);
}

static double file_bytes(const avi_session *s, const avi_idata_plan *p)
{
    const double real = (double)avi_real_size(s->precision), l = (double)s->model->latent, k = p->draws,
                 d = (double)s->shape.width, theta = (double)avi_params_values(&s->model->theta);
    const double row = k * ((l + (p->predictive ? d : 0)) * real + 8 * (1 + p->densities + p->weights)) +
                       (p->observed ? 8 * d : 0) + 2 * l * real + (p->scores ? 8 * AVI_IDATA_SCORES : 0) +
                       6 * (s->train_source->row_names ? 56 : 8); /* coordinates of six groups */
    return (double)p->rows.total * row +
           (p->theta                     ? k * theta * real
            : s->problem.global_gaussian ? 0
                                         : theta * real) +
           65536;
}

avi_status avi_idata_plan_make(const avi_session *s, int64_t rows, avi_idata_plan *p)
{
    *p = (avi_idata_plan){.draws = (int)avi_config_get_int(s->config, "output", "idata_draws"), .batch = BATCH_VALUES};
    choose_groups(s, p);
    int64_t most = AUTO_VALUES / (p->draws * (s->model->latent + (p->predictive ? s->shape.width : 0) + 6));
    if (most < 1) most = 1;
    AVI_TRY(avi_idata_rows_parse(s->config, rows, most < AUTO_ROWS ? most : AUTO_ROWS, &p->rows));
    p->bytes = file_bytes(s, p);
    return AVI_OK;
}

void avi_idata_plan_free(avi_idata_plan *p) { avi_idata_rows_free(&p->rows); }

/* The values of a batch; of its largest dataset what is sent (and what comes, where there are several ranks) and that
 * in order; names of the rows; a block of the estimator. */
double avi_idata_memory(const avi_session *s, const avi_idata_plan *p)
{
    enum { BLOCK_DRAWS = 1 << 15, BLOCK_VALUES = 1 << 22 /* factors/fixed_theta.c */ };
    const int64_t l = s->model->latent, d = s->shape.width, widest = p->predictive && d > l ? d : l;
    const double row = (double)avi_idata_row_values(s, p), batch = (double)p->batch > row ? (double)p->batch : row,
                 all = row * (double)p->rows.total, values = batch < all ? batch : all,
                 copies = avi_comm_size(s->comm) > 1 ? 3 : 2, largest = values / row * (double)(p->draws * widest),
                 block = s->problem.global_gaussian
                             ? 0
                             : fmin(BLOCK_DRAWS * (double)d, BLOCK_VALUES) * (double)avi_real_size(s->precision);
    return 8 * (values + copies * largest) + 64.0 * (double)p->rows.total + block;
}

/* ---- the file ---- */

static avi_attribute text_of(const char *group, const char *name, const char *text)
{
    return (avi_attribute){.group = group, .name = name, .text = text};
}

/* Whether a dataset is in the group. */
static bool has_group(const avi_fields *l, const char *group)
{
    const size_t n = strlen(group);
    for (int i = 0; i < l->count; i++)
        if (!strncmp(l->field[i].path, group, n) && l->field[i].path[n] == '/') return true;
    return false;
}

/* What readers of InferenceData look for, in each group; the rest about the fit in the root. */
static int list_attributes(const avi_session *s, const avi_idata_plan *p, avi_fields *l, const char *identity,
                           const char *mark, avi_attribute a[64])
{
    static const char *const group[] = {
        "/posterior", "/sample_stats", "/log_likelihood", "/posterior_predictive", "/observed_data", "/constant_data",
        "/"};
    const avi_version v = avi_version_of();
    char *now = avi_fields_memory(l, 40);
    const time_t clock = time(NULL);
    struct tm utc;
    int n = 0;
    if (now && gmtime_r(&clock, &utc)) strftime(now, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
    for (size_t i = 0; i < sizeof group / sizeof group[0]; i++) {
        if (group[i][1] && !has_group(l, group[i])) continue;
        a[n++] = text_of(group[i], "created_at", now ? now : "");
        a[n++] = text_of(group[i], "creation_library", "avi_mpi");
        a[n++] = text_of(group[i], "creation_library_version", v.version);
        a[n++] = text_of(group[i], "inference_library", "avi_mpi");
        a[n++] = text_of(group[i], "inference_library_version", v.version);
    }
    a[n++] = text_of("/", "format", "avi_mpi posterior");
    a[n++] = text_of("/", "git_revision", v.revision);
    a[n++] = text_of("/", "model", s->model->ops->name);
    a[n++] = text_of("/", "inference_function", s->infer->ops->name);
    a[n++] = text_of("/", "left_out", p->left_out);
    a[n++] = text_of("/", "fit_mark", mark);
    a[n++] = text_of("/", "made_from", identity);
    a[n++] = (avi_attribute){.group = "/", .name = "seed", .integer = (int64_t)s->seed};
    a[n++] = (avi_attribute){.group = "/", .name = "training_rows", .integer = s->partition.rows};
    return n;
}

/* A text of the root of a file, NULL where there is no such file or text. Owner: caller, free(). */
static char *root_text(const avi_session *s, const char *path, const char *name)
{
    avi_store *store = NULL;
    char *text = NULL;
    if (avi_store_open(s->comm, path, &store) == AVI_OK) (void)avi_store_attribute_text(store, "/", name, &text);
    avi_store_close(&store);
    avi_error_clear();
    return text;
}

/* Whether the folder has the file that would be made. */
static bool is_there(const avi_session *s, const char *path, const char *identity)
{
    char *made_from = root_text(s, path, "made_from");
    const bool same = made_from && !strcmp(made_from, identity);
    free(made_from);
    return same;
}

static void tell(const avi_session *s, const avi_idata_plan *p, const char *path, const char *how)
{
    char bytes[32];
    if (avi_comm_rank(s->comm) || s->options->verbosity < 1) return;
    printf("  posterior    %s%s: %d draws of %" PRId64 " row%s, %s\n", path, how, p->draws, p->rows.total,
           p->rows.total == 1 ? "" : "s", avi_console_bytes(p->bytes, bytes));
    if (*p->left_out) printf("    without    %s\n", p->left_out);
    fflush(stdout);
}

typedef struct writer {
    avi_session *s;
    avi_folder *folder;
    avi_idata_plan plan;
    avi_idata_index at;
    avi_idata_work work;
    avi_fields fields;
    char path[4096], identity[256], mark[AVI_FIT_MARK];
} writer;

static avi_status find(writer *m)
{
    if (snprintf(m->path, sizeof m->path, "%s/%s", avi_folder_path(m->folder), NAME) >= (int)sizeof m->path)
        return avi_fail(AVI_ERR_CANTCREATE, "%s: the name is too long", avi_folder_path(m->folder));
    return AVI_OK;
}

/* What makes two files the same: the fit, the draws, the rows and the seed. A file of this identity is left as it is,
 * and one that was begun is continued. */
static avi_status identify(writer *m, const avi_state *st)
{
    const avi_session *s = m->s;
    AVI_TRY(avi_agree(s->comm, avi_idata_plan_make(s, s->partition.rows, &m->plan)));
    AVI_TRY(avi_run_file_mark(s, st, m->mark));
    AVI_TRY(find(m));
    uint64_t rows = 0; /* rows may be many: their ranges as a number */
    for (int i = 0; i <= m->plan.rows.ranges; i++)
        rows = avi_mix64(rows, avi_mix64((uint64_t)m->plan.rows.first[i], (uint64_t)m->plan.rows.before[i]));
    snprintf(m->identity, sizeof m->identity,
             "fit %s, %d draws of %" PRId64 " rows (%016" PRIx64 "), seed %" PRIu64 "%s", m->mark, m->plan.draws,
             m->plan.rows.total, rows, s->seed, m->plan.theta ? ", theta" : "");
    return AVI_OK;
}

static avi_status write(writer *m, const avi_state *st)
{
    avi_session *s = m->s;
    avi_attribute a[64];
    int64_t done = 0;
    AVI_TRY(avi_agree(s->comm, avi_idata_fields(s, &m->plan, st->params, &m->fields, &m->at)));
    const int n = list_attributes(s, &m->plan, &m->fields, m->identity, m->mark, a);
    AVI_TRY(avi_idata_work_create(s, st, &m->plan, &m->at, &m->work));
    AVI_TRY(avi_row_file_open(m->folder, s->comm, NAME, m->fields.field, m->fields.count, a, n, m->identity,
                              &m->work.file, &done));
    AVI_TRY(avi_idata_work_rows(&m->work, done));
    return avi_row_file_finish(m->work.file);
}

avi_status avi_idata_write(avi_session *s, avi_state *state, avi_folder *folder)
{
    const avi_state st = avi_best_shown(state);
    writer m = {.s = s, .folder = folder};
    avi_status status = identify(&m, &st);
    const bool there = status == AVI_OK && is_there(s, m.path, m.identity);
    if (status == AVI_OK && !there) status = write(&m, &st);
    avi_row_file_close(&m.work.file);
    avi_idata_work_free(&m.work);
    if (status == AVI_OK) tell(s, &m.plan, m.path, there ? " is there already" : "");
    avi_fields_free(&m.fields);
    avi_idata_plan_free(&m.plan);
    return status;
}

avi_status avi_idata_tell_older(avi_session *s, avi_state *state, avi_folder *folder)
{
    const avi_state st = avi_best_shown(state);
    writer m = {.s = s, .folder = folder};
    AVI_TRY(find(&m));
    char *mark = root_text(s, m.path, "fit_mark");
    const avi_status status = mark ? avi_run_file_mark(s, &st, m.mark) : AVI_OK;
    if (mark && status == AVI_OK && strcmp(mark, m.mark) && avi_comm_rank(s->comm) == 0)
        avi_warn("%s is of the fit that was here before: use the same command with output.idata=yes to write it for "
                 "the new results, or remove it",
                 m.path);
    free(mark);
    return status;
}
