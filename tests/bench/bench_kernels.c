/* Nanoseconds a value of the lowest kernels on one core: the best of several rounds, alternating. Adam is held against
 * a triad on as much memory. */
#include "avi/fixed_point.h"
#include "avi/optim.h"
#include "avi/rng.h"
#include "vmath_arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 500000, SMALL = 4096, ROUNDS = 15 };

static struct {
    float *f, *g;
    double *d, *e;
    int64_t *sum;
} buffer;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void report(const char *what, int precision, double best)
{
    printf("%-28s %-6s %6.2f ns\n", what, precision == 1 ? "single" : "double", best * 1e9);
}

static void normals(int64_t rows, int64_t cols)
{
    const int64_t repeat = 1 + MOST / (rows * cols);
    double best[2] = {1, 1};
    for (uint64_t round = 0; round < ROUNDS; round++)
        for (int p = 0; p < 2; p++) {
            avi_stream s = avi_stream_make(1, AVI_DRAW_TEST, round);
            double start = seconds();
            for (int64_t k = 0; k < repeat; k++)
                if (p)
                    avi_normal_f64(s, (uint64_t)(k * rows), rows, 0, cols, buffer.d);
                else
                    avi_normal_f32(s, (uint64_t)(k * rows), rows, 0, cols, buffer.f);
            double each = (seconds() - start) / (double)(repeat * rows * cols);
            best[p] = each < best[p] ? each : best[p];
        }
    char what[64];
    snprintf(what, sizeof what, "normal (%lld, %lld)", (long long)rows, (long long)cols);
    report(what, 1, best[0]);
    report(what, 2, best[1]);
}

static void function(const char *name, void (*f32)(int64_t, const float *, float *),
                     void (*f64)(int64_t, const double *, double *), int positive)
{
    enum { REPEAT = 200 };
    for (int i = 0; i < SMALL; i++) {
        double x = 20.0 * i / SMALL - (positive ? -0.01 : 10.0);
        buffer.f[i] = (float)x;
        buffer.d[i] = x;
    }
    double best[2] = {1, 1};
    for (int round = 0; round < ROUNDS; round++)
        for (int p = 0; p < 2; p++) {
            double start = seconds();
            for (int k = 0; k < REPEAT; k++)
                if (p)
                    f64(SMALL, buffer.d, buffer.e);
                else
                    f32(SMALL, buffer.f, buffer.g);
            double each = (seconds() - start) / (REPEAT * (double)SMALL);
            best[p] = each < best[p] ? each : best[p];
        }
    report(name, 1, best[0]);
    report(name, 2, best[1]);
}

static void exact(int64_t n)
{
    avi_stream s = avi_stream_make(1, AVI_DRAW_TEST, 0);
    avi_normal_f32(s, 0, 1, 0, n, buffer.f);
    avi_normal_f64(s, 0, 1, 0, n, buffer.d);
    double best[4] = {1, 1, 1, 1}, largest = 0;
    const int64_t repeat = 1 + MOST / n;
    for (int round = 0; round < ROUNDS; round++)
        for (int p = 0; p < 4; p++) {
            double start = seconds();
            for (int64_t k = 0; k < repeat; k++) switch (p) {
                case 0:
                    avi_fixed_point_add_f32(buffer.sum, buffer.f, n, 40, &largest);
                    break;
                case 1:
                    avi_fixed_point_add_f64(buffer.sum, buffer.d, n, 40, &largest);
                    break;
                case 2:
                    avi_fixed_point_read_f32(buffer.g, buffer.sum, n, 40);
                    break;
                default:
                    avi_fixed_point_read_f64(buffer.e, buffer.sum, n, 40);
                    break;
                }
            double each = (seconds() - start) / (double)(repeat * n);
            best[p] = each < best[p] ? each : best[p];
        }
    char what[64];
    snprintf(what, sizeof what, "exact add, %lld values", (long long)n);
    report(what, 1, best[0]);
    report(what, 2, best[1]);
    snprintf(what, sizeof what, "exact read, %lld values", (long long)n);
    report(what, 1, best[2]);
    report(what, 2, best[3]);
}

static void triad(int64_t n, float *restrict a, const float *restrict b, const float *restrict c)
{
    for (int64_t k = 0; k < n; k++) a[k] = b[k] + 0.5f * c[k];
}

/* Reads 4 values and writes 3 for each of n; a triad of as many bytes reads 2 and writes 1. */
extern const avi_optim_ops avi_optim_adam;

static int adam(int64_t n)
{
    const avi_optim_ops *ops = &avi_optim_adam;
    const avi_optim o = {.ops = ops, .number = {0.9, 0.999, 1e-8, 0}};
    const avi_optim_update u = {.learning_rate = 1e-3, .scale = 1, .count = 10};
    float *a[4] = {0};
    for (int i = 0; i < 4; i++) {
        a[i] = malloc((size_t)n * sizeof *a[i]);
        if (!a[i]) return 70;
        for (int64_t k = 0; k < n; k++) a[i][k] = 1e-3f * (float)(k % 1000);
    }
    double best[2] = {1, 1};
    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds();
        ops->update[0](&o, &u, n, a[0], a[1], (void *const[]){a[2], a[3]});
        double middle = seconds();
        triad(n, a[0], a[1], a[2]);
        double end = seconds();
        best[0] = middle - start < best[0] ? middle - start : best[0];
        best[1] = end - middle < best[1] ? end - middle : best[1];
    }
    const double bytes = (double)n * sizeof(float), rate[2] = {7 * bytes / best[0] * 1e-9, 3 * bytes / best[1] * 1e-9};
    printf("adam, %-22lld single %6.2f ns %6.1f GB/s, %.2f of a triad's %.1f\n", (long long)n,
           best[0] / (double)n * 1e9, rate[0], rate[0] / rate[1], rate[1]);
    for (int i = 0; i < 4; i++) free(a[i]);
    return 0;
}

int main(void)
{
    buffer.f = calloc(MOST, sizeof *buffer.f);
    buffer.g = calloc(MOST, sizeof *buffer.g);
    buffer.d = calloc(MOST, sizeof *buffer.d);
    buffer.e = calloc(MOST, sizeof *buffer.e);
    buffer.sum = calloc(MOST, sizeof *buffer.sum);
    if (!buffer.f || !buffer.g || !buffer.d || !buffer.e || !buffer.sum) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        return 70;
    }
    const int64_t shapes[][2] = {{64, 100}, {1024, 20}, {1, MOST}, {1000, 7}, {10000, 4}, {10000, 2}, {10000, 1}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) normals(shapes[k][0], shapes[k][1]);
#define FUNCTION(name, positive) function(#name, array_##name##_f32, array_##name##_f64, positive)
    FUNCTION(exp, 0);
    FUNCTION(log, 1);
    FUNCTION(softplus, 0);
    FUNCTION(sigmoid, 0);
    FUNCTION(tanh, 0);
    FUNCTION(sin, 0);
    FUNCTION(cos, 0);
    exact(5000);
    exact(MOST);
    free(buffer.f);
    free(buffer.g);
    free(buffer.d);
    free(buffer.e);
    free(buffer.sum);
    const int status = adam(300000);
    return status ? status : adam(10000000);
}
