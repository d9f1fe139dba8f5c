#include "state/digest.h"
#include "avi/rng.h"
#include "base/processor.h"
#include "session/keys.h"
#include "session/version.h"
#include "state/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 8 };

/* ---- hashes ---- */

/* Every step is a bijection of 64 bits, so that two words at one place never have the same hash. */
static inline uint64_t hash_of(uint64_t word, uint64_t place)
{
    uint64_t h = word + (place + 1) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

/* Of a piece that begins at the word `place` of its vector; a last word that is not whole is filled up with zeros. */
static uint64_t sum_of(const void *values, size_t bytes, uint64_t place)
{
    const unsigned char *at = values;
    uint64_t sum = 0, word = 0;
    const size_t words = bytes / WORD;
    for (size_t i = 0; i < words; i++) {
        memcpy(&word, at + i * WORD, WORD);
        sum += hash_of(word, place + i);
    }
    if (bytes % WORD == 0) return sum;
    word = 0;
    memcpy(&word, at + words * WORD, bytes % WORD);
    return sum + hash_of(word, place + words);
}

uint64_t avi_digest_of(const void *values, size_t bytes) { return sum_of(values, bytes, 0); }

static uint64_t hash_text(uint64_t h, const char *text)
{
    do h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return h;
}

/* What steps are computed with. The length of the run belongs to it where a step depends on it. */
static uint64_t settings_of(const avi_session *s)
{
    const uint64_t keys = avi_config_hash(s->config, avi_keys_resume_may_change);
    const bool by_length = s->schedule.kind == 2 || avi_config_get_real(s->config, "objective", "kl_warmup") > 0 ||
                           avi_config_get_int(s->config, "inference", "starts") > 1;
    return avi_mix64(keys, by_length ? (uint64_t)s->total_steps : 0);
}

static uint64_t program_of(void)
{
    const avi_version v = avi_version_of();
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    const char *const text[] = {v.version, v.revision, v.compiler, v.flags, v.blas};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) h = hash_text(h, text[i]);
    for (const char *const *set = avi_built_for; *set; set++) h = hash_text(h, *set);
    return h;
}

/* ---- columns ---- */

static avi_status add_column(avi_digests *d, const char *prefix, const char *name, int64_t first)
{
    const size_t bytes = strlen(prefix) + strlen(name) + 1;
    char *text = malloc(bytes);
    if (!text) return avi_fail_memory(bytes, "the digests of gradients");
    snprintf(text, bytes, "%s%s", prefix, name);
    d->first[d->columns] = first;
    d->name[d->columns++] = text;
    return AVI_OK;
}

static avi_status add_blocks(avi_digests *d, const char *prefix, const avi_params *p, int64_t first)
{
    for (int k = 0; k < p->count; k++) AVI_TRY(add_column(d, prefix, p->block[k].name, first + p->block[k].offset));
    return AVI_OK;
}

static avi_status add_columns(const avi_session *s, avi_digests *d)
{
    const int64_t theta = s->layout.theta, phi = avi_parameter_layout_phi(&s->problem, &s->layout);
    const bool gaussian = s->problem.global_gaussian;
    AVI_TRY(add_column(d, "", "settings", 0));
    AVI_TRY(add_column(d, "", "program", 0));
    AVI_TRY(add_column(d, "", "line", 0));
    AVI_TRY(add_column(d, "", "local factors", 0));
    AVI_TRY(add_blocks(d, gaussian ? "mean of " : "", &s->model->theta, 0));
    if (gaussian) AVI_TRY(add_blocks(d, "log sd of ", &s->model->theta, theta));
    const int64_t more = (gaussian ? 2 : 1) * theta; /* what a family of q(theta) has beyond means and log sds */
    if (more < phi) AVI_TRY(add_column(d, "", "further parameters of q(theta)", more));
    AVI_TRY(add_blocks(d, "", &s->infer->phi, phi));
    d->first[d->columns] = s->layout.size;
    return AVI_OK;
}

avi_status avi_digests_create(const avi_session *s, avi_digests *d)
{
    const size_t most = (size_t)(AVI_DIGEST_BLOCKS + 2 * s->model->theta.count + s->infer->phi.count + 2);
    *d = (avi_digests){0};
    if (!s->problem.reproducible) return AVI_OK;
    d->name = calloc(most, sizeof *d->name);
    d->first = calloc(most, sizeof *d->first);
    if (!d->name || !d->first) return avi_fail_memory(most * sizeof *d->first, "the digests of gradients");
    d->settings = settings_of(s);
    d->program = program_of();
    return add_columns(s, d);
}

void avi_digests_free(avi_digests *d)
{
    for (int c = 0; d->name && c < d->columns; c++) free(d->name[c]);
    free(d->name);
    free(d->first);
    free(d->value);
    *d = (avi_digests){0};
}

/* ---- lines ---- */

static avi_status reserve(avi_digests *d, int64_t lines)
{
    if (lines <= d->capacity) return AVI_OK;
    const int64_t capacity = 2 * lines + 64;
    const size_t bytes = (size_t)(capacity * d->columns) * sizeof *d->value;
    uint64_t *value = realloc(d->value, bytes);
    if (!value) return avi_fail_memory(bytes, "the digests of gradients");
    d->value = value;
    d->capacity = capacity;
    return AVI_OK;
}

