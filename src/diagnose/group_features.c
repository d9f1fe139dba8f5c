#include "diagnose/group_features.h"
#include "avi/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COVARIANCES = 128, HASH_BITS = 53 };

static int64_t pairs(int64_t width) { return width * (width + 1) / 2; }

static bool has_covariances(int64_t width) { return pairs(width) <= MOST_COVARIANCES; }

int64_t avi_group_means(int64_t width) { return width + 1; }

int64_t avi_group_features(int64_t width)
{
    return avi_group_means(width) + (has_covariances(width) ? pairs(width) : width);
}

typedef struct member {
    const double *x;
    int64_t width;
} member;

static int by_values(const void *a, const void *b)
{
    const member *p = a, *q = b;
    for (int64_t k = 0; k < p->width; k++)
        if (p->x[k] != q->x[k]) return p->x[k] < q->x[k] ? -1 : 1;
    return 0;
}

/* The same for both signs of 0. */
static uint64_t hash_of(const member *list, int64_t entries)
{
    uint64_t hash = (uint64_t)entries;
    for (int64_t e = 0; e < entries; e++)
        for (int64_t k = 0; k < list[e].width; k++) {
            const double value = list[e].x[k] + 0.0;
            uint64_t bits;
            memcpy(&bits, &value, sizeof bits);
            hash = avi_mix64(hash, bits);
        }
    return hash;
}

static double covariance(const member *list, int64_t entries, const double *mean, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t e = 0; e < entries; e++) sum += (list[e].x[i] - mean[i]) * (list[e].x[j] - mean[j]);
    return sum / (double)entries;
}

/* Sums run over the sorted entries, so that their rounding does not tell in which order these came. */
static void moments(const member *list, int64_t entries, int64_t width, double *out)
{
    double *second = out + avi_group_means(width);
    for (int64_t k = 0; k < width; k++) {
        for (int64_t e = 0; e < entries; e++) out[k] += list[e].x[k];
        out[k] /= (double)entries;
    }
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = has_covariances(width) ? 0 : i; j <= i; j++) *second++ = covariance(list, entries, out, i, j);
}

avi_status avi_group_describe(int64_t entries, int64_t width, const double *entry, double *out, double *mark)
{
    const size_t bytes = ((size_t)entries + 1) * sizeof(member);
    member *list = malloc(bytes);
    if (!list) return avi_fail_memory(bytes, "the entries of a group");
    for (int64_t e = 0; e < entries; e++) list[e] = (member){entry + e * width, width};
    qsort(list, (size_t)entries, sizeof *list, by_values);
    memset(out, 0, (size_t)avi_group_features(width) * sizeof *out);
    if (entries) moments(list, entries, width, out);
    out[width] = log1p((double)entries);
    *mark = (double)(hash_of(list, entries) >> (64 - HASH_BITS));
    free(list);
    return AVI_OK;
}
