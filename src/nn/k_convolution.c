/* Convolutions and transposed convolutions: by oneDNN where that is for it (onednn.h), else patches, then GEMM. A few
 * rows at a time, so that their patches stay in cache and take little memory; backward gathers them once more. Rows of
 * a tile are taken by themselves where a sink takes gradients tile by tile: what a tile owes then does not depend on
 * the rows beside it. oneDNN has no such care to take but for gradients of weights, since it takes rows one by one. */
#include "avi/kernel.h"
#include "nn/convolution.h"
#include "nn/onednn.h"
#include "tape/activation.h"
#include "tape/tiles.h"

#include <cblas.h>
#include <string.h>

#if AVI_SINGLE
#define GEMM cblas_sgemm
#else
#define GEMM cblas_dgemm
#endif

enum { PATCHES = 1 << 17 /* values at once, unless a row has more */ };

/* Sizes, and the pieces into which the rows are cut: tiles, and within them chunks. */
typedef struct plan {
    const avi_convolution *c;
    const avi_gradient_sink *sink;       /* NULL: all rows are one tile */
    int64_t pixels, patch, small, image; /* of the small image; values of a patch and of a row on either side */
    int64_t rows, chunk, draws;
    int tiles;
    real *patches;   /* (chunk, pixels, patch) */
    avi_onednn *one; /* NULL, as always in double precision: patches and GEMM do it */
} plan;

static plan make_plan(avi_tape *t, const avi_node *n, bool transposed)
{
    const avi_convolution *c = n->data;
    plan p = {.c = c, .sink = avi_tape_tile_sink(t), .rows = n->rows, .tiles = 1};
    p.pixels = c->height * c->width;
    p.patch = avi_convolution_patch(c);
    p.small = avi_convolution_values(c);
    p.image = avi_view_values(&c->image);
    p.chunk = PATCHES / (p.pixels * p.patch);
    if (p.chunk < 1) p.chunk = 1;
    if (p.chunk > n->rows) p.chunk = n->rows;
    if (p.sink) {
        p.tiles = p.sink->tiles;
        p.draws = tiles_draws(p.sink, n->rows, "convolution");
    }
    p.patches = avi_tape_alloc(t, p.chunk * p.pixels * p.patch);
    p.one = AVI_SINGLE ? avi_onednn_of(c, transposed) : NULL;
    return p;
}

static int64_t rows_of_tile(const plan *p, int i)
{
    return p->sink ? tiles_rows(p->sink, p->rows, p->draws, i) : p->rows;
}

/* C (m, n) = A B + beta C, of which A or B may be transposed. */
static void multiply(CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b, int64_t m, int64_t n, int64_t k, const real *left,
                     const real *right, real beta, real *out)
{
    GEMM(CblasRowMajor, a, b, (int)m, (int)n, (int)k, 1, left, (int)(a == CblasTrans ? m : k), right,
         (int)(b == CblasTrans ? k : n), beta, out, (int)n);
}

/* ---- gradients of weights and biases ---- */

/* Where what a tile owes to a leaf is added up: in a place of its own that goes to the sink, or where the leaf says. */
typedef struct debt {
    avi_node *leaf;
    bool apart; /* tile by tile */
    bool fresh; /* nothing has been added yet */
    real *sum;  /* NULL: no gradient is wanted */
} debt;

static debt open_debt(avi_tape *t, const plan *p, avi_node *leaf)
{
    debt d = {.leaf = leaf, .apart = p->sink && leaf->in_sink};
    if (!leaf->needs_grad) return d;
    if (d.apart)
        d.sum = avi_tape_alloc(t, leaf->rows * leaf->cols);
    else
        d.sum = avi_tape_affine_grad(t, leaf, &d.fresh);
    return d;
}

static void begin_tile(debt *d)
{
    if (d->apart) d->fresh = true;
}

static void end_tile(const plan *p, const debt *d)
{
    if (d->sum && d->apart) p->sink->values(p->sink->context, d->leaf->size[0], d->leaf->rows * d->leaf->cols, d->sum);
}

