/* Changes to the fields and attributes of a store before it is written, drawn from the bytes of an input. */
#ifndef AVI_TESTS_FORGE_H
#define AVI_TESTS_FORGE_H

#include "avi/store.h"
#include "input.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHANGES = 8, MOST_DEPTH = 40, NEW_FIELDS = 64, ROOM = 24 + NEW_FIELDS, ATTRIBUTES = 40 };

static uint64_t next_word(bytes *b)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word = word << 8 | next(b);
    return word;
}

static double next_real(bytes *b)
{
    static const double odd[] = {0,      -0.0,   -1,     1,      2,      3,    4,   NAN,     INFINITY, -INFINITY, 1e300,
                                 -1e300, 1e-320, 1e-300, 0x1p53, 0x1p63, 1e19, 0.5, DBL_MAX, 3e38,     -1e-30,    1e12};
    const unsigned v = next(b);
    double x;
    if (v < sizeof odd / sizeof *odd) return odd[v];
    const uint64_t word = next_word(b);
    memcpy(&x, &word, sizeof x);
    return x;
}

static int64_t next_int(bytes *b)
{
    static const int64_t odd[] = {
        0, 1, -1, 2, 3, 4, INT64_MAX, INT64_MIN, INT_MAX, (int64_t)INT_MAX + 1, 999999999, 1000000000, -2};
    const unsigned v = next(b);
    return v < sizeof odd / sizeof *odd ? odd[v] : (int64_t)next_word(b);
}

/* A field of the forged file with bytes of its own. */
typedef struct forged {
    avi_field field[ROOM];
    char name[ROOM][2 * MOST_DEPTH + 16];
    void *owned[2 * ROOM];
    int fields, memories;
    avi_attribute attribute[ATTRIBUTES];
    int attributes;
} forged;

static void *own(forged *f, void *memory)
{
    must(memory && f->memories < 2 * ROOM, "memory");
    return f->owned[f->memories++] = memory;
}

static int64_t values_of(const avi_field *f)
{
    int64_t n = 1;
    for (int d = 0; d < f->rank; d++) n *= f->dims[d];
    return n;
}

static size_t bytes_of(const avi_field *f) { return (size_t)values_of(f) * avi_dtype_size(f->type); }

/* Rows that a producer makes, in memory: producer by producer, as the writer asks. */
static void hold_rows(forged *f, int first)
{
    int n = 1;
    void *out[AVI_SUPPLY_FIELDS];
    while (first + n < f->fields && f->field[first + n].supply == f->field[first].supply) n++;
    for (int i = 0; i < n; i++) out[i] = own(f, malloc(bytes_of(&f->field[first + i]) + 1));
    const avi_row_producer *p = f->field[first].supply;
    must(p->rows(p->self, 0, f->field[first].dims[0], out) == AVI_OK, "rows");
    for (int i = 0; i < n; i++) {
        f->field[first + i].data = out[i];
        f->field[first + i].supply = NULL;
    }
}

static void hold_values(forged *f)
{
    for (int i = 0; i < f->fields; i++) {
        avi_field *x = &f->field[i];
        if (x->supply) hold_rows(f, i);
        if (x->text) {
            char *text = own(f, strdup(x->text));
            x->text = text;
            continue;
        }
        void *memory = own(f, malloc(bytes_of(x) + 1));
        if (bytes_of(x)) memcpy(memory, x->data, bytes_of(x));
        x->data = memory;
    }
}

static void set_value(avi_field *x, int64_t at, double real, int64_t integer)
{
    void *to = (void *)(uintptr_t)x->data;
    if (x->type == AVI_F64)
        ((double *)to)[at] = real;
    else if (x->type == AVI_F32)
        ((float *)to)[at] = (float)real;
    else if (x->type == AVI_I64)
        ((int64_t *)to)[at] = integer;
    else
        ((uint8_t *)to)[at] = (uint8_t)integer;
}

