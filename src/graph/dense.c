#include "graph/dense.h"
#include "tape/precise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void avi_dense_destroy(avi_dense **dense)
{
    avi_dense *d = *dense;
    if (!d) return;
    avi_linalg_spd_destroy(&d->prior);
    avi_linalg_spd_destroy(&d->newton);
    if (d->alone) avi_comm_destroy(&d->alone);
    free(d->row);
    free(d->inverse_weight);
    free(d->slab);
    free(d->mean);
    free(d->c);
    free(d->kappa);
    free(d);
    *dense = NULL;
}

size_t avi_dense_bytes(const avi_graph_context *c)
{
    const avi_dense *d = c->dense;
    if (!d) return 0;
    const size_t n = (size_t)d->rows, ranks = d->alone ? 1 : (size_t)avi_comm_size(c->comm);
    const size_t matrices = d->alone && avi_comm_rank(c->comm) > 0 ? 0
                            : d->newton                            ? 2
                                                                   : 1; /* factors of K and of a Newton step */
    return matrices * n * n * sizeof(double) / ranks + n * (size_t)(d->width + d->latent) * sizeof(double);
}

/* ---- the factor of K ---- */

double avi_dense_covariance(void *self, int64_t i, int64_t j)
{
    const avi_dense *d = self;
    return d->model->ops->covariance(d->model, i, d->row + i * d->width, j, d->row + j * d->width);
}

static avi_status allocate(avi_graph_context *c)
{
    const avi_data *data = c->data;
    const int64_t n = data->partition.rows, l = c->p->model->latent, width = data->shape.width, own = data->count;
    const int rank = avi_comm_rank(c->comm), ranks = avi_comm_size(c->comm);
    const int64_t slab = c->p->reproducible ? n : avi_slab_first(n, ranks, rank + 1) - avi_slab_first(n, ranks, rank);
    avi_dense *d = c->dense = calloc(1, sizeof *d);
    if (!d) return avi_fail_memory(sizeof *d, "the dense coupling");
    *d = (avi_dense){.rows = n, .latent = l, .width = width, .model = c->p->model};
    d->row = calloc((size_t)(n * width), sizeof *d->row);
    d->slab = malloc((size_t)(slab * l + 1) * sizeof *d->slab);
    d->mean = malloc((size_t)(own * l + 1) * sizeof *d->mean);
    d->c = malloc((size_t)(own * l + 1) * sizeof *d->c);
    d->kappa = calloc((size_t)(own + 1), sizeof *d->kappa);
    if (d->row && d->slab && d->mean && d->c && d->kappa) return AVI_OK;
    return avi_fail_memory((size_t)(n * width + slab * l) * sizeof(double), "the dense coupling");
}

/* Sums with zeros, hence exact. */
avi_status avi_dense_gather(avi_graph_context *c, int64_t k, const double *own, double *all)
{
    memset(all, 0, (size_t)(c->dense->rows * k) * sizeof *all);
    memcpy(all + c->data->first * k, own, (size_t)(c->data->count * k) * sizeof *all);
    return avi_comm_sum_double(c->comm, all, (size_t)(c->dense->rows * k));
}

/* own (count, k), in order of position: through work(factor, slab) and back. Coupled data are not shuffled: positions
 * are given rows, but tiles are not slabs. */
typedef avi_status (*slab_work)(avi_linalg_spd *spd, int64_t k, double *slab);

static avi_status through_slabs(avi_graph_context *c, avi_linalg_spd *spd, slab_work work, int64_t k, const double *in,
                                double *out)
{
    avi_dense *d = c->dense;
    const size_t row_bytes = (size_t)k * sizeof(double);
    if (!d->alone) {
        AVI_TRY(avi_partition_to_given(&c->data->partition, c->comm, row_bytes, in, d->slab));
        AVI_TRY(work(spd, k, d->slab));
        return avi_partition_to_owner(&c->data->partition, c->comm, row_bytes, d->slab, out);
    }
    AVI_TRY(avi_dense_gather(c, k, in, d->slab));
    AVI_TRY(avi_agree(c->comm, avi_comm_rank(c->comm) == 0 ? work(spd, k, d->slab) : AVI_OK));
    AVI_TRY(avi_comm_bcast(c->comm, d->slab, (size_t)d->rows * row_bytes, 0));
    memcpy(out, d->slab + c->data->first * k, (size_t)c->data->count * row_bytes);
    return AVI_OK;
}

static avi_status inverse_diagonal(avi_linalg_spd *spd, int64_t k, double *slab)
{
    (void)k;
    return avi_linalg_spd_inverse_diagonal(spd, slab);
}

/* The factor of K + the diagonal that self's entry adds. Where reproducible sums are asked for, rank 0 works alone:
 * ScaLAPACK's results agree between rank counts to rounding only. */
avi_status avi_dense_factor(avi_graph_context *c, avi_linalg_entry entry, void *self, avi_linalg_spd **spd)
{
    avi_dense *d = c->dense;
    if (!d->alone) return avi_linalg_spd_create(c->comm, d->rows, entry, self, 0, spd);
    return avi_agree(
        c->comm, avi_comm_rank(c->comm) == 0 ? avi_linalg_spd_create(d->alone, d->rows, entry, self, 0, spd) : AVI_OK);
}

