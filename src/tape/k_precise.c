/* Row values in double from the matrices that densities stand on (precise.c). Only the form for double is used: `real`
 * is double there, and operands are the floats of the tape or values that are double already. */
#include "avi/vmath.h"
#include "tape/lanes.h"
#include "tape/precise.h"

#define HALF_LOG_2PI R(0.91893853320467274178)

/* sd (rows, dims) = exp(log_sd) of nu (rows, 2 dims). */
void AVI_R(avi_precise_sd)(int64_t rows, int64_t dims, const float *nu, real *restrict sd)
{
    if (dims == 1)
        for (int64_t b = 0; b < rows; b++) sd[b] = (real)nu[2 * b + 1];
    else
        for (int64_t b = 0; b < rows; b++)
            for (int64_t l = 0; l < dims; l++) sd[b * dims + l] = (real)nu[(2 * b + 1) * dims + l];
    for (int64_t k = 0; k < rows * dims; k++) sd[k] = vm_exp(sd[k]);
}

/* log sd, from the sd where draws took a rounded one. */
void AVI_R(avi_precise_log_sd)(int64_t rows, int64_t dims, const float *nu, const real *restrict sd, bool rounded,
                               real *restrict out)
{
    if (rounded)
        for (int64_t k = 0; k < rows * dims; k++) out[k] = vm_log(sd[k]);
    else if (dims == 1)
        for (int64_t b = 0; b < rows; b++) out[b] = (real)nu[2 * b + 1];
    else
        for (int64_t b = 0; b < rows; b++)
            for (int64_t l = 0; l < dims; l++) out[b * dims + l] = (real)nu[(2 * b + 1) * dims + l];
}

void AVI_R(avi_precise_draw)(int64_t rows, int64_t draws, int64_t dims, const float *nu, const real *restrict sd,
                             const real *restrict eps, real *restrict z)
{
    for (int64_t b = 0; b < rows; b++)
        for (int64_t s = b * draws; s < (b + 1) * draws; s++)
            for (int64_t l = 0; l < dims; l++)
                z[s * dims + l] = (real)nu[2 * b * dims + l] + sd[b * dims + l] * eps[s * dims + l];
}

void AVI_R(avi_precise_entropy)(int64_t rows, int64_t dims, const real *log_sd, real *restrict out)
{
    row_totals(log_sd, rows, dims, out);
    for (int64_t b = 0; b < rows; b++) out[b] += (real)dims * (R(0.5) + HALF_LOG_2PI);
}

void AVI_R(avi_precise_kl_std)(int64_t rows, int64_t dims, const float *nu, const real *restrict sd,
                               const real *restrict log_sd, real *restrict out)
{
    if (dims == 1) {
        for (int64_t b = 0; b < rows; b++)
            out[b] = R(0.5) * ((real)nu[2 * b] * (real)nu[2 * b] + sd[b] * sd[b] - 1) - log_sd[b];
        return;
    }
    for (int64_t b = 0; b < rows; b++) {
        const float *restrict m = nu + 2 * b * dims;
        const real *restrict sb = sd + b * dims, *restrict ls = log_sd + b * dims;
#define TERM(l) (R(0.5) * ((real)m[l] * (real)m[l] + sb[l] * sb[l] - 1) - ls[l])
        ROW_SUMS(out + b, 1, dims, TERM);
#undef TERM
    }
}

void AVI_R(avi_precise_logq)(int64_t rows, int64_t draws, int64_t dims, const float *nu, const real *restrict sd,
                             const real *restrict log_sd, const real *restrict z, real *restrict out)
{
    for (int64_t r = 0; r < rows * draws; r++) {
        const int64_t b = r / draws;
        const float *restrict m = nu + 2 * b * dims;
        const real *restrict sb = sd + b * dims, *restrict ls = log_sd + b * dims, *restrict zr = z + r * dims;
#define TERM(l) (R(-0.5) * ((zr[l] - (real)m[l]) / sb[l]) * ((zr[l] - (real)m[l]) / sb[l]) - ls[l])
        ROW_SUMS(out + r, 1, dims, TERM);
#undef TERM
        out[r] -= (real)dims * HALF_LOG_2PI;
    }
}

void AVI_R(avi_precise_std_normal)(int64_t rows, int64_t cols, const real *restrict z, real *restrict out)
{
#define TERM(k) (z[k] * z[k])
    ROW_SUMS(out, rows, cols, TERM);
#undef TERM
    for (int64_t r = 0; r < rows; r++) out[r] = R(-0.5) * out[r] - (real)cols * HALF_LOG_2PI;
}

void AVI_R(avi_precise_normal_sd)(int64_t rows, int64_t cols, const float *restrict x, const float *restrict m,
                                  double sd, real *restrict out)
{
    const real factor = (real)(-0.5 / (sd * sd)), constant = (real)cols * ((real)log(sd) + HALF_LOG_2PI);
#define TERM(k) (((real)x[k] - (real)m[k]) * ((real)x[k] - (real)m[k]))
    ROW_SUMS(out, rows, cols, TERM);
#undef TERM
    for (int64_t r = 0; r < rows; r++) out[r] = factor * out[r] - constant;
}

