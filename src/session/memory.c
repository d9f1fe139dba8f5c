#include "session/memory.h"
#include "state/best.h"
#include "base/available.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parts of the plan, in bytes. */
enum { DATA, MODEL, INFERENCE, LOCAL, MEMORY_OF_LBFGS, BLOCK, COVARIANCE, PARTS };

enum { HOST = 64 };

typedef struct plan {
    char host[HOST];
    double bytes[PARTS]; /* of this rank */
    double available;    /* on its node */
} plan;

static double real_bytes(const avi_session *s) { return (double)avi_real_size(s->precision); }

/* Rows that this rank holds, or keeps at a time of streamed ones. */
static double data_bytes(const avi_session *s, const avi_source *source, double rows)
{
    if (!source) return 0;
    const double held = source->streamed ? fmin((double)s->partition.tile, rows) : rows;
    const double index = source->first_entry ? sizeof(int64_t) * (double)source->shape.rows : 0; /* on every rank */
    return held * avi_source_row_bytes(source) + index;
}

static bool is_shared(const avi_session *s)
{
    return strcmp(avi_config_get_string(s->config, "run", "reduction"), "messages") != 0;
}

/* Of a vector of variational parameters: itself, its gradient, the optimizer's state. Ranks that share memory have one
 * in common. */
static double state_bytes(const avi_session *s, double values)
{
    return values * real_bytes(s) * (double)(2 + s->optim.ops->slots + avi_best_wanted(s)) /
           (is_shared(s) ? (double)avi_comm_size(s->comm) : 1);
}

/* Of what the tiles sum: in the estimators of training and test rows, of which the second makes no reproducible sums.
 */
static double sum_bytes(const avi_session *s, double values)
{
    return values * (real_bytes(s) * (s->test_source ? 2 : 1) + (s->problem.reproducible ? 8 : 0));
}

/* Parameters on their way into run.h5, as doubles and as they are written. */
static double output_bytes(const avi_session *s, double values) { return values * (sizeof(double) + real_bytes(s)); }

/* Widths of all layers of a network: each has a bias. */
static double widths(const avi_params *p)
{
    double sum = 0;
    for (int i = 0; i < p->count; i++)
        if (p->block[i].rows == 1) sum += (double)p->block[i].cols;
    return sum;
}

static double entries_per_row(const avi_session *s)
{
    return (double)s->train_source->first_entry[s->shape.rows] / (double)s->shape.rows;
}

/* Values and their derivatives in the largest block of rows that goes through the model together. */
static double block_bytes(const avi_session *s, double own)
{
    const double tile = (double)s->partition.tile,
                 rows = fmin(own, s->problem.reproducible ? tile : fmax(tile, (double)s->problem.block_rows));
    const double hidden = 2 * (widths(&s->infer->phi) + (double)s->problem.draws * widths(&s->model->theta));
    const double values = s->train_source->first_entry
                              ? entries_per_row(s) * ((double)s->shape.width + (double)s->problem.draws)
                              : (double)s->shape.width * (double)avi_domain_rows(&s->problem.domain);
    return rows * (values + (double)s->infer->shape.theta + hidden) * real_bytes(s);
}

static void fill(const avi_session *s, plan *p)
{
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const double own =
        (double)(avi_partition_first_row(&s->partition, rank + 1) - avi_partition_first_row(&s->partition, rank));
    const double n = (double)s->shape.rows, test = s->test_source ? (double)s->test_source->shape.rows / ranks : 0;
    p->bytes[DATA] = data_bytes(s, s->train_source, own) + data_bytes(s, s->test_source, test);
    if (strcmp(avi_config_get_string(s->config, "run", "task"), "fit") != 0)
        return; /* others have no state, or little */
    const double theta = (double)(s->layout.theta + s->layout.beside),
                 draws = (double)s->layout.theta * (double)s->layout.theta_draws;
    p->bytes[MODEL] = state_bytes(s, theta) + sum_bytes(s, draws) + output_bytes(s, theta);
    const double phi = (double)s->layout.phi;
    p->bytes[INFERENCE] = state_bytes(s, phi) + sum_bytes(s, phi) + output_bytes(s, phi);
    if (s->infer->ops->local)
        p->bytes[LOCAL] =
            own * (double)s->infer->outputs * real_bytes(s) * (double)(2 + s->optim.ops->slots + avi_best_wanted(s));
    if (!s->optim.ops->update[s->precision])
        p->bytes[MEMORY_OF_LBFGS] = 2 * s->optim.number[0] * (double)s->layout.size * sizeof(double);
    p->bytes[BLOCK] = block_bytes(s, own);
    if (s->model->ops->coupling == AVI_DENSE)
        p->bytes[COVARIANCE] = n * n * sizeof(double) / (s->problem.reproducible ? 1 : ranks);
    if (s->problem.reproducible && rank) p->bytes[COVARIANCE] = 0; /* rank 0 factors it alone */
}

