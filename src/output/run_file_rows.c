/* Results that come from rows: local factors in given order, and images. */
#include "output/run_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* nu of the own rows in order of position, by the inference function. */
static avi_status own_nu(const avi_session *s, avi_state *st, avi_local *l)
{
    const size_t bytes = (size_t)(s->train->count * s->infer->outputs + 1) * sizeof *l->own;
    l->own = malloc(bytes);
    avi_status status =
        l->own ? avi_estimator_factors(s->train_elbo, st->params, st->table, s->train->first, s->train->count, l->own)
               : avi_fail_memory(bytes, "local factors");
    if (status == AVI_OK) status = avi_data_status(s->train);
    return avi_agree(s->comm, status);
}

int64_t avi_local_values(const avi_session *s)
{
    const int64_t dims = s->model->latent;
    return 2 * dims + (s->family->ops->covariance ? dims * dims : 0);
}

static int64_t piece_rows(const avi_session *s)
{
    const int64_t most = avi_row_producer_piece(avi_local_values(s) * (int64_t)avi_real_size(s->precision)),
                  longest = (s->partition.rows + avi_comm_size(s->comm) - 1) / avi_comm_size(s->comm);
    return most < longest ? most : longest;
}

enum { BLOCK = 1024 /* rows that stay in cache from one form to the next */ };

/* What the family keeps of rows [first, first + count): l->typed, as they are held. */
static avi_status fetch_rows(avi_local *l, int64_t first, int64_t count)
{
    return avi_file_order_rows(l->pull, first, count, &l->typed);
}

/* Mean and log sd of up to BLOCK rows from row `at` of those that were fetched. */
static void moments_of(avi_local *l, int64_t at, int64_t count, double *mean, double *log_sd)
{
    const avi_precision p = l->wide ? AVI_PRECISION_DOUBLE : l->s->precision;
    const int64_t width = l->s->infer->outputs;
    avi_vector_to_double(p, avi_vector_at(p, l->typed, at * width), count * width, l->nu);
    avi_moments_rows(&l->moments, count, l->nu, mean, log_sd);
}

static int64_t block_at(int64_t at, int64_t count) { return count - at < BLOCK ? count - at : BLOCK; }

/* Of the rows that moments_of has looked at last. */
static void covariances_of(const avi_local *l, int64_t count, double *covariance)
{
    const avi_family *f = l->s->family;
    for (int64_t r = 0; r < count; r++)
        f->ops->covariance(f, l->nu + r * f->width, covariance + r * f->latent * f->latent);
}

/* to[i * bytes] = from[i * step], pieces of `bytes`: a constant where they are small, since a call for a few bytes
 * costs more than they do. */
static inline void copy_pieces(char *restrict to, const char *restrict from, size_t step, int64_t count, size_t bytes)
{
    for (int64_t i = 0; i < count; i++) memcpy(to + (size_t)i * bytes, from + (size_t)i * step, bytes);
}

/* Rows that are held in the precision of the run as (means, log sds): no number is made. */
static void split_rows(const avi_local *l, int64_t count, void *const *out)
{
    const size_t half = (size_t)l->s->model->latent * avi_real_size(l->s->precision);
    const char *rows = l->typed;
    for (int k = 0; k < 2; k++, rows += half) {
        if (half == 4)
            copy_pieces(out[k], rows, 8, count, 4);
        else if (half == 8)
            copy_pieces(out[k], rows, 16, count, 8);
        else
            copy_pieces(out[k], rows, 2 * half, count, half);
    }
}

/* From what the family keeps of a row to mean, log sd and covariance, in the precision of the run: what a row takes
 * more than that is in l->typed. */
static avi_status local_rows(void *self, int64_t first, int64_t count, void *const *out)
{
    avi_local *l = self;
    const avi_precision p = l->s->precision;
    const int64_t dims = l->s->model->latent;
    AVI_TRY(fetch_rows(l, first, count));
    if (!l->wide && l->s->family->ops->independent) {
        split_rows(l, count, out);
        return AVI_OK;
    }
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t n = block_at(at, count);
        double *mean = l->out, *log_sd = mean + n * dims, *covariance = log_sd + n * dims;
        moments_of(l, at, n, mean, log_sd);
        avi_vector_from_double(p, mean, n * dims, avi_vector_at(p, out[0], at * dims));
        avi_vector_from_double(p, log_sd, n * dims, avi_vector_at(p, out[1], at * dims));
        if (!l->s->family->ops->covariance) continue;
        covariances_of(l, n, covariance);
        avi_vector_from_double(p, covariance, n * dims * dims, avi_vector_at(p, out[2], at * dims * dims));
    }
    return AVI_OK;
}