static void change_values(bytes *b, avi_field *x)
{
    if (x->text) {
        char *text = (char *)(uintptr_t)x->text;
        const size_t n = strlen(text);
        if (n) text[(next(b) << 8 | next(b)) % n] = (char)(next(b) % 4 ? next(b) : 0);
        return;
    }
    const int64_t n = values_of(x);
    const unsigned how = next(b);
    const int64_t at = n ? (int64_t)(next(b) << 8 | next(b)) % n : 0;
    const double real = next_real(b);
    const int64_t integer = next_int(b);
    for (int64_t i = at; i < n && (i == at || how % 4 == 0); i++) set_value(x, i, real, integer);
}

/* Another shape or type, with as many zeros as it takes. */
static void change_shape(bytes *b, forged *f, avi_field *x)
{
    static const avi_dtype types[] = {AVI_U8, AVI_F32, AVI_F64, AVI_I64};
    if (x->text) return;
    const size_t before = bytes_of(x);
    const unsigned how = next(b);
    if (how % 4 == 0) x->type = types[next(b) % 4];
    if (how % 4 == 1) x->rank = (int)(next(b) % 5);
    for (int d = 0; d < x->rank; d++)
        if (how % 4 > 1 || x->dims[d] == 0) {
            const unsigned v = next(b);
            if (how % 4 != 2 || v % 2) x->dims[d] = v < 250 ? v % 40 : 3000;
        }
    if (bytes_of(x) > (size_t)1 << 20)
        for (int d = 0; d < x->rank; d++) x->dims[d] = x->dims[d] > 9 ? 9 : x->dims[d];
    char *memory = own(f, calloc(bytes_of(x) + 1, 1));
    if (x->data) memcpy(memory, x->data, before < bytes_of(x) ? before : bytes_of(x));
    x->data = memory;
    x->distributed = x->distributed && x->rank > 0;
}

static void change_attribute(bytes *b, forged *f)
{
    if (!f->attributes) return;
    avi_attribute *a = &f->attribute[next(b) % (unsigned)f->attributes];
    switch (next(b) % 4) {
    case 0:
        *a = f->attribute[--f->attributes]; /* gone */
        break;
    case 1:
        a->is_real = !a->is_real && !a->text; /* of another kind */
        a->text = a->text ? NULL : "x";
        break;
    default:
        a->text = NULL;
        if (a->is_real)
            a->real = next_real(b);
        else
            a->integer = next_int(b);
    }
}

/* Groups in groups, or many datasets. */
static void add_fields(bytes *b, forged *f)
{
    const unsigned how = next(b), many = how % 2 ? 1 : 1 + next(b) % (NEW_FIELDS / MOST_CHANGES),
                   depth = next(b) % MOST_DEPTH;
    for (unsigned k = 0; k < many && f->fields < ROOM; k++) {
        char *name = f->name[f->fields];
        size_t at = 0;
        for (unsigned d = 0; d < depth; d++) at += (size_t)snprintf(name + at, sizeof f->name[0] - at, "/g");
        snprintf(name + at, sizeof f->name[0] - at, "/n%d", f->fields);
        f->field[f->fields++] = (avi_field){.path = name,
                                            .type = AVI_F64,
                                            .data = own(f, calloc(1, sizeof(double))),
                                            .description = "",
                                            .units = "",
                                            .axes = ""};
    }
}

static void change(bytes *b, forged *f)
{
    const unsigned what = next(b) % 8;
    if (what == 0) change_attribute(b, f);
    if (what == 1) add_fields(b, f);
    if (what == 0 || what == 1 || !f->fields) return;
    const int i = (int)(next(b) % (unsigned)f->fields), k = (int)(next(b) % (unsigned)f->fields);
    const char *name = f->field[i].path;
    if (what == 2) change_shape(b, f, &f->field[i]);
    if (what == 3) f->field[i] = f->field[--f->fields]; /* gone */
    if (what == 4) {                                    /* one in the other's place */
        f->field[i].path = f->field[k].path;
        f->field[k].path = name;
    }
    if (what > 4) change_values(b, &f->field[i]);
}

#endif