/* The parts of the gradient that this rank hashes: its own where ranks share out the step, else an even share. */
static int parts_of(const avi_session *s, int64_t first[AVI_PARTS], int64_t end[AVI_PARTS])
{
    enum { UNIT = 16 }; /* no word of two values is cut */
    const int64_t units = (s->layout.size + UNIT - 1) / UNIT, ranks = avi_comm_size(s->comm),
                  rank = avi_comm_rank(s->comm);
    const int parts = avi_estimator_parts(s->train_elbo, first, end);
    if (avi_estimator_is_shared_out(s->train_elbo)) return parts;
    first[0] = units * rank / ranks * UNIT;
    end[0] = units * (rank + 1) / ranks * UNIT;
    if (end[0] > s->layout.size) end[0] = s->layout.size;
    return 1;
}

static void hash_blocks(const avi_session *s, const avi_state *st, uint64_t *line)
{
    int64_t first[AVI_PARTS], end[AVI_PARTS];
    const int parts = parts_of(s, first, end);
    const size_t real = avi_real_size(s->precision);
    const avi_digests *d = &st->digests;
    for (int i = 0; i < parts; i++)
        for (int c = AVI_DIGEST_BLOCKS; c < d->columns; c++) {
            const int64_t from = d->first[c] > first[i] ? d->first[c] : first[i],
                          to = d->first[c + 1] < end[i] ? d->first[c + 1] : end[i];
            if (from < to)
                line[c] += sum_of(avi_vector_at(s->precision, st->gradient, from), (size_t)(to - from) * real,
                                  (uint64_t)from * real / WORD);
        }
}

static uint64_t hash_rows(const avi_session *s, const avi_state *st, const avi_row_ranges *job)
{
    const int64_t width = s->infer->outputs;
    const size_t bytes = (size_t)width * avi_real_size(s->precision);
    const uint64_t words = (bytes + WORD - 1) / WORD;
    uint64_t sum = 0;
    for (int i = 0; i < job->count; i++)
        for (int64_t r = job->first[i]; r < job->first[i] + job->rows[i]; r++)
            sum += sum_of(avi_vector_at(s->precision, st->table_grad, (r - s->train->first + 1) * width), bytes,
                          (uint64_t)r * words);
    return sum;
}

uint64_t avi_digests_settings(const avi_digests *d, double rate_factor)
{
    uint64_t factor;
    memcpy(&factor, &rate_factor, sizeof factor);
    return avi_mix64(d->settings, factor) | 1; /* 0 says that there is none */
}

uint64_t avi_digests_line(const avi_digests *d, const int64_t *line)
{
    uint64_t h = 0;
    for (int c = 0; c < d->columns; c++)
        if (c != AVI_DIGEST_LINE) h += hash_of((uint64_t)line[c], (uint64_t)c);
    return h;
}

avi_status avi_digests_add(const avi_session *s, avi_state *st, const avi_row_ranges *job)
{
    avi_digests *d = &st->digests;
    if (!d->columns) return AVI_OK;
    AVI_TRY(reserve(d, d->lines + 1));
    uint64_t *line = d->value + d->lines++ * d->columns;
    memset(line, 0, (size_t)d->columns * sizeof *line);
    if (avi_comm_rank(s->comm) == 0) {
        line[AVI_DIGEST_SETTINGS] = avi_digests_settings(d, st->rate_factor);
        line[AVI_DIGEST_PROGRAM] = d->program;
    }
    if (st->table) line[AVI_DIGEST_LOCAL] = hash_rows(s, st, job);
    hash_blocks(s, st, line);
    return AVI_OK;
}

avi_status avi_digests_sum(const avi_session *s, const avi_digests *d, int64_t *sum)
{
    const size_t n = (size_t)(d->lines * d->columns);
    int64_t *halves = malloc((2 * n + 1) * sizeof *halves);
    AVI_TRY(avi_agree(s->comm, halves ? AVI_OK : avi_fail_memory(2 * n * sizeof *halves, "the digests of gradients")));
    for (size_t i = 0; i < n; i++) { /* halves of 32 bits, whose sums do not overflow */
        halves[2 * i] = (int64_t)(d->value[i] & UINT32_MAX);
        halves[2 * i + 1] = (int64_t)(d->value[i] >> 32);
    }
    const avi_status status = avi_comm_sum_int64(s->comm, halves, 2 * n);
    for (size_t i = 0; i < n && status == AVI_OK; i++) {
        const uint64_t value = (uint64_t)halves[2 * i] + ((uint64_t)halves[2 * i + 1] << 32);
        memcpy(&sum[i], &value, sizeof value);
    }
    for (int64_t *line = sum; status == AVI_OK && line < sum + n; line += d->columns) {
        const uint64_t check = line[AVI_DIGEST_SETTINGS] ? avi_digests_line(d, line) : 0;
        memcpy(&line[AVI_DIGEST_LINE], &check, sizeof check);
    }
    free(halves);
    return status;
}

avi_status avi_digests_restore(const avi_session *s, avi_digests *d, int64_t lines, const int64_t *sum)
{
    const size_t bytes = (size_t)(lines * d->columns) * sizeof *d->value;
    if (!d->columns) return AVI_OK;
    AVI_TRY(reserve(d, lines));
    d->lines = lines;
    if (!bytes) return AVI_OK;
    if (sum && avi_comm_rank(s->comm) == 0)
        memcpy(d->value, sum, bytes);
    else
        memset(d->value, 0, bytes);
    return AVI_OK;
}