avi_status avi_local_open(const avi_session *s, avi_state *st, avi_local *l)
{
    const int64_t width = s->infer->outputs, most = piece_rows(s);
    const bool wide = !s->infer->ops->local;
    const size_t bytes = (size_t)(most * width) * (wide ? sizeof(double) : avi_real_size(s->precision));
    *l = (avi_local){.s = s,
                     .wide = wide,
                     .nu = malloc((size_t)(BLOCK * width) * sizeof *l->nu),
                     .typed = malloc(bytes),
                     .out = malloc((size_t)(BLOCK * avi_local_values(s)) * sizeof *l->out),
                     .supply = {.rows = local_rows, .self = l}};
    avi_status status = l->nu && l->typed && l->out ? AVI_OK : avi_fail_memory(2 * bytes, "local factors");
    if (status == AVI_OK) status = avi_moments_take(s, st, &l->moments);
    AVI_TRY(avi_agree(s->comm, status));
    if (l->wide) AVI_TRY(own_nu(s, st, l));
    const void *owned = l->wide ? (void *)l->own : avi_vector_at(s->precision, st->table, width);
    return avi_file_order_create(&s->partition, s->comm,
                                 (size_t)width * (l->wide ? sizeof(double) : avi_real_size(s->precision)), 1, &owned,
                                 most, &l->pull);
}

void avi_local_close(avi_local *l)
{
    avi_moments_free(&l->moments);
    avi_file_order_destroy(&l->pull);
    free(l->own);
    free(l->typed);
    free(l->out);
    free(l->nu);
    *l = (avi_local){0};
}

/* Pieces as the writing of a store takes them: every rank as many as the longest slab has. */
static avi_status take_all(const avi_session *s, avi_local *l, int64_t slab, int64_t first, double *mean,
                           double *log_sd)
{
    const int64_t most = piece_rows(s), ranks = avi_comm_size(s->comm), dims = s->model->latent,
                  longest = (s->partition.rows + ranks - 1) / ranks;
    for (int64_t done = 0; done < longest; done += most) {
        const int64_t left = slab > done ? slab - done : 0, count = left < most ? left : most;
        AVI_TRY(fetch_rows(l, first + done, count));
        for (int64_t at = 0; at < count; at += BLOCK)
            moments_of(l, at, block_at(at, count), mean + (done + at) * dims, log_sd + (done + at) * dims);
    }
    return AVI_OK;
}

avi_status avi_run_file_local(const avi_session *s, avi_state *st, avi_fields *l, double **mean, double **log_sd)
{
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const int64_t first = avi_slab_first(s->partition.rows, ranks, rank),
                  slab = avi_slab_first(s->partition.rows, ranks, rank + 1) - first;
    const size_t bytes = (size_t)(slab * s->model->latent) * sizeof **mean;
    *mean = avi_fields_memory(l, bytes);
    *log_sd = avi_fields_memory(l, bytes);
    AVI_TRY(avi_agree(s->comm, *mean && *log_sd ? AVI_OK : avi_fail_memory(2 * bytes, "local factors")));
    avi_local local;
    avi_status status = avi_local_open(s, st, &local);
    if (status == AVI_OK) status = take_all(s, &local, slab, first, *mean, *log_sd);
    avi_local_close(&local);
    return status;
}

/* Rows [0, n) by position of a data set and their reconstructions, on every rank: (n, D) each. */
static avi_status reconstruct(const avi_session *s, avi_state *st, avi_estimator *e, const avi_data *data, void *table,
                              int64_t n, double *original, double *image)
{
    const int64_t width = s->shape.width;
    avi_row_ranges job = {0};
    double sums[AVI_SUMS];
    avi_status status = avi_agree(s->comm, avi_row_ranges_pass(&data->partition, avi_comm_rank(s->comm), n, &job));
    double *own = malloc((size_t)(avi_row_ranges_total(&job) * width + 1) * sizeof *own);
    if (status == AVI_OK) status = avi_agree(s->comm, own ? AVI_OK : avi_fail_memory(1, "images"));
    const avi_row_values rows = {.reconstruction = own};
    if (status == AVI_OK) status = avi_estimator_evaluate(e, st->params, table, &job, true, sums, &rows);
    for (int i = 0, done = 0; status == AVI_OK && i < job.count; i++) {
        avi_data_fetch_f64(data, job.first[i], job.rows[i], original + job.first[i] * width);
        avi_data_as_given(data, job.rows[i], original + job.first[i] * width);
        memcpy(image + job.first[i] * width, own + done * width, (size_t)(job.rows[i] * width) * sizeof *own);
        done += (int)job.rows[i];
    }
    free(own);
    avi_row_ranges_free(&job);
    AVI_TRY(status);
    AVI_TRY(avi_comm_sum_double(s->comm, original, (size_t)(n * width)));
    AVI_TRY(avi_comm_sum_double(s->comm, image, (size_t)(n * width)));
    for (int64_t i = 0; i < n * width; i++) { /* several ranks' sum with zeros makes 0 of -0: so does one's */
        original[i] += 0.0;
        image[i] += 0.0;
    }
    return AVI_OK;
}

static avi_status add_images(avi_fields *l, const char *path, const char *axes, int64_t n, int64_t width,
                             const double *image, const char *description)
{
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_F64,
                                         .rank = 2,
                                         .dims = {n, width},
                                         .data = image,
                                         .description = description,
                                         .units = "data units",
                                         .axes = axes});
}

enum { WALK = 15 /* images along each of two dimensions */ };

/* The two dimensions that the last evaluation found used most, the lower number first; the first two where there is no
 * KL of each dimension. */
