/* Densities of the scalar models in expectation over q(z_n) = N(mean, sd^2): one pass over the draws eps, for value and
 * derivatives alike, and z = mean + sd eps is never stored. A row's sums run in lanes, then in fewer, then
 * one by one, whatever block the row is in. Compiled with -ffp-contract=fast. */
#include "avi/vmath.h"
#include "density/normal_1d.h"
#include "density/wave_normal.h"
#include "tape/internal.h"

#define HALF_LOG_2PI R(0.91893853320467274178)

/* A vector that registers hold: GCC keeps wider ones in memory (linear on AVX2: 0.82 ms a step in place of 0.16). */
enum { VECTOR = AVI_VECTOR };
typedef real vec __attribute__((vector_size(VECTOR), aligned(sizeof(real)), may_alias));
typedef real short_vec __attribute__((vector_size(16), aligned(sizeof(real)), may_alias));
enum { LANES = VECTOR / (int)sizeof(real), FEW = 16 / (int)sizeof(real) };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline real total(vec v, short_vec few, real one)
{
    const short_vec *part = (const short_vec *)&v;
    for (int i = 0; i < VECTOR / 16; i++) few += part[i];
    for (int j = 0; j < FEW; j++) one += few[j];
    return one;
}

/* ---- what the operations share ---- */

/* aux: of each row (B) the derivatives of its value with respect to the factor's mean and log sd, and to the density's
 * mean; sd; of each draw (S) its weight and b theta; of each draw of each row (B*S) the weighted derivative with
 * respect to the density's mean, where theta's gradient wants it. */
typedef struct parts {
    int64_t rows, draws;
    real *to_mean, *to_log_sd, *to_mu, *sd, *weight, *shift, *each;
} parts;

static parts parts_of(const avi_node *n)
{
    const int64_t rows = n->rows, draws = n->in[3]->rows / rows;
    real *at = n->aux;
    return (parts){rows,
                   draws,
                   at,
                   at + rows,
                   at + 2 * rows,
                   at + 3 * rows,
                   at + 4 * rows,
                   at + 4 * rows + draws,
                   at + 4 * rows + 2 * draws};
}

static bool wants_each(const avi_node *n) { return n->in[2] && n->in[2]->rows > 1 && n->in[2]->needs_grad; }

/* Lays out aux; weights are times `factor`. */
static parts prepare(avi_tape *t, avi_node *n, real factor)
{
    const avi_scalar_draws *p = n->data;
    const int64_t rows = n->rows, draws = n->in[3]->rows / rows;
    const real *nu = n->in[1]->value, *theta = n->in[2] ? n->in[2]->value : NULL;
    n->aux = avi_tape_alloc(t, 4 * rows + 2 * draws + (wants_each(n) ? rows * draws : 0));
    parts a = parts_of(n);
    const real b = (real)p->b;
    for (int64_t r = 0; r < rows; r++) a.sd[r] = nu[2 * r + 1];
    for (int64_t r = 0; r < rows; r++) a.sd[r] = vm_exp(a.sd[r]);
    for (int64_t s = 0; s < draws; s++) {
        a.weight[s] = factor * (p->weight ? (real)p->weight[s] : 1 / (real)draws);
        a.shift[s] = theta ? b * theta[n->in[2]->rows > 1 ? s : 0] : 0;
    }
    return a;
}

static void add_theta(const avi_node *n, const parts *a, real b, real *restrict to)
{
    const real *restrict g = n->grad;
    if (n->in[2]->rows == 1) {
        for (int64_t r = 0; r < a->rows; r++) *to += g[r] * b * a->to_mu[r];
        return;
    }
    for (int64_t r = 0; r < a->rows; r++) {
        const real factor = g[r] * b, *restrict each = a->each + r * a->draws;
        for (int64_t s = 0; s < a->draws; s++) to[s] += factor * each[s];
    }
}