/* The key that sets the size of a part. */
static const char *key_of(const avi_session *s, int part, const char **section)
{
    const char *key = NULL;
    const bool drawn = !strcmp(avi_config_get_string(s->config, "data", "source"), "model");
    *section = part == INFERENCE ? "inference" : "model";
    if (part == DATA && s->shape.rows >= s->shape.width) *section = NULL;
    if (part == DATA && !drawn) *section = NULL; /* the width is that of a file */
    if (part == COVARIANCE || (part == LOCAL && s->partition.rows >= s->infer->outputs)) *section = NULL;
    if (part == BLOCK && widths(&s->infer->phi) > (double)s->problem.draws * widths(&s->model->theta))
        *section = "inference";
    if (part == MEMORY_OF_LBFGS) {
        *section = "optim";
        return "memory";
    }
    if (*section) key = avi_config_largest(s->config, *section);
    if (key) return key;
    *section = "data";
    return "rows";
}

static const char *gigabytes(double bytes, char text[32])
{
    snprintf(text, 32, bytes < 1e9 ? "%.3f GB" : "%.1f GB", bytes / 1e9);
    return text;
}

static avi_status refuse(const avi_session *s, const plan *node, int ranks, const char *by)
{
    static const char *const what[PARTS] = {
        "rows of the data",
        "parameters of the model, with gradient, optimizer state and a copy to write,",
        "parameters of the inference function, with gradient, optimizer state and a copy to write,",
        "local factors, with gradient and optimizer state,",
        "pairs of L-BFGS",
        "values of a block of rows on their way through the model",
        "the covariance of all rows"};
    int worst = 0;
    double need = 0;
    char a[32], b[32], c[32];
    const char *section;
    for (int i = 0; i < PARTS; i++) {
        need += node->bytes[i];
        if (node->bytes[i] > node->bytes[worst]) worst = i;
    }
    const char *key = key_of(s, worst, &section);
    return avi_config_fail(s->config, section, key,
                           "%s take %s of the %s that the %d rank%s on %s need; %s are available there (%s). Use a "
                           "smaller %s.%s%s",
                           what[worst], gigabytes(node->bytes[worst], a), gigabytes(need, b), ranks,
                           ranks == 1 ? "" : "s", node->host, gigabytes(node->available, c), by, section, key,
                           worst == DATA || worst == LOCAL || worst == COVARIANCE ? ", or more nodes" : "");
}

/* What is read as available may be a little off; what is added up is less than a run takes in the end. */
static bool fits(const plan *node)
{
    double need = 0;
    for (int i = 0; i < PARTS; i++) need += node->bytes[i];
    return need <= 1.02 * node->available;
}

/* Ranks of the host of all[r] joined in *node; their number. */
static int join(const plan *all, int ranks, int r, plan *node)
{
    int here = 0;
    *node = (plan){.available = HUGE_VAL};
    memcpy(node->host, all[r].host, HOST);
    for (int i = 0; i < ranks; i++) {
        if (strcmp(all[i].host, all[r].host)) continue;
        here++;
        node->available = fmin(node->available, all[i].available);
        for (int k = 0; k < PARTS; k++) node->bytes[k] += all[i].bytes[k];
    }
    return here;
}

static avi_status judge(const avi_session *s, const plan *all, const char *by)
{
    const int ranks = avi_comm_size(s->comm);
    for (int r = 0; r < ranks; r++) {
        plan node;
        int before = 0;
        while (before < r && strcmp(all[before].host, all[r].host)) before++;
        if (before < r) continue; /* its host is done */
        const int here = join(all, ranks, r, &node);
        if (!fits(&node)) return refuse(s, &node, here, by);
    }
    return AVI_OK;
}

avi_status avi_memory_check(const avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    const char *by;
    plan own = {.host = ""}, *all = malloc((size_t)ranks * sizeof *all);
    avi_status status =
        avi_agree(s->comm, all ? AVI_OK : avi_fail_memory((size_t)ranks * sizeof *all, "the plan of the ranks"));
    snprintf(own.host, sizeof own.host, "%s", avi_comm_host());
    own.available = avi_memory_available("", &by);
    fill(s, &own);
    if (status == AVI_OK) status = avi_comm_allgather(s->comm, &own, sizeof own, all);
    if (status == AVI_OK) status = judge(s, all, by);
    free(all);
    return avi_agree(s->comm, status);
}
