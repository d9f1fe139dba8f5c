/* Planar flow (Rezende & Mohamed 2015, section 4.1 and appendix A.1): z_0 ~ N(mean, diag(sd^2)), then K layers
 *   z_k = z_{k-1} + u^ tanh(w' z_{k-1} + b),   log q(z_K) = log q(z_0) - sum_k log(1 + (1 - tanh^2) w' u^).
 * A layer is invertible where w' u^ > -1. Its parameters (w~, u, b~) are free: w = w~ + e_j with j = k mod L, b = b~ +
 * an offset of the layer, and u^ = u + (g - c) w / |w|^2 with c = w' u and g = softplus(c + log(e - 1)) - 1 > -1, so
 * that w' u^ = g. At (0, 0, 0) a layer is the identity with a gradient that is not zero, and layers differ.
 *
 * nu = (mean (L), log_sd (L)) and, with flow_parameters = row, the (w~ (L), u (L), b~) of every layer; with shared
 * these are one block that all rows share. */
#include "avi/family.h"
#include "avi/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"inference", "flow_layers", AVI_KEY_INT, "4", 1, 64, NULL, "layers", "layers of the flow"},
    {"inference", "flow_parameters", AVI_KEY_CHOICE, "row", 0, 0, "row | shared", NULL,
     "parameters of the layers: made for every row by the inference function, or one set for all rows"},
};

enum { MOMENT_DRAWS = 1024 };

typedef struct flow {
    int layers;
    bool shared;
    double *z;    /* (L): room for moments */
    double eps[]; /* (MOMENT_DRAWS, L): for moments, always the same; z lies behind */
} flow;

static avi_status create(avi_family *f, const avi_config *config)
{
    const size_t bytes = sizeof(flow) + (size_t)((MOMENT_DRAWS + 1) * f->latent) * sizeof(double);
    flow *w = f->self = malloc(bytes);
    if (!w) return avi_fail_memory(bytes, "the flow");
    w->z = w->eps + MOMENT_DRAWS * f->latent;
    w->layers = (int)avi_config_get_int(config, "inference", "flow_layers");
    w->shared = !strcmp(avi_config_get_string(config, "inference", "flow_parameters"), "shared");
    f->width = 2 * f->latent + (w->shared ? 0 : w->layers * (2 * f->latent + 1));
    /* Pairs of opposite draws: the mean of a flow that is the identity is then exact. */
    avi_normal_f64(avi_stream_make(1, AVI_DRAW_TEST, 0), 0, MOMENT_DRAWS / 2, 0, f->latent, w->eps);
    for (int64_t i = 0; i < MOMENT_DRAWS / 2 * f->latent; i++) w->eps[MOMENT_DRAWS / 2 * f->latent + i] = -w->eps[i];
    return AVI_OK;
}

static avi_status declare(avi_family *f, avi_params *phi)
{
    const flow *w = f->self;
    if (!w->shared) return AVI_OK;
    AVI_TRY(avi_params_add(phi, "flow", w->layers, 2 * f->latent + 1, AVI_INIT_CONSTANT, 0, NULL));
    return avi_params_describe(phi, "flow", "layer, flow_value",
                               "planar layers of the flow: w (L), u (L), b, less their starting values");
}

/* The offset of b in layer k: layers bend at different places from the start. */
static double offset_of(const flow *w, int k) { return w->layers > 1 ? 2.0 * k / (w->layers - 1) - 1 : 0; }

/* 1 at dimension j of L. */
static avi_node *unit(avi_tape *t, int64_t l, int64_t j)
{
    avi_node *n = avi_constant_new(t, 1, l);
    for (int64_t i = 0; i < l; i++) avi_vector_set(avi_tape_precision(t), n->value, i, i == j);
    return n;
}

static const double LOG_E_MINUS_1 = 0.54132485461291805; /* softplus of it is 1 */