/* term: work of cols values. */
void AVI_R(avi_precise_normal)(int64_t rows, int64_t cols, const float *restrict x, const float *restrict m,
                               const float *restrict log_sd, real *restrict term, real *restrict out)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *restrict ls = log_sd + r * cols;
        for (int64_t k = 0; k < cols; k++) {
            const real u = ((real)x[r * cols + k] - (real)m[r * cols + k]) * vm_exp(-(real)ls[k]);
            term[k] = R(-0.5) * u * u - (real)ls[k];
        }
        row_totals(term, 1, cols, out + r);
        out[r] -= (real)cols * HALF_LOG_2PI;
    }
}

/* log N(y; a u + b theta, sd^2) of every draw: y (rows), u (rows * draws), shift = b theta (draws). */
void AVI_R(avi_precise_scalar)(int64_t rows, int64_t draws, const real *restrict y, const real *restrict u,
                               const real *restrict shift, double a, double sd, real *restrict out)
{
    const real slope = (real)a, factor = (real)(-0.5 / (sd * sd)), constant = (real)log(sd) + HALF_LOG_2PI;
    for (int64_t b = 0; b < rows; b++)
        for (int64_t s = 0; s < draws; s++) {
            const real e = y[b] - shift[s] - slope * u[b * draws + s];
            out[b * draws + s] = factor * e * e - constant;
        }
}

enum { FEW_DRAWS = 4, PIECE = 128 };

typedef struct scalar_rows {
    const float *y, *nu;                   /* (rows), (rows, 2) */
    const real *sd, *eps, *shift, *weight; /* (rows), (rows, draws), (draws), (draws) or NULL */
    const float *drawn;                    /* (rows, draws) where eps is NULL */
    int64_t draws;
    real slope;
} scalar_rows;

/* Squares of few draws, side by side over rows. */
static void squares_of_few(const scalar_rows *p, int64_t rows, real *restrict out)
{
    const float *restrict y = p->y, *restrict nu = p->nu;
    const real *restrict sd = p->sd, slope = p->slope;
    real base[PIECE], spread[PIECE];
    for (int64_t b = 0; b < rows; b++) base[b] = (real)y[b] - slope * (real)nu[2 * b];
    for (int64_t b = 0; b < rows; b++) spread[b] = slope * sd[b];
    for (int64_t b = 0; b < rows; b++) out[b] = 0;
    for (int64_t s = 0; s < p->draws; s++) {
        const real shift = p->shift[s], w = p->weight ? p->weight[s] : 1 / (real)p->draws, *restrict e = p->eps + s;
        for (int64_t b = 0; b < rows; b++) {
            const real d = base[b] - shift - spread[b] * e[b * p->draws];
            out[b] += w * d * d;
        }
    }
}

/* eps as floats where they are draws, as doubles where they are points. */
static real squares_of_many(const scalar_rows *p)
{
    const real base = (real)p->y[0] - p->slope * (real)p->nu[0], spread = p->slope * p->sd[0];
    const real *restrict shift = p->shift, *restrict weight = p->weight;
    real sum;
#define TERM(s)     ((base - shift[s] - spread * (real)e[s]) * (base - shift[s] - spread * (real)e[s]))
#define WEIGHTED(s) (weight[s] * TERM(s))
    if (weight) {
        const real *restrict e = p->eps;
        LANE_SUM(sum, 0, p->draws, WEIGHTED);
    } else if (p->eps) {
        const real *restrict e = p->eps;
        LANE_SUM(sum, 0, p->draws, TERM);
    } else {
        const float *restrict e = p->drawn;
        LANE_SUM(sum, 0, p->draws, TERM);
    }
#undef WEIGHTED
#undef TERM
    return weight ? sum : sum / (real)p->draws;
}

/* Its mean over the draws at u = mean + sd eps; weight (draws) or NULL: all alike. */
void AVI_R(avi_precise_scalar_draws)(int64_t rows, int64_t draws, const float *y, const float *nu, const real *sd_q,
                                     const real *eps, const float *drawn, const real *shift, const real *weight,
                                     double a, double sd, real *restrict out)
{
    const real factor = (real)(-0.5 / (sd * sd)), constant = (real)log(sd) + HALF_LOG_2PI;
    const bool few = draws <= FEW_DRAWS && eps;
    const int64_t step = few ? PIECE : 1;
    for (int64_t b = 0; b < rows; b += step) {
        const int64_t count = rows - b < step ? rows - b : step;
        const scalar_rows p = {.y = y + b,
                               .nu = nu + 2 * b,
                               .sd = sd_q + b,
                               .eps = eps ? eps + b * draws : NULL,
                               .shift = shift,
                               .weight = weight,
                               .drawn = drawn + b * draws,
                               .draws = draws,
                               .slope = (real)a};
        if (few)
            squares_of_few(&p, count, out + b);
        else
            out[b] = squares_of_many(&p);
    }
    for (int64_t b = 0; b < rows; b++) out[b] = factor * out[b] - constant;
}

void AVI_R(avi_precise_draw_mean)(int64_t rows, int64_t draws, const real *restrict a, const double *weight,
                                  real *restrict out)
{
    for (int64_t b = 0; b < rows; b++) {
        const real *restrict v = a + b * draws;
#define TERM(s)     (v[s])
#define WEIGHTED(s) ((real)weight[s] * v[s])
        if (weight)
            LANE_SUM(out[b], 0, draws, WEIGHTED);
        else
            LANE_SUM(out[b], 0, draws, TERM);
#undef WEIGHTED
#undef TERM
        if (!weight) out[b] /= (real)draws;
    }
}
