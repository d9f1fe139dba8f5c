/* Rows that look alike to the inference function and have different optimal factors. */
#include "diagnose/diagnose.h"
#include "diagnose/regress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pair {
    int64_t a, b; /* rows of the sample */
    double distance, difference, cost;
} pair;

typedef struct labelled {
    const double *x;
    size_t bytes;
    double mark;
    int64_t row;
} labelled;

static int by_values(const void *a, const void *b)
{
    const labelled *x = a, *y = b;
    const int order = memcmp(x->x, y->x, x->bytes);
    if (order) return order;
    if (x->mark != y->mark) return x->mark < y->mark ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_distance(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->a > y->a) - (x->a < y->a);
}

static int by_cost(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->cost != y->cost) return x->cost > y->cost ? -1 : 1;
    return (x->a > y->a) - (x->a < y->a);
}

/* What two rows lose when they share a factor: of curvatures h and k the best common value leaves h k / (h + k) d^2 /
 * 2. */
static void measure(const avi_sample *s, pair *p)
{
    p->difference = p->cost = 0;
    for (int64_t j = 0; j < s->width; j++) {
        const double h = s->metric[p->a * s->width + j], k = s->metric[p->b * s->width + j],
                     d = s->nu[p->a * s->width + j] - s->nu[p->b * s->width + j];
        p->difference = fmax(p->difference, fabs(d) * sqrt(fmin(h, k)));
        p->cost += 0.5 * h * k / (h + k) * d * d;
    }
}

/* Rows [from, end) of the list have equal inputs: their common factor, and each one against its neighbour. */
static void share_factor(const avi_sample *s, const labelled *list, int64_t from, int64_t end, double *shared)
{
    for (int64_t j = 0; j < s->width; j++) {
        double weight = 0, sum = 0;
        for (int64_t i = from; i < end; i++) {
            const int64_t at = list[i].row * s->width + j;
            weight += s->metric[at];
            sum += s->metric[at] * s->nu[at];
        }
        for (int64_t i = from; i < end; i++) shared[list[i].row * s->width + j] = sum / weight;
    }
}

static bool are_equal(const labelled *a, const labelled *b)
{
    return !memcmp(a->x, b->x, a->bytes) && a->mark == b->mark;
}

/* Sets of rows with equal inputs. Pairs of neighbours in them go to `out`; returns how many. */
static int64_t find_ties(const avi_sample *s, int64_t inputs, const double *x, const double *mark, labelled *list,
                         avi_diagnosis *d, double *shared, pair *out)
{
    int64_t pairs = 0;
    for (int64_t i = 0; i < s->rows; i++)
        list[i] = (labelled){x + i * inputs, (size_t)inputs * sizeof *x, mark ? mark[i] : 0, i};
    qsort(list, (size_t)s->rows, sizeof *list, by_values);
    for (int64_t from = 0, end; from < s->rows; from = end) {
        for (end = from + 1; end < s->rows && are_equal(&list[from], &list[end]); end++) {
            out[pairs] = (pair){list[end - 1].row, list[end].row, 0, 0, 0};
            measure(s, &out[pairs++]);
        }
        if (end - from < 2) continue;
        d->tied_rows += end - from;
        share_factor(s, list, from, end, shared);
    }
    return pairs;
}

/* The pairs that are nearest to each other: a twentieth of the rows, at least a few. */
static avi_status find_near(const avi_sample *s, int64_t inputs, double *x, pair *out, int64_t *pairs)
{
    int64_t *nearest = malloc((size_t)s->rows * sizeof *nearest);
    double *distance = malloc((size_t)s->rows * sizeof *distance);
    avi_status status =
        nearest && distance ? AVI_OK : avi_fail_memory((size_t)s->rows * sizeof *distance, "distances of rows");
    avi_standardise(s->rows, inputs, x);
    const avi_regression r = {s->rows, inputs, s->width, x, s->nu, s->metric};
    if (status == AVI_OK) status = avi_nearest(&r, nearest, distance);
    for (int64_t i = 0; i < s->rows && status == AVI_OK; i++) {
        if (nearest[i] < i && nearest[nearest[i]] == i) continue; /* the same pair again */
        out[*pairs] = (pair){i, nearest[i], distance[i], 0, 0};
        measure(s, &out[(*pairs)++]);
    }
    if (status == AVI_OK) qsort(out, (size_t)*pairs, sizeof *out, by_distance);
    const int64_t few = s->rows / 20 > AVI_DIAGNOSE_WITNESSES ? s->rows / 20 : AVI_DIAGNOSE_WITNESSES;
    if (*pairs > few) *pairs = few;
    free(nearest);
    free(distance);
    return status;
}

avi_status avi_diagnosis_compare_rows(const avi_sample *s, int64_t inputs, const double *x, const double *mark,
                                      avi_diagnosis *d, double *shared)
{
    const size_t m = (size_t)s->rows;
    labelled *list = malloc(m * sizeof *list);
    pair *pairs = malloc(m * sizeof *pairs);
    double *copy = malloc(m * (size_t)inputs * sizeof *copy);
    int64_t count = 0;
    avi_status status =
        list && pairs && copy ? AVI_OK : avi_fail_memory(m * (size_t)inputs * sizeof *copy, "the comparison of rows");
    memcpy(shared, s->nu, m * (size_t)s->width * sizeof *shared);
    if (status == AVI_OK) {
        memcpy(copy, x, m * (size_t)inputs * sizeof *copy);
        count = find_ties(s, inputs, x, mark, list, d, shared, pairs);
        if (count) qsort(pairs, (size_t)count, sizeof *pairs, by_cost);
        /* Equal inputs are better witnesses than near ones, where their factors differ. */
        if (!count || !(pairs[0].cost > d->tolerance)) {
            count = 0;
            status = find_near(s, inputs, copy, pairs, &count);
        }
    }
    if (status == AVI_OK) {
        qsort(pairs, (size_t)count, sizeof *pairs, by_cost);
        d->witnesses = count < AVI_DIAGNOSE_WITNESSES ? (int)count : AVI_DIAGNOSE_WITNESSES;
        for (int i = 0; i < d->witnesses; i++)
            d->witness[i] = (avi_witness){
                {s->given[pairs[i].a], s->given[pairs[i].b]}, pairs[i].distance, pairs[i].difference, pairs[i].cost};
    }
    free(list);
    free(pairs);
    free(copy);
    return status;
}

avi_status avi_diagnosis_nearest(const avi_sample *s, int64_t inputs, const double *x, double *fitted, double *left_out)
{
    const size_t row = (size_t)s->width * sizeof *s->nu;
    int64_t *nearest = malloc((size_t)s->rows * sizeof *nearest);
    double *distance = malloc((size_t)s->rows * sizeof *distance);
    const avi_regression r = {s->rows, inputs, s->width, x, s->nu, s->metric};
    avi_status status = nearest && distance ? avi_nearest(&r, nearest, distance)
                                            : avi_fail_memory((size_t)s->rows * sizeof *distance, "nearest rows");
    for (int64_t m = 0; m < s->rows && status == AVI_OK; m++) {
        memcpy(left_out + m * s->width, s->nu + nearest[m] * s->width, row);
        memcpy(fitted + m * s->width, s->nu + (distance[m] > 0 ? m : nearest[m]) * s->width, row);
    }
    free(nearest);
    free(distance);
    return status;
}
