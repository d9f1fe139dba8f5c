/* Convolutions by oneDNN and by patches and GEMM, on one core: milliseconds of a pass over a batch, forward and with
 * its gradients, the medians of rounds in turn.
 *
 *     OPENBLAS_NUM_THREADS=1 convolutions [ROUNDS]
 */
#include "avi/comm.h"
#include "avi/nn.h"
#include "avi/tape.h"
#include "base/blas.h"
#include "nn/onednn.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_ROUNDS = 101 };

typedef struct shape {
    const char *name;
    int64_t side, channels, out, kernel, stride, rows;
} shape;

static const shape shapes[] = {
    {"28x28x1 to 32, 4x4/2, 256 rows", 28, 1, 32, 4, 2, 256},
    {"14x14x32 to 64, 4x4/2, 256 rows", 14, 32, 64, 4, 2, 256},
    {"14x14x32 to 64, 4x4/2, 16 rows", 14, 32, 64, 4, 2, 16},
    {"14x14x32 to 64, 4x4/2, 5 rows", 14, 32, 64, 4, 2, 5},
    {"14x14x16 to 16, 4x4/2, 256 rows", 14, 16, 16, 4, 2, 256},
    {"28x28x16 to 16, 3x3/1, 256 rows", 28, 16, 16, 3, 1, 256},
    {"1x64x16 to 32, 1x3/1, 256 rows", 0, 16, 32, 3, 1, 256}, /* a sequence of 64 */
};

typedef struct layer {
    avi_convolution c;
    avi_tape *tape;
    float *x, *w, *b, *dx, *dw, *db;
    int64_t rows;
} layer;

static float *room(int64_t values)
{
    float *v = calloc((size_t)values, sizeof(float));
    if (!v) abort();
    for (int64_t i = 0; i < values; i++) v[i] = (float)((i * 2654435761u >> 7) % 2001) / 1000 - 1;
    return v;
}

static layer make_layer(const shape *s)
{
    layer o = {.rows = s->rows, .tape = avi_tape_create(AVI_PRECISION_SINGLE)};
    const int64_t height = s->side ? s->side : 1, width = s->side ? s->side : 64;
    const avi_view image = {.planes = 1,
                            .height = height,
                            .width = width,
                            .channels = s->channels,
                            .channel_stride = 1,
                            .column_stride = s->channels,
                            .row_stride = width * s->channels,
                            .plane_stride = height * width * s->channels};
    if (!o.tape || !avi_convolution_make(&image, s->out, s->kernel, s->stride, AVI_IDENTITY, &o.c)) abort();
    const int64_t values = s->rows * avi_view_values(&image), weights = s->out * avi_convolution_patch(&o.c);
    o.x = room(values), o.dx = room(values), o.w = room(weights), o.dw = room(weights);
    o.b = room(s->out), o.db = room(s->out);
    return o;
}

static void free_layer(layer *o)
{
    float *rooms[] = {o->x, o->w, o->b, o->dx, o->dw, o->db};
    for (int i = 0; i < 6; i++) free(rooms[i]);
    avi_tape_destroy(&o->tape);
}

/* Seconds forward, then of the gradients too. */
static void measure(layer *o, bool by_onednn, double *forward, double *both)
{
    avi_tape *t = o->tape;
    avi_onednn_use(by_onednn);
    avi_tape_reset(t);
    avi_node *x = avi_parameter(t, o->rows, avi_view_values(&o->c.image), o->x, o->dx),
             *w = avi_parameter(t, o->c.channels, avi_convolution_patch(&o->c), o->w, o->dw),
             *b = avi_parameter(t, 1, o->c.channels, o->b, o->db);
    const double from = avi_seconds();
    avi_node *y = avi_convolve(t, x, w, b, &o->c);
    *forward = avi_seconds() - from;
    avi_node *sum = avi_row_sum(t, y);
    const double back = avi_seconds();
    avi_tape_backward(t, sum, 1);
    *both = *forward + avi_seconds() - back;
}

static double median(double *v, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k - 1] > v[k]; k--) {
            const double other = v[k];
            v[k] = v[k - 1];
            v[k - 1] = other;
        }
    return 1e3 * v[n / 2];
}

static void compare(const shape *s, int rounds)
{
    static double time[4][MOST_ROUNDS];
    layer o = make_layer(s);
    for (int i = -1; i < rounds; i++) { /* the first one warms up */
        const int at = i < 0 ? 0 : i;
        measure(&o, true, &time[0][at], &time[1][at]);
        measure(&o, false, &time[2][at], &time[3][at]);
    }
    double ms[4];
    for (int i = 0; i < 4; i++) ms[i] = median(time[i], rounds);
    const double gflop = 6e-9 * (double)(s->rows * avi_convolution_values(&o.c) * avi_convolution_patch(&o.c));
    printf("%-34s %8.3f %8.3f %6.2f   %8.3f %8.3f %6.2f   %6.1f %6.1f\n", s->name, ms[0], ms[2], ms[0] / ms[2], ms[1],
           ms[3], ms[1] / ms[3], 1e3 * gflop / ms[1], 1e3 * gflop / ms[3]);
    free_layer(&o);
}

int main(int count, char **word)
{
    const int asked = count > 1 ? atoi(word[1]) : 21, rounds = asked < 1             ? 1
                                                               : asked > MOST_ROUNDS ? MOST_ROUNDS
                                                                                     : asked;
    avi_blas_choose_kernels(word);
    avi_blas_one_thread();
    printf("oneDNN %s; %s\nms forward by it, by patches, ratio; with gradients by it, by patches, ratio; GFLOP/s\n",
           avi_onednn_library(), avi_blas_library());
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) compare(&shapes[i], rounds);
    return 0;
}