avi_status avi_dense_solve(avi_graph_context *c, avi_linalg_spd *spd, int64_t k, const double *in, double *out)
{
    return through_slabs(c, spd, avi_linalg_spd_solve, k, in, out);
}

static avi_status fetch_rows(avi_graph_context *c)
{
    avi_dense *d = c->dense;
    if (c->data->count) avi_data_fetch_f64(c->data, c->data->first, c->data->count, d->row + c->data->first * d->width);
    return avi_comm_sum_double(c->comm, d->row, (size_t)(d->rows * d->width));
}

/* Collective. Made at the first pass: a plan of a run, or a task that solves in closed form, needs none. */
static avi_status prepare(avi_graph_context *c)
{
    if (c->dense) return AVI_OK;
    AVI_TRY(avi_agree(c->comm, allocate(c)));
    avi_dense *d = c->dense;
    if (c->p->reproducible) AVI_TRY(avi_comm_split(c->comm, avi_comm_rank(c->comm) == 0 ? 0 : 1, &d->alone));
    AVI_TRY(fetch_rows(c));
    AVI_TRY(avi_dense_factor(c, avi_dense_covariance, d, &d->prior));
    double log_det = d->prior ? avi_linalg_spd_log_det(d->prior) : 0;
    AVI_TRY(avi_comm_bcast(c->comm, &log_det, sizeof log_det, 0));
    d->constant = -0.5 * (log(2 * acos(-1)) + log_det / (double)d->rows);
    return through_slabs(c, d->prior, inverse_diagonal, 1, d->kappa, d->kappa);
}

/* ---- c = K^-1 m ---- */

int64_t avi_dense_piece(const avi_graph_context *c, int64_t first)
{
    const int64_t tile = c->data->partition.tile, rest = c->data->first + c->data->count - first;
    const int64_t piece = c->p->reproducible || c->p->block_rows < tile ? tile : c->p->block_rows / tile * tile;
    return rest < piece ? rest : piece;
}

/* Means of all own rows. */
static avi_status own_means(avi_graph_context *c, const avi_pass *pass)
{
    const int64_t l = c->dense->latent;
    avi_status status = AVI_OK;
    const avi_pass values = {.params = pass->params, .table = pass->table, .stream = pass->stream};
    for (int64_t first = c->data->first, n; (n = avi_dense_piece(c, first)) > 0; first += n) {
        const avi_node *nu = avi_graph_factors(c, &values, first, n);
        if (status == AVI_OK) status = avi_tape_status(c->tape);
        for (int64_t r = 0; r < n; r++)
            for (int64_t k = 0; k < l; k++)
                c->dense->mean[(first - c->data->first + r) * l + k] =
                    avi_vector_get(c->p->precision, nu->value, r * nu->cols + k);
    }
    return status;
}

static bool finite_means(const avi_graph_context *c)
{
    for (int64_t i = 0; i < c->data->count * c->dense->latent; i++)
        if (!isfinite(c->dense->mean[i])) return false;
    return true;
}

avi_status avi_dense_update(avi_graph_context *c, const avi_pass *pass)
{
    if (c->p->model->ops->coupling != AVI_DENSE) return AVI_OK;
    AVI_TRY(prepare(c));
    avi_dense *d = c->dense;
    AVI_TRY(avi_agree(c->comm, own_means(c, pass)));
    int64_t bad = !finite_means(c);
    AVI_TRY(avi_comm_max_int64(c->comm, &bad, 1));
    if (!bad) return avi_dense_solve(c, d->prior, d->latent, d->mean, d->c);
    /* A mean that is not finite makes every row's term so: the pass counts them, and the step is skipped. */
    for (int64_t i = 0; i < c->data->count * d->latent; i++) d->c[i] = NAN;
    return AVI_OK;
}

/* ---- the graph of a block ---- */

void avi_precise_dense_prior(avi_tape *t, avi_node *n, double *out)
{
    const avi_dense_term *term = n->data;
    const int64_t l = term->latent;
    const float *nu = n->in[0]->value;
    bool rounded;
    const double *sd = avi_tape_precise_sd(t, n->in[0], &rounded);
    for (int64_t r = 0; r < n->rows; r++) {
        double sum = 0;
        for (int64_t k = 0; k < l; k++)
            sum += (double)nu[2 * l * r + k] * term->c[l * r + k] + sd[l * r + k] * sd[l * r + k] * term->kappa[r];
        out[r] = term->constant - 0.5 * sum;
    }
}

avi_node *avi_graph_dense_prior(avi_graph_context *c, const avi_block_rows *b, avi_node *nu)
{
    static const avi_custom_op op = {.name = "dense_prior",
                                     .forward = {avi_forward_dense_prior_f32, avi_forward_dense_prior_f64},
                                     .backward = {avi_backward_dense_prior_f32, avi_backward_dense_prior_f64},
                                     .precise = avi_precise_dense_prior};
    avi_dense *d = c->dense;
    const int64_t at = b->first[0] - c->data->first;
    d->term = (avi_dense_term){.latent = d->latent,
                               .c = d->c + at * d->latent,
                               .kappa = d->kappa + at,
                               .constant = (double)d->latent * d->constant};
    return avi_custom(c->tape, &op, b->total, 1, 1, &nu, &d->term);
}
