/* Builders of rows in segments: check shapes, fill the node, run forward. */
#include "tape/internal.h"

avi_node *avi_gather_rows(avi_tape *t, avi_node *a, int64_t rows, const int64_t *row)
{
    for (int64_t r = 0; r < rows; r++)
        avi_tape_require(row[r] >= 0 && row[r] < a->rows, "gather_rows", "a row out of range", a, NULL);
    avi_node *n = avi_tape_node(t, &avi_op_gather_rows, rows, a->cols, 1, &a);
    n->runs = row;
    return avi_tape_run(t, n);
}

static avi_node *segments_of(avi_tape *t, avi_node *a, int64_t segments, const int64_t *first, bool mean)
{
    bool fits = first[0] == 0 && first[segments] == a->rows;
    for (int64_t b = 0; b < segments && fits; b++) fits = first[b] <= first[b + 1];
    avi_tape_require(fits, "segment_sum", "the segments are not all rows of a, in order", a, NULL);
    avi_node *n = avi_tape_node(t, &avi_op_segment_sum, segments, a->cols, 1, &a);
    n->runs = first;
    n->size[0] = mean;
    return avi_tape_run(t, n);
}

void avi_set_segments(avi_node *leaf, const int64_t *first)
{
    avi_tape_require(!leaf->op, "set_segments", "the node is no leaf, and has index arrays of its own", leaf, NULL);
    leaf->runs = first;
}

const int64_t *avi_segments(const avi_node *leaf) { return leaf->op ? NULL : leaf->runs; }

avi_node *avi_segment_sum(avi_tape *t, avi_node *a, int64_t segments, const int64_t *first)
{
    return segments_of(t, a, segments, first, false);
}

avi_node *avi_segment_mean(avi_tape *t, avi_node *a, int64_t segments, const int64_t *first)
{
    return segments_of(t, a, segments, first, true);
}