static void backward(avi_tape *t, avi_node *n)
{
    const parts a = parts_of(n);
    const real *restrict g = n->grad;
    real *restrict dy = n->in[0]->needs_grad ? avi_tape_grad(t, n->in[0]) : NULL;
    real *restrict dnu = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    if (n->in[2] && n->in[2]->needs_grad)
        add_theta(n, &a, (real)((const avi_scalar_draws *)n->data)->b, avi_tape_grad(t, n->in[2]));
    for (int64_t r = 0; dy && r < a.rows; r++) dy[r] -= g[r] * a.to_mu[r];
    for (int64_t r = 0; dnu && r < a.rows; r++) {
        dnu[2 * r] += g[r] * a.to_mean[r];
        dnu[2 * r + 1] += g[r] * a.to_log_sd[r];
    }
}

/* ---- log N(y; a z + b theta, sd^2) ---- */

/* With d = base - shift - slope eps: the sums over draws of w d^2, w d and w d eps; w d of each draw into `each`,
 * unless NULL. */
static inline void normal_row(const parts *a, real base, real slope, const real *restrict eps, real *restrict each,
                              real *square, real *sum, real *product)
{
#define ADD(type, q, e, x)                                                                                             \
    do {                                                                                                               \
        const type ep_ = *(const type *)(eps + s), d_ = base - *(const type *)(a->shift + s) - slope * ep_;            \
        const type wd_ = *(const type *)(a->weight + s) * d_;                                                          \
        (q) += wd_ * d_;                                                                                               \
        (e) += wd_;                                                                                                    \
        (x) += wd_ * ep_;                                                                                              \
        if (each) *(type *)(each + s) = wd_;                                                                           \
    } while (0)
    vec q = {0}, e = {0}, x = {0};
    short_vec q4 = {0}, e4 = {0}, x4 = {0};
    real q1 = 0, e1 = 0, x1 = 0;
    int64_t s = 0;
    for (; s + LANES <= a->draws; s += LANES) ADD(vec, q, e, x);
    for (; s + FEW <= a->draws; s += FEW) ADD(short_vec, q4, e4, x4);
    for (; s < a->draws; s++) ADD(real, q1, e1, x1);
#undef ADD
    *square = total(q, q4, q1);
    *sum = total(e, e4, e1);
    *product = total(x, x4, x1);
}

void AVI_R(avi_forward_scalar_normal_draws)(avi_tape *t, avi_node *n)
{
    const avi_scalar_draws *p = n->data;
    const real precision = (real)(1 / (p->sd * p->sd)), slope = (real)p->a, constant = (real)log(p->sd) + HALF_LOG_2PI;
    const real *y = n->in[0]->value, *nu = n->in[1]->value, *eps = n->in[3]->value;
    real *value = n->value;
    const parts a = prepare(t, n, precision);
    const bool each = wants_each(n);
    for (int64_t r = 0; r < a.rows; r++) {
        real square, sum, product;
        normal_row(&a, y[r] - slope * nu[2 * r], slope * a.sd[r], eps + r * a.draws, each ? a.each + r * a.draws : NULL,
                   &square, &sum, &product);
        value[r] = R(-0.5) * square - constant;
        a.to_mean[r] = slope * sum;
        a.to_log_sd[r] = slope * a.sd[r] * product;
        a.to_mu[r] = sum;
    }
}

void AVI_R(avi_backward_scalar_normal_draws)(avi_tape *t, avi_node *n) { backward(t, n); }

/* ---- log N(x; theta + z sin z + z, exp(cos z)^2) ---- */

typedef struct wave_values {
    real value[AVI_WAVE_MOST], to_mean[AVI_WAVE_MOST], to_z[AVI_WAVE_MOST];
} wave_values;

