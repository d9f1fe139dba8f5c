/* A Gaussian between independent dimensions and a full covariance: z = mean + D A_K .. A_1 eps with D = diag(sd) and
 * K = `rank` rank-one maps
 *   A_k = I + c_k v_k v_k',  c_k = (sqrt(1 + |v_k|^2) - 1) / |v_k|^2,
 * each the square root of I + v_k v_k' (eigenvalue sqrt(1 + |v_k|^2) in the direction of v_k, 1 elsewhere). So
 * K = 1 is the covariance D (I + v v') D, and log |det A_k| = log(1 + |v_k|^2) / 2. A draw takes O(K L), where a full
 * covariance takes O(L^2).
 *
 * nu = (mean (L), log_sd (L), v~_1 (L), ..): v_k = v~_k + e_j with j = k mod L, and D has a factor 1 / sqrt(2) for each
 * map that begins at its dimension: at v~ = 0 the factor is the independent Gaussian of (mean, log_sd), and the
 * gradient by v~ is not zero, as it would be by v at v = 0. */
#include "avi/family.h"
#include "density/full_square.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_2PI   1.83787706640934548356
#define LOG_2PI_E 2.83787706640934548356
#define LOG_2     0.69314718055994530942

static const avi_key keys[] = {
    {"inference", "rank", AVI_KEY_INT, "1", 1, 64, NULL, "directions",
     "directions in which the dimensions of a datapoint are correlated"},
};

enum { MOST_CLOSED = 2 /* directions: the second moment takes O(K^2 L) a row, where a draw takes O(K L) */ };

typedef struct lowrank {
    int64_t rank;
    double *u, *w, *g; /* (rank, L), (rank, L), (rank, rank): room for a covariance */
} lowrank;

static avi_status create(avi_family *f, const avi_config *config)
{
    const int64_t l = f->latent, rank = avi_config_get_int(config, f->rank_section, f->rank_key);
    const size_t bytes = sizeof(lowrank) + (size_t)(2 * rank * l + rank * rank) * sizeof(double);
    lowrank *w = f->self = malloc(bytes);
    if (!w) return avi_fail_memory(bytes, "the family");
    w->rank = rank;
    w->u = (double *)(void *)(w + 1);
    w->w = w->u + rank * l;
    w->g = w->w + rank * l;
    f->width = l * (2 + w->rank);
    f->kl_by_draws = rank > MOST_CLOSED;
    return AVI_OK;
}

static int64_t rank_of(const avi_family *f) { return ((const lowrank *)f->self)->rank; }
/* Maps that begin at dimension i. */
static int64_t maps_at(const avi_family *f, int64_t i)
{
    return rank_of(f) / f->latent + (i < rank_of(f) % f->latent ? 1 : 0);
}

/* (1, L) of values that a function of the dimension gives. */
static avi_node *constant_row(const avi_family *f, avi_tape *t, int64_t k)
{
    avi_node *n = avi_constant_new(t, 1, f->latent);
    for (int64_t i = 0; i < f->latent; i++)
        avi_vector_set(avi_tape_precision(t), n->value, i,
                       k < 0 ? -0.5 * LOG_2 * (double)maps_at(f, i) : (double)(i == k % f->latent));
    return n;
}

/* (mean, log of D): (B, 2L). */
static avi_node *base_of(const avi_family *f, avi_tape *t, avi_node *nu)
{
    const int64_t l = f->latent;
    avi_node *log_d = avi_add(t, avi_slice(t, nu, l, l), constant_row(f, t, -1));
    return avi_concat(t, avi_slice(t, nu, 0, l), log_d);
}

/* v_k and |v_k|^2: (B, L), (B, 1). */
static avi_node *direction(const avi_family *f, avi_tape *t, avi_node *nu, int64_t k, avi_node **square)
{
    const int64_t l = f->latent;
    avi_node *v = avi_add(t, avi_slice(t, nu, (2 + k) * l, l), constant_row(f, t, k));
    *square = avi_row_sum(t, avi_map(t, v, AVI_SQUARE));
    return v;
}