/* What the rows of a tile owe to the weights, by oneDNN: of how many of them. The rest is left to GEMM. */
static int64_t one_to_weights(const plan *p, int64_t rows, const real *image, const real *small, debt *weight)
{
    const int64_t done = p->one && weight->sum ? rows - rows % AVI_ONEDNN_WEIGHTS : 0;
    if (done == 0) return 0;
    avi_onednn_to_weights(p->one, done, image, small, weight->fresh, weight->sum);
    weight->fresh = false;
    return done;
}

/* Rows from r that are taken together: a chunk, which does not go over `done`. */
static int64_t next_rows(const plan *p, int64_t r, int64_t rows, int64_t done)
{
    const int64_t end = r < done ? done : rows;
    return end - r < p->chunk ? end - r : p->chunk;
}

static void zero_if_fresh(debt *d)
{
    if (d->fresh) memset(d->sum, 0, (size_t)(d->leaf->rows * d->leaf->cols) * sizeof *d->sum);
    d->fresh = false;
}

/* ---- convolution: the image is x ---- */

void AVI_R(avi_forward_convolution)(avi_tape *t, avi_node *n)
{
    const plan p = make_plan(t, n, false);
    const avi_convolution *c = p.c;
    const real *x = n->in[0]->value, *bias = n->in[2]->value;
    real *y = n->value;
    for (int64_t k = 0; k < n->rows * p.pixels; k++) memcpy(y + k * c->channels, bias, (size_t)c->channels * sizeof *y);
    if (p.one) avi_onednn_to_small(p.one, n->rows, n->in[1]->value, x, y);
    for (int i = 0; i < p.tiles && !p.one; i++)
        for (int64_t r = 0, rows = rows_of_tile(&p, i), m; r < rows; r += m) {
            m = rows - r < p.chunk ? rows - r : p.chunk;
            AVI_R(avi_patches_gather)(c, m, x, p.patches);
            multiply(CblasNoTrans, CblasTrans, m * p.pixels, c->channels, p.patch, p.patches, n->in[1]->value, 1, y);
            x += m * p.image;
            y += m * p.small;
        }
    if (activation_keeps(c->activation) && n->needs_grad) n->aux = avi_tape_alloc(t, n->rows * n->cols);
    activation_apply(c->activation, n->value, n->aux, n->rows * n->cols);
}

static void add_columns(const real *restrict g, int64_t rows, int64_t cols, real *restrict sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < cols; k++) sum[k] += g[r * cols + k];
}

void AVI_R(avi_backward_convolution)(avi_tape *t, avi_node *n)
{
    const plan p = make_plan(t, n, false);
    const avi_convolution *c = p.c;
    debt weight = open_debt(t, &p, n->in[1]), bias = open_debt(t, &p, n->in[2]);
    const real *x = n->in[0]->value;
    real *g = n->grad, *dx = avi_tape_grad(t, n->in[0]); /* g becomes the gradient before the activation, in place */
    activation_derive(c->activation, n->value, n->aux, g, n->rows * n->cols);
    if (dx && p.one) {
        avi_onednn_to_image(p.one, n->rows, n->in[1]->value, g, dx);
        dx = NULL; /* done */
    }
    for (int i = 0; i < p.tiles; i++) {
        begin_tile(&weight);
        begin_tile(&bias);
        const int64_t rows = rows_of_tile(&p, i), done = one_to_weights(&p, rows, x, g, &weight);
        for (int64_t r = 0, m; r < rows; r += m) {
            m = next_rows(&p, r, rows, done);
            if (weight.sum && r >= done) {
                AVI_R(avi_patches_gather)(c, m, x, p.patches);
                multiply(CblasTrans, CblasNoTrans, c->channels, p.patch, m * p.pixels, g, p.patches,
                         weight.fresh ? 0 : 1, weight.sum);
                weight.fresh = false;
            }
            if (bias.sum) {
                zero_if_fresh(&bias);
                add_columns(g, m * p.pixels, c->channels, bias.sum);
            }
            if (dx) {
                multiply(CblasNoTrans, CblasNoTrans, m * p.pixels, p.patch, c->channels, g, n->in[1]->value, 0,
                         p.patches);
                AVI_R(avi_patches_add)(c, m, p.patches, dx);
                dx += m * p.image;
            }
            x += m * p.image;
            g += m * p.small;
        }
        end_tile(&p, &weight);
        end_tile(&p, &bias);
    }
}

