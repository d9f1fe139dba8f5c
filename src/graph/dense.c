#include "graph/dense.h"

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

size_t avi_dense_bytes(const avi_estimator *e)
{
    const avi_dense *d = e->dense;
    if (!d) return 0;
    const size_t n = (size_t)d->rows, ranks = d->alone ? 1 : (size_t)avi_comm_size(e->comm);
    const size_t matrices = d->alone && avi_comm_rank(e->comm) > 0 ? 0
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

static avi_status allocate(avi_estimator *e)
{
    const avi_data *data = e->data;
    const int64_t n = data->partition.rows, l = e->p.model->latent, width = data->shape.width, own = data->count;
    const int rank = avi_comm_rank(e->comm), ranks = avi_comm_size(e->comm);
    const int64_t slab = e->p.reproducible ? n : avi_slab_first(n, ranks, rank + 1) - avi_slab_first(n, ranks, rank);
    avi_dense *d = e->dense = calloc(1, sizeof *d);
    if (!d) return avi_fail_memory(sizeof *d, "the dense coupling");
    *d = (avi_dense){.rows = n, .latent = l, .width = width, .model = e->p.model};
    d->row = calloc((size_t)(n * width), sizeof *d->row);
    d->slab = malloc((size_t)(slab * l + 1) * sizeof *d->slab);
    d->mean = malloc((size_t)(own * l + 1) * sizeof *d->mean);
    d->c = malloc((size_t)(own * l + 1) * sizeof *d->c);
    d->kappa = calloc((size_t)(own + 1), sizeof *d->kappa);
    if (d->row && d->slab && d->mean && d->c && d->kappa) return AVI_OK;
    return avi_fail_memory((size_t)(n * width + slab * l) * sizeof(double), "the dense coupling");
}

/* Sums with zeros, hence exact. */
avi_status avi_dense_gather(avi_estimator *e, int64_t k, const double *own, double *all)
{
    memset(all, 0, (size_t)(e->dense->rows * k) * sizeof *all);
    memcpy(all + e->data->first * k, own, (size_t)(e->data->count * k) * sizeof *all);
    return avi_comm_sum_double(e->comm, all, (size_t)(e->dense->rows * k));
}

/* own (count, k), in order of position: through work(factor, slab) and back. Coupled data are not shuffled: positions
 * are given rows, but tiles are not slabs. */
typedef avi_status (*slab_work)(avi_linalg_spd *spd, int64_t k, double *slab);

static avi_status through_slabs(avi_estimator *e, avi_linalg_spd *spd, slab_work work, int64_t k, const double *in,
                                double *out)
{
    avi_dense *d = e->dense;
    const size_t row_bytes = (size_t)k * sizeof(double);
    if (!d->alone) {
        AVI_TRY(avi_partition_to_given(&e->data->partition, e->comm, row_bytes, in, d->slab));
        AVI_TRY(work(spd, k, d->slab));
        return avi_partition_to_owner(&e->data->partition, e->comm, row_bytes, d->slab, out);
    }
    AVI_TRY(avi_dense_gather(e, k, in, d->slab));
    AVI_TRY(avi_agree(e->comm, avi_comm_rank(e->comm) == 0 ? work(spd, k, d->slab) : AVI_OK));
    AVI_TRY(avi_comm_bcast(e->comm, d->slab, (size_t)d->rows * row_bytes, 0));
    memcpy(out, d->slab + e->data->first * k, (size_t)e->data->count * row_bytes);
    return AVI_OK;
}

static avi_status inverse_diagonal(avi_linalg_spd *spd, int64_t k, double *slab)
{
    (void)k;
    return avi_linalg_spd_inverse_diagonal(spd, slab);
}

/* The factor of K + the diagonal that self's entry adds. Where reproducible sums are asked for, rank 0 works alone:
 * ScaLAPACK's results agree between rank counts to rounding only. */
avi_status avi_dense_factor(avi_estimator *e, avi_linalg_entry entry, void *self, avi_linalg_spd **spd)
{
    avi_dense *d = e->dense;
    if (!d->alone) return avi_linalg_spd_create(e->comm, d->rows, entry, self, 0, spd);
    return avi_agree(
        e->comm, avi_comm_rank(e->comm) == 0 ? avi_linalg_spd_create(d->alone, d->rows, entry, self, 0, spd) : AVI_OK);
}

avi_status avi_dense_solve(avi_estimator *e, avi_linalg_spd *spd, int64_t k, const double *in, double *out)
{
    return through_slabs(e, spd, avi_linalg_spd_solve, k, in, out);
}

static avi_status fetch_rows(avi_estimator *e)
{
    avi_dense *d = e->dense;
    if (e->data->count) avi_data_fetch_f64(e->data, e->data->first, e->data->count, d->row + e->data->first * d->width);
    return avi_comm_sum_double(e->comm, d->row, (size_t)(d->rows * d->width));
}

/* Collective. Made at the first pass: a plan of a run, or a task that solves in closed form, needs none. */
static avi_status prepare(avi_estimator *e)
{
    if (e->dense) return AVI_OK;
    AVI_TRY(avi_agree(e->comm, allocate(e)));
    avi_dense *d = e->dense;
    if (e->p.reproducible) AVI_TRY(avi_comm_split(e->comm, avi_comm_rank(e->comm) == 0 ? 0 : 1, &d->alone));
    AVI_TRY(fetch_rows(e));
    AVI_TRY(avi_dense_factor(e, avi_dense_covariance, d, &d->prior));
    double log_det = d->prior ? avi_linalg_spd_log_det(d->prior) : 0;
    AVI_TRY(avi_comm_bcast(e->comm, &log_det, sizeof log_det, 0));
    d->constant = -0.5 * (log(2 * acos(-1)) + log_det / (double)d->rows);
    return through_slabs(e, d->prior, inverse_diagonal, 1, d->kappa, d->kappa);
}

/* ---- c = K^-1 m ---- */

int64_t avi_dense_piece(const avi_estimator *e, int64_t first)
{
    const int64_t tile = e->data->partition.tile, rest = e->data->first + e->data->count - first;
    const int64_t piece = e->p.reproducible || e->p.block_rows < tile ? tile : e->p.block_rows / tile * tile;
    return rest < piece ? rest : piece;
}

/* Means of all own rows. */
static avi_status own_means(avi_estimator *e, const avi_pass *pass)
{
    const int64_t l = e->dense->latent;
    avi_status status = AVI_OK;
    const avi_pass values = {.params = pass->params, .table = pass->table, .stream = pass->stream};
    for (int64_t first = e->data->first, n; (n = avi_dense_piece(e, first)) > 0; first += n) {
        const avi_node *nu = avi_graph_factors(e, &values, first, n);
        if (status == AVI_OK) status = avi_tape_status(e->tape);
        for (int64_t r = 0; r < n; r++)
            for (int64_t k = 0; k < l; k++)
                e->dense->mean[(first - e->data->first + r) * l + k] =
                    avi_vector_get(e->p.precision, nu->value, r * nu->cols + k);
    }
    return status;
}

static bool finite_means(const avi_estimator *e)
{
    for (int64_t i = 0; i < e->data->count * e->dense->latent; i++)
        if (!isfinite(e->dense->mean[i])) return false;
    return true;
}

avi_status avi_dense_update(avi_estimator *e, const avi_pass *pass)
{
    if (e->p.model->ops->coupling != AVI_DENSE) return AVI_OK;
    AVI_TRY(prepare(e));
    avi_dense *d = e->dense;
    AVI_TRY(avi_agree(e->comm, own_means(e, pass)));
    int64_t bad = !finite_means(e);
    AVI_TRY(avi_comm_max_int64(e->comm, &bad, 1));
    if (!bad) return avi_dense_solve(e, d->prior, d->latent, d->mean, d->c);
    /* A mean that is not finite makes every row's term so: the pass counts them, and the step is skipped. */
    for (int64_t i = 0; i < e->data->count * d->latent; i++) d->c[i] = NAN;
    return AVI_OK;
}

/* ---- the graph of a block ---- */

static avi_node *prior_terms(avi_estimator *e, int64_t first, int64_t rows, avi_node *nu)
{
    static const avi_custom_op op = {.name = "dense_prior",
                                     .forward = {avi_forward_dense_prior_f32, avi_forward_dense_prior_f64},
                                     .backward = {avi_backward_dense_prior_f32, avi_backward_dense_prior_f64}};
    avi_dense *d = e->dense;
    const int64_t at = first - e->data->first;
    d->term = (avi_dense_term){.latent = d->latent,
                               .c = d->c + at * d->latent,
                               .kappa = d->kappa + at,
                               .constant = (double)d->latent * d->constant};
    return avi_custom(e->tape, &op, rows, 1, 1, &nu, &d->term);
}

void avi_graph_dense(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, avi_graph *g)
{
    const avi_model *m = e->p.model;
    const avi_family *family = e->p.family;
    const int draws = e->p.draws;
    const double *weight = e->p.rule ? e->p.rule->weight : NULL;
    avi_tape *t = e->tape;
    g->rows = rows;
    g->x = avi_graph_fetch(e, 1, &first, &rows, 0);
    g->nu = avi_graph_nu(e, pass, 1, &first, &rows, g->x);
    avi_node *z = family->draw(t, g->nu, avi_graph_eps(e, pass, 1, &first, &rows, 0, draws));
    const avi_batch b = {.rows = rows, .draws = draws, .x = g->x};
    g->loglik = avi_draw_mean(t, m->ops->log_likelihood(m, t, &b, z, e->theta), draws, weight);
    if (pass->reconstruct && m->ops->reconstruct)
        g->mean_x = avi_draw_mean(t, m->ops->reconstruct(m, t, &b, z, e->theta), draws, weight);
    avi_node *minus_q =
        e->p.stl || e->p.kl_sampled
            ? avi_scale(t, avi_draw_mean(t, family->logq(t, avi_graph_nu_of_q(e, g->nu), z), draws, weight), -1, 0)
            : family->entropy(t, g->nu);
    g->elbo = avi_add(t, avi_add(t, g->loglik, prior_terms(e, first, rows, g->nu)), minus_q);
}
