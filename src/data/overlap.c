#include "data/overlap.h"

#include "avi/rng.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 1024 };

/* A hash of the numbers of a row, the same whatever the type in memory. `row` (largest_row) is work space. Each number
 * is mixed in whole: avi_row_hash moves bits of a word upwards alone, and those of 0, 1 and other round numbers are at
 * its top, so that different rows of bits had few different hashes. */
static int64_t hash_of(const avi_data *d, int64_t position, double *row)
{
    const int64_t values = avi_data_entries(d, position, 1) * d->shape.width;
    avi_data_fetch_f64(d, position, 1, row);
    uint64_t hash = (uint64_t)values;
    for (int64_t k = 0; k < values; k++) {
        uint64_t word;
        row[k] += 0.0; /* -0 is 0 */
        memcpy(&word, row + k, sizeof word);
        hash = avi_mix64(hash, word);
    }
    return (int64_t)(hash >> 2);
}

/* Values of the largest row that this rank has. */
static int64_t largest_row(const avi_data *d)
{
    int64_t most = 1;
    for (int64_t r = 0; r < d->count; r++) {
        const int64_t n = avi_data_entries(d, d->first + r, 1);
        most = n > most ? n : most;
    }
    return most * d->shape.width;
}

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t count_distinct(const int64_t *sorted, int64_t n)
{
    int64_t distinct = n > 0;
    for (int64_t i = 1; i < n; i++) distinct += sorted[i] != sorted[i - 1];
    return distinct;
}

/* Counts each of the sample once, however many training rows are equal to it. */
static int64_t mark(const avi_data *train, const int64_t *sample, int64_t n, int64_t *marked, double *row)
{
    for (int64_t at = train->first; at < train->first + train->count; at++) {
        const int64_t hash = hash_of(train, at, row);
        const int64_t *hit = bsearch(&hash, sample, (size_t)n, sizeof *sample, compare);
        if (hit) marked[hit - sample] = 1;
    }
    return n;
}

avi_status avi_data_overlap(const avi_data *train, const avi_data *test, avi_comm *comm, int64_t *looked,
                            int64_t *found)
{
    const int64_t rows = test->partition.rows, n = rows < SAMPLE ? rows : SAMPLE;
    int64_t sample[SAMPLE] = {0}, marked[SAMPLE] = {0};
    *looked = *found = 0;
    if (train->feed || test->feed || train->shape.width != test->shape.width) return AVI_OK;
    const int64_t a = largest_row(train), b = largest_row(test);
    const size_t bytes = (size_t)(a > b ? a : b) * sizeof(double);
    double *row = malloc(bytes);
    AVI_TRY(avi_agree_memory(comm, row, bytes, "a row"));
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = i * rows / n;
        if (at >= test->first && at < test->first + test->count) sample[i] = hash_of(test, at, row);
    }
    avi_status status = avi_comm_sum_int64(comm, sample, (size_t)n);
    qsort(sample, (size_t)n, sizeof sample[0], compare);
    if (status == AVI_OK && 10 * count_distinct(sample, n) >= 9 * n) {
        *looked = mark(train, sample, n, marked, row);
        status = avi_comm_max_int64(comm, marked, (size_t)n);
        for (int64_t i = 0; i < n; i++) *found += marked[i] || (i > 0 && marked[i - 1] && sample[i] == sample[i - 1]);
    }
    free(row);
    return status;
}