/* ---- transposed: the image is y ---- */

/* Every pixel of `rows` images = the bias of its channel; or the sums of a channel's pixels are added to `sum`. */
static void spread_bias(const avi_view *v, int64_t rows, const real *bias, real *image)
{
    for (int64_t r = 0; r < rows; r++, image += avi_view_values(v))
        for (int64_t y = 0; y < v->height; y++)
            for (int64_t x = 0; x < v->width; x++)
                for (int64_t k = 0; k < v->channels; k++)
                    image[y * v->row_stride + x * v->column_stride + k * v->channel_stride] = bias[k];
}

static void sum_bias(const avi_view *v, int64_t rows, const real *image, real *sum)
{
    for (int64_t r = 0; r < rows; r++, image += avi_view_values(v))
        for (int64_t y = 0; y < v->height; y++)
            for (int64_t x = 0; x < v->width; x++)
                for (int64_t k = 0; k < v->channels; k++)
                    sum[k] += image[y * v->row_stride + x * v->column_stride + k * v->channel_stride];
}

void AVI_R(avi_forward_transposed)(avi_tape *t, avi_node *n)
{
    const plan p = make_plan(t, n, true);
    const avi_convolution *c = p.c;
    const real *x = n->in[0]->value;
    real *y = n->value;
    spread_bias(&c->image, n->rows, n->in[2]->value, y);
    if (p.one) avi_onednn_to_image(p.one, n->rows, n->in[1]->value, x, y);
    for (int i = 0; i < p.tiles && !p.one; i++)
        for (int64_t r = 0, rows = rows_of_tile(&p, i), m; r < rows; r += m) {
            m = rows - r < p.chunk ? rows - r : p.chunk;
            multiply(CblasNoTrans, CblasTrans, m * p.pixels, p.patch, c->channels, x, n->in[1]->value, 0, p.patches);
            AVI_R(avi_patches_add)(c, m, p.patches, y);
            x += m * p.small;
            y += m * p.image;
        }
    if (activation_keeps(c->activation) && n->needs_grad) n->aux = avi_tape_alloc(t, n->rows * n->cols);
    activation_apply(c->activation, n->value, n->aux, n->rows * n->cols);
}

void AVI_R(avi_backward_transposed)(avi_tape *t, avi_node *n)
{
    const plan p = make_plan(t, n, true);
    const avi_convolution *c = p.c;
    debt weight = open_debt(t, &p, n->in[1]), bias = open_debt(t, &p, n->in[2]);
    const real *x = n->in[0]->value;
    real *g = n->grad, *dx = avi_tape_grad(t, n->in[0]);
    activation_derive(c->activation, n->value, n->aux, g, n->rows * n->cols);
    if (dx && p.one) {
        avi_onednn_to_small(p.one, n->rows, n->in[1]->value, g, dx);
        dx = NULL; /* done */
    }
    for (int i = 0; i < p.tiles; i++) {
        begin_tile(&weight);
        begin_tile(&bias);
        const int64_t rows = rows_of_tile(&p, i), done = one_to_weights(&p, rows, g, x, &weight);
        for (int64_t r = 0, m; r < rows; r += m) {
            m = next_rows(&p, r, rows, done);
            if (dx || (weight.sum && r >= done)) AVI_R(avi_patches_gather)(c, m, g, p.patches);
            if (weight.sum && r >= done) {
                multiply(CblasTrans, CblasNoTrans, p.patch, c->channels, m * p.pixels, p.patches, x,
                         weight.fresh ? 0 : 1, weight.sum);
                weight.fresh = false;
            }
            if (bias.sum) {
                zero_if_fresh(&bias);
                sum_bias(&c->image, m, g, bias.sum);
            }
            if (dx) {
                multiply(CblasNoTrans, CblasNoTrans, m * p.pixels, c->channels, p.patch, p.patches, n->in[1]->value, 1,
                         dx);
                dx += m * p.small;
            }
            x += m * p.small;
            g += m * p.image;
        }
        end_tile(&p, &weight);
        end_tile(&p, &bias);
    }
}