/* sqrt(1 + q), (B, 1). */
static avi_node *stretch(avi_tape *t, avi_node *q)
{
    return avi_map(t, avi_scale(t, avi_map(t, avi_scale(t, q, 1, 1), AVI_LOG), 0.5, 0), AVI_EXP);
}

static avi_node *reciprocal(avi_tape *t, avi_node *a)
{
    return avi_map(t, avi_scale(t, avi_map(t, a, AVI_LOG), -1, 0), AVI_EXP);
}

/* y + factor (v' y) v over the rows of the draws: factor (B, 1). */
static avi_node *bend(avi_tape *t, avi_node *y, avi_node *v, avi_node *factor)
{
    const int64_t times = y->rows / v->rows, l = v->cols;
    avi_node *row = avi_repeat(t, avi_concat(t, v, factor), times);
    v = avi_slice(t, row, 0, l);
    avi_node *along = avi_mul(t, avi_row_sum(t, avi_mul(t, y, v)), avi_slice(t, row, l, 1));
    return avi_add(t, y, avi_mul(t, v, along));
}

/* sum_k log(1 + |v_k|^2) / 2, (B, 1). */
static avi_node *log_volume(const avi_family *f, avi_tape *t, avi_node *nu)
{
    avi_node *sum = NULL;
    for (int64_t k = 0; k < rank_of(f); k++) {
        avi_node *q;
        direction(f, t, nu, k, &q);
        avi_node *term = avi_scale(t, avi_map(t, avi_scale(t, q, 1, 1), AVI_LOG), 0.5, 0);
        sum = sum ? avi_add(t, sum, term) : term;
    }
    return sum;
}

static avi_node *log_q(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z)
{
    const int64_t l = f->latent, times = z->rows / nu->rows;
    avi_node *base = avi_repeat(t, base_of(f, t, nu), times), *log_d = avi_slice(t, base, l, l);
    avi_node *y = avi_mul(t, avi_sub(t, z, avi_slice(t, base, 0, l)), avi_map(t, avi_scale(t, log_d, -1, 0), AVI_EXP));
    for (int64_t k = rank_of(f) - 1; k >= 0; k--) { /* A^-1 = I - (1 - 1 / sqrt(1 + q)) / q v v' */
        avi_node *q, *v = direction(f, t, nu, k, &q);
        avi_node *less = avi_scale(t, reciprocal(t, stretch(t, q)), 1, -1);
        y = bend(t, y, v, avi_mul(t, less, reciprocal(t, q)));
    }
    avi_node *volume = avi_add(t, avi_row_sum(t, log_d), avi_repeat(t, log_volume(f, t, nu), times));
    return avi_sub(t, avi_std_normal_lpdf(t, y), volume);
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    const int64_t l = f->latent, times = eps->rows / nu->rows;
    avi_node *y = eps;
    for (int64_t k = 0; k < rank_of(f); k++) {
        avi_node *q, *v = direction(f, t, nu, k, &q);
        y = bend(t, y, v, avi_mul(t, avi_scale(t, stretch(t, q), 1, -1), reciprocal(t, q)));
    }
    avi_node *base = avi_repeat(t, base_of(f, t, nu), times);
    y = avi_mul(t, y, avi_map(t, avi_slice(t, base, l, l), AVI_EXP));
    avi_node *z = avi_add(t, y, avi_slice(t, base, 0, l));
    if (logq) *logq = log_q(f, t, nu, z);
    return z;
}

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    const int64_t l = f->latent;
    avi_node *sds = avi_row_sum(t, avi_slice(t, base_of(f, t, nu), l, l));
    return avi_scale(t, avi_add(t, sds, log_volume(f, t, nu)), 1, 0.5 * (double)l * LOG_2PI_E);
}

static avi_node *second_moment(const avi_family *f, avi_tape *t, avi_node *nu)
{
    return avi_gaussian_lowrank_square(t, nu, f->latent);
}

/* E |z|^2 / 2 + log(2 pi) L / 2 - entropy. */
static avi_node *kl_std(const avi_family *f, avi_tape *t, avi_node *nu)
{
    avi_node *cross = avi_scale(t, second_moment(f, t, nu), 0.5, 0.5 * (double)f->latent * LOG_2PI);
    return avi_sub(t, cross, entropy(f, t, nu));
}