/* One layer: z moves, and log_q loses the logarithm of its volume. raw: (w~, u, b~), (B or 1, 2L + 1). */
static avi_node *layer(const avi_family *f, avi_tape *t, int k, avi_node *raw, avi_node *z, avi_node **log_q)
{
    const int64_t l = f->latent;
    avi_node *w = avi_add(t, avi_slice(t, raw, 0, l), unit(t, l, k % l)), *u = avi_slice(t, raw, l, l);
    avi_node *b = avi_scale(t, avi_slice(t, raw, 2 * l, 1), 1, offset_of(f->self, k));
    avi_node *c = avi_row_sum(t, avi_mul(t, w, u)), *norm = avi_row_sum(t, avi_map(t, w, AVI_SQUARE));
    avi_node *g = avi_scale(t, avi_map(t, avi_scale(t, c, 1, LOG_E_MINUS_1), AVI_SOFTPLUS), 1, -1);
    avi_node *inverse = avi_map(t, avi_scale(t, avi_map(t, avi_scale(t, norm, 1, 1e-6), AVI_LOG), -1, 0), AVI_EXP);
    avi_node *up = avi_add(t, u, avi_mul(t, w, avi_mul(t, avi_sub(t, g, c), inverse)));
    /* To the rows of the draws in one piece. */
    avi_node *row = avi_repeat(t, avi_concat(t, avi_concat(t, w, up), avi_concat(t, b, g)), z->rows / raw->rows);
    w = avi_slice(t, row, 0, l);
    avi_node *h = avi_map(t, avi_add(t, avi_row_sum(t, avi_mul(t, z, w)), avi_slice(t, row, 2 * l, 1)), AVI_FN_TANH);
    avi_node *slope = avi_scale(t, avi_map(t, h, AVI_SQUARE), -1, 1);
    avi_node *volume = avi_scale(t, avi_mul(t, slope, avi_slice(t, row, 2 * l + 1, 1)), 1, 1);
    if (log_q) *log_q = avi_sub(t, *log_q, avi_map(t, volume, AVI_LOG));
    return avi_add(t, z, avi_mul(t, avi_slice(t, row, l, l), h));
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **log_q)
{
    const flow *w = f->self;
    const int64_t l = f->latent, values = 2 * l + 1;
    avi_node *base = avi_slice(t, nu, 0, 2 * l), *z = avi_gaussian_draw(t, base, eps);
    if (log_q) *log_q = avi_gaussian_logq(t, base, z);
    for (int k = 0; k < w->layers; k++)
        z = layer(f, t, k, w->shared ? avi_slice_rows(t, own[0], k, 1) : avi_slice(t, nu, 2 * l + k * values, values),
                  z, log_q);
    return z;
}

/* A layer in double, for moments: z (L) moves. */
static void move(const avi_family *f, int k, const double *raw, double *z)
{
    const int64_t l = f->latent;
    double c = 0, norm = 1e-6, a = raw[2 * l] + offset_of(f->self, k);
    for (int64_t i = 0; i < l; i++) {
        const double w = raw[i] + (i == k % l);
        c += w * raw[l + i];
        norm += w * w;
        a += w * z[i];
    }
    const double s = c + LOG_E_MINUS_1, g = (s > 0 ? s + log1p(exp(-s)) : log1p(exp(s))) - 1, h = tanh(a);
    for (int64_t i = 0; i < l; i++) z[i] += (raw[l + i] + (g - c) * (raw[i] + (i == k % l)) / norm) * h;
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    const flow *w = f->self;
    const int64_t l = f->latent, values = 2 * l + 1;
    const double *raw = w->shared ? own[0] : nu + 2 * l;
    double *z = w->z;
    memset(mean, 0, (size_t)l * sizeof *mean);
    memset(log_sd, 0, (size_t)l * sizeof *log_sd); /* squares first, about the base's mean */
    for (int s = 0; s < MOMENT_DRAWS; s++) {
        for (int64_t i = 0; i < l; i++) z[i] = nu[i] + exp(nu[l + i]) * w->eps[s * l + i];
        for (int k = 0; k < w->layers; k++) move(f, k, raw + k * values, z);
        for (int64_t i = 0; i < l; i++) {
            mean[i] += (z[i] - nu[i]) / MOMENT_DRAWS;
            log_sd[i] += (z[i] - nu[i]) * (z[i] - nu[i]) / MOMENT_DRAWS;
        }
    }
    for (int64_t i = 0; i < l; i++) {
        log_sd[i] = 0.5 * log(log_sd[i] - mean[i] * mean[i]);
        mean[i] += nu[i];
    }
}

const avi_family_ops avi_family_flow = {
    .name = "flow",
    .doc = "planar flow on an independent Gaussian, for posteriors that are no Gaussian (Rezende & Mohamed 2015)",
    .keys = keys,
    .key_count = 2,
    .create = create,
    .declare = declare,
    .draw = draw,
    .moment_draws = MOMENT_DRAWS,
    .moments = moments,
};
