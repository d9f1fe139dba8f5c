/* The file that the store tests write and read: every kind of dataset, values a closed form of their place. store.py
 * holds the same formulas. */
#ifndef STORE_SAMPLE_H
#define STORE_SAMPLE_H

#include "avi/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_FIELDS = 11, SAMPLE_ATTRIBUTES = 6, SAMPLE_ROWS = 103, SAMPLE_LONG = 100000 };

static const char sample_ini[] = "[run]\nseed = 1 ; \xc3\xa9t\xc3\xa9\n";

typedef struct sample {
    avi_field fields[SAMPLE_FIELDS];
    avi_attribute attributes[SAMPLE_ATTRIBUTES];
    char argv[SAMPLE_LONG + 1];
} sample;

/* Value k of dataset i, counted over the whole dataset in C order. */
static double sample_value(const avi_field *f, int i, int64_t k)
{
    switch (f->type) {
    case AVI_U8:
        return (double)((k * 7 + i) % 251);
    case AVI_F32:
        return (double)(k % 4096) / 8 - i;
    case AVI_F64:
        return (double)k / 3 + i;
    case AVI_I64:
        return (double)(k * k - 1000 * i);
    }
    return 0;
}

static int64_t sample_width(const avi_field *f)
{
    int64_t n = 1;
    for (int d = 1; d < f->rank; d++) n *= f->dims[d];
    return n;
}

/* Rows of the field on this rank. */
static void sample_slab(const avi_field *f, avi_comm *comm, int64_t *first, int64_t *count)
{
    const int64_t rows = f->rank ? f->dims[0] : 1;
    const int size = avi_comm_size(comm), rank = avi_comm_rank(comm);
    *first = f->distributed ? avi_slab_first(rows, size, rank) : 0;
    *count = f->distributed ? avi_slab_first(rows, size, rank + 1) - *first : rows;
}

static void sample_set(const avi_field *f, int i, int64_t first, int64_t values, void *out)
{
    for (int64_t k = 0; k < values; k++) {
        const double v = sample_value(f, i, first + k);
        if (f->type == AVI_U8) ((uint8_t *)out)[k] = (uint8_t)v;
        if (f->type == AVI_F32) ((float *)out)[k] = (float)v;
        if (f->type == AVI_F64) ((double *)out)[k] = v;
        if (f->type == AVI_I64) ((int64_t *)out)[k] = (int64_t)v;
    }
}

static const avi_field sample_fields[SAMPLE_FIELDS] = {
    {.path = "/local/mean",
     .type = AVI_F32,
     .rank = 2,
     .dims = {SAMPLE_ROWS, 3},
     .distributed = true,
     .description = "mean",
     .units = "1",
     .axes = "row, dimension"},
    {.path = "/local/index", .type = AVI_I64, .rank = 1, .dims = {SAMPLE_ROWS}, .distributed = true, .axes = "row"},
    {.path = "/local/pixels",
     .type = AVI_U8,
     .rank = 3,
     .dims = {SAMPLE_ROWS, 5, 7},
     .distributed = true,
     .axes = "row, y, x"},
    {.path = "/global/w",
     .type = AVI_F64,
     .rank = 2,
     .dims = {4, 6},
     .description = "weights",
     .units = "1",
     .axes = "out, in"},
    {.path = "/global/loss", .type = AVI_F64, .rank = 0, .description = "loss", .units = "nats"},
    {.path = "/few", .type = AVI_F64, .rank = 2, .dims = {2, 2}, .distributed = true},
    {.path = "/empty/rows", .type = AVI_F32, .rank = 2, .dims = {0, 4}, .distributed = true},
    {.path = "/empty/columns", .type = AVI_F32, .rank = 2, .dims = {5, 0}, .distributed = true},
    {.path = "/empty/whole", .type = AVI_I64, .rank = 1, .dims = {0}},
    {.path = "/config/ini", .text = sample_ini, .description = "the text as given", .units = "", .axes = ""},
    {.path = "/config/none", .text = ""},
};

static void sample_free(sample *s)
{
    for (int i = 0; i < SAMPLE_FIELDS; i++) free((void *)(uintptr_t)s->fields[i].data);
    free(s);
}