static int64_t scale_of(const avi_family *f, int64_t k)
{
    return k < f->latent ? f->latent + k : k < 2 * f->latent ? k : -1;
}

/* ---- one factor in double ---- */

static double direction_at(const avi_family *f, const double *nu, int64_t k, int64_t i)
{
    return nu[(2 + k) * f->latent + i] + (i == k % f->latent);
}

static double square_at(const avi_family *f, const double *nu, int64_t k)
{
    double q = 0;
    for (int64_t i = 0; i < f->latent; i++) q += direction_at(f, nu, k, i) * direction_at(f, nu, k, i);
    return q;
}

/* A_K .. A_1 = I + U W': column k of U is c_k v_k, and of W is v_k + sum_j (u_j' v_k) w_j over the columns j before. */
static const lowrank *maps_of(const avi_family *f, const double *nu)
{
    const int64_t l = f->latent;
    lowrank *s = f->self;
    for (int64_t k = 0; k < s->rank; k++) {
        const double q = square_at(f, nu, k), c = q > 0 ? (sqrt(1 + q) - 1) / q : 0;
        double *u = s->u + k * l, *w = s->w + k * l;
        for (int64_t i = 0; i < l; i++) {
            w[i] = direction_at(f, nu, k, i);
            u[i] = c * w[i];
        }
        for (int64_t j = 0; j < k; j++) {
            double along = 0;
            for (int64_t i = 0; i < l; i++) along += s->u[j * l + i] * direction_at(f, nu, k, i);
            for (int64_t i = 0; i < l; i++) w[i] += along * s->w[j * l + i];
        }
    }
    for (int64_t j = 0; j < s->rank; j++)
        for (int64_t k = 0; k < s->rank; k++) {
            s->g[j * s->rank + k] = 0;
            for (int64_t i = 0; i < l; i++) s->g[j * s->rank + k] += s->w[j * l + i] * s->w[k * l + i];
        }
    return s;
}

/* Entry (i, j) of the covariance D (I + U W') (I + W U') D. */
static double covariance_at(const avi_family *f, const lowrank *s, const double *nu, int64_t i, int64_t j)
{
    const int64_t l = f->latent;
    double sum = i == j;
    for (int64_t k = 0; k < s->rank; k++) {
        sum += s->u[k * l + i] * s->w[k * l + j] + s->w[k * l + i] * s->u[k * l + j];
        for (int64_t m = 0; m < s->rank; m++) sum += s->u[k * l + i] * s->g[k * s->rank + m] * s->u[m * l + j];
    }
    const double halves = (double)(maps_at(f, i) + maps_at(f, j));
    return sum * exp(nu[l + i] + nu[l + j] - 0.5 * LOG_2 * halves);
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    const lowrank *s = maps_of(f, nu);
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    for (int64_t i = 0; i < f->latent; i++) log_sd[i] = 0.5 * log(covariance_at(f, s, nu, i, i));
}

static void covariance(const avi_family *f, const double *nu, double *out)
{
    const int64_t l = f->latent;
    const lowrank *s = maps_of(f, nu);
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j <= i; j++) out[i * l + j] = out[j * l + i] = covariance_at(f, s, nu, i, j);
}

static double entropy_of(const avi_family *f, const double *nu)
{
    double sum = 0.5 * (double)f->latent * LOG_2PI_E;
    for (int64_t i = 0; i < f->latent; i++) sum += nu[f->latent + i] - 0.5 * LOG_2 * (double)maps_at(f, i);
    for (int64_t k = 0; k < rank_of(f); k++) sum += 0.5 * log1p(square_at(f, nu, k));
    return sum;
}

const avi_family_ops avi_family_gaussian_lowrank = {
    .name = "gaussian_lowrank",
    .doc = "Gaussian whose dimensions are correlated in a few directions (rank)",
    .keys = keys,
    .key_count = 1,
    .create = create,
    .draw = draw,
    .log_q = log_q,
    .entropy = entropy,
    .kl_std = kl_std,
    .second_moment = second_moment,
    .scale_of = scale_of,
    .moments = moments,
    .covariance = covariance,
    .entropy_of = entropy_of,
};