/* Draws [first, first + count) of `rows` rows from r. */
static void wave_piece(const avi_node *n, const parts *a, int64_t r, int64_t rows, int64_t first, int64_t count,
                       wave_values *v)
{
    const real *x = n->in[0]->value, *nu = n->in[1]->value, *eps = n->in[3]->value;
    real z[AVI_WAVE_MOST], d[AVI_WAVE_MOST];
    for (int64_t i = 0; i < rows; i++) {
        const real mean = nu[2 * (r + i)], sd = a->sd[r + i], xi = x[r + i];
        const real *restrict e = eps + (r + i) * a->draws + first, *restrict shift = a->shift + first;
        real *restrict zi = z + i * count, *restrict di = d + i * count;
        for (int64_t s = 0; s < count; s++) zi[s] = mean + sd * e[s];
        for (int64_t s = 0; s < count; s++) di[s] = xi - shift[s];
    }
    avi_wave_piece(rows * count, ((const avi_scalar_draws *)n->data)->drop_log_sigma ? R(0.0) : R(1.0), z, d, v->value,
                   v->to_mean, v->to_z);
}

/* Adds row r's draws of a piece, which are values [at, at + count) of it, to the row's sums. */
static void add_wave_row(const avi_node *n, const parts *a, int64_t r, int64_t first, int64_t count,
                         const wave_values *v, int64_t at, bool each)
{
    const real *restrict eps = (const real *)n->in[3]->value + r * a->draws + first;
    const real *restrict w = a->weight + first, *restrict value = v->value + at, *restrict to_mu = v->to_mean + at,
                         *restrict to_z = v->to_z + at;
    real *restrict keep = each ? a->each + r * a->draws + first : NULL;
#define ADD(type, y, m, z, e)                                                                                          \
    do {                                                                                                               \
        const type w_ = *(const type *)(w + s), wm_ = w_ * *(const type *)(to_mu + s);                                 \
        const type wz_ = w_ * *(const type *)(to_z + s);                                                               \
        (y) += w_ * *(const type *)(value + s);                                                                        \
        (m) += wm_;                                                                                                    \
        (z) += wz_;                                                                                                    \
        (e) += wz_ * *(const type *)(eps + s);                                                                         \
        if (keep) *(type *)(keep + s) = wm_;                                                                           \
    } while (0)
    vec y = {0}, m = {0}, z = {0}, e = {0};
    short_vec y4 = {0}, m4 = {0}, z4 = {0}, e4 = {0};
    real y1 = 0, m1 = 0, z1 = 0, e1 = 0;
    int64_t s = 0;
    for (; s + LANES <= count; s += LANES) ADD(vec, y, m, z, e);
    for (; s + FEW <= count; s += FEW) ADD(short_vec, y4, m4, z4, e4);
    for (; s < count; s++) ADD(real, y1, m1, z1, e1);
#undef ADD
    ((real *)n->value)[r] += total(y, y4, y1);
    a->to_mu[r] += total(m, m4, m1);
    a->to_mean[r] += total(z, z4, z1);
    a->to_log_sd[r] += a->sd[r] * total(e, e4, e1);
}

/* Whole rows at a time where they are short, else pieces of one row. */
void AVI_R(avi_forward_wave_draws)(avi_tape *t, avi_node *n)
{
    const parts a = prepare(t, n, 1);
    const int64_t most = AVI_WAVE_MOST, together = a.draws < most ? most / a.draws : 1;
    const bool each = wants_each(n);
    wave_values v;
    memset(n->value, 0, (size_t)a.rows * sizeof(real));
    memset(a.to_mean, 0, 3 * (size_t)a.rows * sizeof(real));
    for (int64_t r = 0; r < a.rows; r += together)
        for (int64_t first = 0; first < a.draws; first += most) {
            const int64_t rows = least(together, a.rows - r), count = least(most, a.draws - first);
            wave_piece(n, &a, r, rows, first, count, &v);
            for (int64_t i = 0; i < rows; i++) add_wave_row(n, &a, r + i, first, count, &v, i * count, each);
        }
}

void AVI_R(avi_backward_wave_draws)(avi_tape *t, avi_node *n) { backward(t, n); }