static sample *sample_make(avi_comm *comm)
{
    sample *s = calloc(1, sizeof *s);
    if (!s) exit(70);
    memcpy(s->fields, sample_fields, sizeof sample_fields);
    for (int i = 0; i < SAMPLE_FIELDS; i++) {
        avi_field *f = &s->fields[i];
        int64_t first, count;
        if (f->text) continue;
        sample_slab(f, comm, &first, &count);
        void *data = calloc((size_t)(count * sample_width(f)) + 1, 8);
        if (!data) exit(70);
        sample_set(f, i, first * sample_width(f), count * sample_width(f), data);
        f->data = data;
    }
    memset(s->argv, 'x', SAMPLE_LONG);
    s->attributes[0] = (avi_attribute){.group = "/", .name = "format", .text = "avi_mpi test"};
    s->attributes[1] = (avi_attribute){.group = "/", .name = "nothing", .text = ""};
    s->attributes[2] = (avi_attribute){.group = "/provenance", .name = "argv", .text = s->argv};
    s->attributes[3] = (avi_attribute){.group = "/provenance", .name = "seed", .integer = INT64_C(-9007199254740993)};
    s->attributes[4] = (avi_attribute){.group = "/provenance/more", .name = "rate", .is_real = true, .real = 0.1};
    s->attributes[5] = (avi_attribute){.group = "/local/mean", .name = "draws", .integer = 3};
    return s;
}

/* Collective. Number of mistakes found on this rank, each told. */
static int sample_check(avi_comm *comm, const char *path)
{
    int wrong = 0;
    avi_store *store;
#define SAMPLE_SAY(cond, ...)                                                                                          \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            wrong++;                                                                                                   \
            fprintf(stderr, "rank %d: ", avi_comm_rank(comm));                                                         \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, " [%s]\n", avi_error_text());                                                              \
        }                                                                                                              \
    } while (0)
    if (avi_store_open(comm, path, &store) != AVI_OK) {
        fprintf(stderr, "%s\n", avi_error_text());
        return 1;
    }
    for (int i = 0; i < SAMPLE_FIELDS; i++) {
        for (int whole = 0; whole < 2; whole++) { /* by slabs, then whole on every rank */
            avi_field f = sample_fields[i];
            int64_t first, count, dims[4];
            avi_dtype type;
            int rank;
            if (f.text || (!whole && f.rank == 0)) continue;
            f.distributed = !whole;
            sample_slab(&f, comm, &first, &count);
            SAMPLE_SAY(avi_store_shape(store, f.path, &type, &rank, dims) == AVI_OK && type == f.type &&
                           rank == f.rank && memcmp(dims, f.dims, (size_t)rank * 8) == 0,
                       "%s: shape", f.path);
            const size_t bytes = (size_t)(count * sample_width(&f)) * avi_dtype_size(f.type);
            char *got = calloc(bytes + 1, 1), *want = calloc(bytes + 1, 1);
            if (!got || !want) exit(70);
            got[bytes] = 'e';
            sample_set(&f, i, first * sample_width(&f), count * sample_width(&f), want);
            SAMPLE_SAY(avi_store_read(store, f.path, f.type, f.rank, f.dims, f.distributed, got) == AVI_OK, "%s: read",
                       f.path);
            SAMPLE_SAY(memcmp(got, want, bytes) == 0 && got[bytes] == 'e', "%s: values", f.path);
            free(got);
            free(want);
        }
    }
    char *text = NULL;
    int64_t n = 0;
    double x = 0;
    SAMPLE_SAY(avi_store_read_text(store, "/config/ini", &text) == AVI_OK && strcmp(text, sample_ini) == 0, "text");
    free(text);
    SAMPLE_SAY(avi_store_read_text(store, "/config/none", &text) == AVI_OK && *text == '\0', "empty text");
    free(text);
    SAMPLE_SAY(avi_store_attribute_text(store, "/", "format", &text) == AVI_OK && strcmp(text, "avi_mpi test") == 0,
               "format");
    free(text);
    SAMPLE_SAY(avi_store_attribute_text(store, "/", "nothing", &text) == AVI_OK && *text == '\0', "nothing");
    free(text);
    SAMPLE_SAY(avi_store_attribute_text(store, "/provenance", "argv", &text) == AVI_OK && strlen(text) == SAMPLE_LONG,
               "argv");
    free(text);
    SAMPLE_SAY(avi_store_attribute_int(store, "/provenance", "seed", &n) == AVI_OK && n == INT64_C(-9007199254740993),
               "seed");
    SAMPLE_SAY(avi_store_attribute_real(store, "/provenance/more", "rate", &x) == AVI_OK && x == 0.1, "rate");
    SAMPLE_SAY(avi_store_attribute_int(store, "/local/mean", "draws", &n) == AVI_OK && n == 3, "draws");
    avi_store_close(&store);
    return wrong;
}

#endif