static void choose_dimensions(const avi_session *s, const avi_state *st, int64_t dimension[2])
{
    const avi_trace *t = &st->eval;
    const int64_t dims = s->model->latent;
    dimension[0] = 0;
    dimension[1] = dims > 1;
    if (!t->rows || t->extra != dims || dims < 3 || !avi_estimator_kl_dimensions(&s->problem)) return;
    const double *kl = t->value + (t->rows - 1) * (t->columns + t->extra) + t->columns;
    int64_t first = 0, second = -1;
    for (int64_t d = 1; d < dims; d++)
        if (kl[d] > kl[first]) first = d;
    for (int64_t d = 0; d < dims; d++)
        if (d != first && (second < 0 || kl[d] > kl[second])) second = d;
    dimension[0] = first < second ? first : second;
    dimension[1] = first < second ? second : first;
}

/* z of the prior's samples, and a grid of quantile-like steps from -2.1 to 2.1 over two dimensions. */
static void choose_z(const avi_session *s, int64_t samples, const int64_t dimension[2], double *sample, double *walk)
{
    const int64_t dims = s->model->latent;
    avi_normal_f64(avi_stream_make(s->seed, AVI_DRAW_EVAL, 2), 0, samples, 0, dims, sample);
    for (int64_t i = 0; i < WALK * WALK; i++) {
        memset(walk + i * dims, 0, (size_t)dims * sizeof *walk);
        walk[i * dims + dimension[0]] = 0.3 * (double)(i % WALK - WALK / 2);
        if (dims > 1) walk[i * dims + dimension[1]] = 0.3 * (double)(WALK / 2 - i / WALK);
    }
}

const char *avi_run_file_examples(const avi_session *s)
{
    const avi_model_ops *m = s->model->ops;
    if (!m->reconstruct || m->log_prior || m->coupling != AVI_INDEPENDENT) return NULL;
    if (avi_config_get_int(s->config, "log", "images") == 0) return NULL;
    return s->shape.height > 1 && s->shape.channels <= 1 ? "images" : "rows";
}

avi_status avi_run_file_images(const avi_session *s, avi_state *st, avi_fields *l)
{
    const bool test = s->test && !s->infer->ops->local;
    const avi_data *data = test ? s->test : s->train;
    const int64_t width = s->shape.width, dims = s->model->latent, walk_count = WALK * WALK;
    int64_t n = avi_config_get_int(s->config, "log", "images");
    if (n > data->partition.rows) n = data->partition.rows;
    const int64_t samples = 2 * n;
    const size_t bytes = (size_t)width * sizeof(double);
    double *original = avi_fields_memory(l, (size_t)n * bytes), *image = avi_fields_memory(l, (size_t)n * bytes);
    double *sample = avi_fields_memory(l, (size_t)samples * bytes),
           *walk = avi_fields_memory(l, (size_t)walk_count * bytes);
    double *z = avi_fields_memory(l, (size_t)((samples + walk_count) * dims) * sizeof *z);
    AVI_TRY(avi_agree(
        s->comm, original && image && sample && walk && z ? AVI_OK : avi_fail_memory((size_t)n * bytes, "images")));
    AVI_TRY(reconstruct(s, st, test ? s->test_elbo : s->train_elbo, data, test ? NULL : st->table, n, original, image));
    int64_t dimension[2];
    choose_dimensions(s, st, dimension);
    choose_z(s, samples, dimension, z, z + samples * dims);
    AVI_TRY(avi_estimator_decode(s->train_elbo, st->params, samples, z, sample));
    avi_data_as_given(s->train, samples, sample);
    const char *group = avi_run_file_examples(s);
    const bool grey = !strcmp(group, "images");
    const char *of_rows = grey ? "image, pixel" : "example, column", *of_draws = grey ? "draw, pixel" : "draw, column";
    AVI_TRY(add_images(l, avi_fields_text(l, "/%s/original", group), of_rows, n, width, original,
                       "rows of the data (test data where there are any)"));
    AVI_TRY(add_images(l, avi_fields_text(l, "/%s/reconstruction", group), of_rows, n, width, image,
                       "E[x | z] with z from q(z | x), the same rows"));
    AVI_TRY(add_images(l, avi_fields_text(l, "/%s/sample", group), of_draws, samples, width, sample,
                       "E[x | z] with z from the prior"));
    if (!grey) return AVI_OK;
    AVI_TRY(avi_estimator_decode(s->train_elbo, st->params, walk_count, z + samples * dims, walk));
    avi_data_as_given(s->train, walk_count, walk);
    AVI_TRY(
        add_images(l, "/images/walk", "place, pixel", walk_count, width, walk,
                   "E[x | z] on a grid over the two dimensions of z with the largest KL (attributes walk_first, from "
                   "left to right, and walk_second, upwards), the others 0: 15 x 15, steps of 0.3"));
    AVI_TRY(
        avi_fields_attribute(l, (avi_attribute){.group = "/images", .name = "walk_first", .integer = dimension[0]}));
    return avi_fields_attribute(l, (avi_attribute){.group = "/images", .name = "walk_second", .integer = dimension[1]});
}
