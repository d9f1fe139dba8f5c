#include "source/holdout.h"
#include "avi/partition.h"
#include "data/ragged.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8 << 20, LISTED = 256, SPARSE = 64 /* of so many rows one is wanted: each is read by itself */ };

/* ---- which rows ---- */

/* Run k of the rows is [avi_slab_first(rows, held, k), ...); one of its rows is held. */
static int64_t run_first(const avi_holdout *h, int64_t k)
{
    __extension__ typedef __int128 wide;
    return (int64_t)((wide)k * h->rows / h->held);
}

int64_t avi_holdout_row(const avi_holdout *h, int64_t k)
{
    if (h->in_order) return h->rows - h->held + k;
    const int64_t first = run_first(h, k), size = run_first(h, k + 1) - first;
    return first + (int64_t)(avi_mix64(avi_mix64(h->seed, 0x686f6c646f7574), (uint64_t)k) % (uint64_t)size);
}

int64_t avi_holdout_other(const avi_holdout *h, int64_t j)
{
    if (h->in_order) return j;
    /* Before run k there are run_first(k) - k other rows: the last run for which these are at most j has row j. */
    int64_t low = 0, high = h->held;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (run_first(h, middle) - middle <= j)
            low = middle;
        else
            high = middle;
    }
    const int64_t row = run_first(h, low) + (j - (run_first(h, low) - low));
    return row >= avi_holdout_row(h, low) ? row + 1 : row;
}

/* ---- a source of one part ---- */

typedef struct part {
    avi_source_ops ops; /* those of the whole, with other reads */
    avi_source *whole;
    avi_holdout rows;
    bool held;
    int64_t *first_entry; /* of ragged rows: (rows + 1) of this part; owned */
    int64_t next;         /* of the whole that is read in order: its next row */
    unsigned char *room;  /* a block of its rows */
    int64_t room_rows;
} part;

static int64_t row_of(const part *p, int64_t i)
{
    return p->held ? avi_holdout_row(&p->rows, i) : avi_holdout_other(&p->rows, i);
}

/* The entry of the whole that entry e of row `row` of this part is. */
static int64_t entry_of(const part *p, int64_t row, int64_t e)
{
    return p->whole->first_entry[row_of(p, row)] + (e - p->first_entry[row]);
}

static int64_t row_in_whole(const avi_source *s, int64_t row)
{
    const part *p = s->self;
    const int64_t there =
        p->first_entry ? entry_of(p, avi_ragged_row(p->first_entry, s->shape.rows, row), row) : row_of(p, row);
    return p->whole->row_in_file ? p->whole->row_in_file(p->whole, there) : there;
}

/* Rows of this part from `first` on, out of the whole's [from, end): as many as are there, at most `count`. */
static int64_t take(part *p, int64_t first, int64_t count, int64_t from, int64_t end, size_t bytes, unsigned char *out)
{
    int64_t n = 0;
    for (; n < count && row_of(p, first + n) < end; n++)
        memcpy(out + (size_t)n * bytes, p->room + (size_t)(row_of(p, first + n) - from) * bytes, bytes);
    return n;
}

static avi_status read_part(avi_source *s, int64_t first, int64_t count, void *out)
{
    part *p = s->self;
    const size_t bytes = (size_t)s->shape.width * avi_dtype_size(s->shape.type);
    unsigned char *to = out;
    while (count > 0) {
        const int64_t wanted = row_of(p, first);
        int64_t from = p->ops.any_rank ? wanted : p->next, end = row_of(p, first + count - 1) + 1;
        if (end - from > p->room_rows) end = from + p->room_rows;
        if (p->ops.any_rank && p->held && p->rows.rows / p->rows.held > SPARSE) end = wanted + 1;
        AVI_TRY(p->whole->ops->read(p->whole, from, end - from, p->room));
        p->next = end;
        const int64_t n = take(p, first, count, from, end, bytes, to);
        first += n;
        count -= n;
        to += (size_t)n * bytes;
    }
    return AVI_OK;
}

/* Entries [first, first + count) of this part: those of rows that follow each other in the whole are read together. */
static avi_status read_entries(avi_source *s, int64_t first, int64_t count, void *out)
{
    part *p = s->self;
    const size_t bytes = (size_t)s->shape.width * avi_dtype_size(s->shape.type);
    unsigned char *to = out;
    int64_t row = avi_ragged_row(p->first_entry, s->shape.rows, first);
    for (int64_t n; count > 0; first += n, count -= n, to += (size_t)n * bytes) {
        while (p->first_entry[row + 1] <= first) row++;
        const int64_t from = entry_of(p, row, first);
        while (row + 1 < s->shape.rows && row_of(p, row + 1) == row_of(p, row) + 1 &&
               p->first_entry[row + 1] < first + count)
            row++;
        const int64_t left = p->first_entry[row + 1] - first;
        n = left < count ? left : count;
        AVI_TRY(p->whole->ops->read(p->whole, from, n, to));
    }
    return AVI_OK;
}

/* The places of the entries of this part. */
static avi_status count_entries(avi_source *s, part *p)
{
    const int64_t rows = s->shape.rows, *first = p->whole->first_entry;
    p->first_entry = malloc(((size_t)rows + 1) * sizeof *p->first_entry);
    if (!p->first_entry) return avi_fail_memory(((size_t)rows + 1) * sizeof *p->first_entry, "the sizes of groups");
    p->first_entry[0] = 0;
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = row_of(p, i);
        p->first_entry[i + 1] = p->first_entry[i] + first[row + 1] - first[row];
    }
    s->first_entry = p->first_entry;
    return AVI_OK;
}

static avi_status read_listed(avi_source *s, const int64_t *given, int64_t count, void *out)
{
    part *p = s->self;
    int64_t row[LISTED];
    const size_t bytes = (size_t)s->shape.width * avi_dtype_size(s->shape.type);
    if (count == 0) return p->whole->ops->read_rows(p->whole, NULL, 0, out);
    for (int64_t done = 0, stored = 0; done < count; done += LISTED) {
        const int64_t n = count - done < LISTED ? count - done : LISTED;
        for (int64_t i = 0; i < n; i++) row[i] = row_of(p, given[done + i]);
        AVI_TRY(p->whole->ops->read_rows(p->whole, row, n, (unsigned char *)out + (size_t)stored * bytes));
        for (int64_t i = 0; i < n; i++) stored += avi_source_entries(p->whole, row[i]);
    }
    return AVI_OK;
}

/* Names of rows that follow each other in the whole are read together. */
static avi_status name_rows(avi_source *s, int64_t first, int64_t count, char **name)
{
    const part *p = s->self;
    for (int64_t done = 0, n; done < count; done += n) {
        const int64_t from = row_of(p, first + done);
        for (n = 1; done + n < count && row_of(p, first + done + n) == from + n;) n++;
        const avi_status status = p->whole->row_names(p->whole, from, n, name + done);
        for (int64_t i = 0; status != AVI_OK && i < done; i++) free(name[i]);
        AVI_TRY(status);
    }
    return AVI_OK;
}

static void close_part(avi_source *s)
{
    part *p = s->self;
    if (!p) return;
    avi_source_close(&p->whole);
    free(p->room);
    free(p->first_entry);
    free(p);
    s->self = NULL;
}

static avi_status make_part(avi_source *whole, const avi_holdout *rows, bool held, avi_source **source)
{
    const size_t bytes = (size_t)whole->shape.width * avi_dtype_size(whole->shape.type);
    avi_source *s = *source = malloc(sizeof *s);
    part *p = calloc(1, sizeof *p);
    if (s) *s = *whole;
    if (!s || !p) {
        avi_source_close(&whole);
        free(s);
        free(p);
        *source = NULL;
        return avi_fail_memory(sizeof *p, "the rows that are held out");
    }
    *p = (part){.ops = *whole->ops, .whole = whole, .rows = *rows, .held = held};
    p->ops.read = whole->first_entry ? read_entries : read_part;
    p->ops.read_rows = whole->ops->read_rows ? read_listed : NULL;
    p->ops.close = close_part;
    s->ops = &p->ops;
    s->self = p;
    s->shape.rows = held ? rows->held : rows->rows - rows->held;
    s->row_in_file = row_in_whole;
    s->row_names = whole->row_names ? name_rows : NULL;
    if (whole->first_entry) AVI_TRY(count_entries(s, p));
    p->room_rows = BLOCK_BYTES / (int64_t)bytes > 0 ? BLOCK_BYTES / (int64_t)bytes : 1;
    if (p->room_rows > rows->rows) p->room_rows = rows->rows;
    p->room = malloc((size_t)p->room_rows * bytes);
    if (!p->room) return avi_fail_memory((size_t)p->room_rows * bytes, "rows of the data");
    if (!held) {
        const size_t used = strlen(s->label);
        snprintf(s->label + used, sizeof s->label - used, ", %lld of %lld rows held out", (long long)rows->held,
                 (long long)rows->rows);
    }
    return AVI_OK;
}

const avi_holdout *avi_holdout_of(const avi_source *source)
{
    return source && source->row_in_file == row_in_whole ? &((const part *)source->self)->rows : NULL;
}

/* ---- open ---- */

static bool says(const avi_config *config, const char *key)
{
    return avi_config_is_given(config, "data", key) && *avi_config_get_string(config, "data", key);
}

/* How many of `rows` rows data.holdout keeps aside. */
static avi_status count_held(const avi_config *config, int64_t rows, int64_t *held)
{
    const double asked = avi_config_get_real(config, "data", "holdout");
    *held = asked < 1 ? (int64_t)llround(asked * (double)rows) : (int64_t)asked;
    if (asked >= 1 && asked != nearbyint(asked))
        return avi_config_fail(config, "data", "holdout",
                               "is neither a part of the rows nor a number of them; use a number below 1, or a whole "
                               "number");
    if (*held < 1) *held = 1;
    if (*held < rows) return AVI_OK;
    return avi_config_fail(config, "data", "holdout",
                           "keeps all of the %lld rows aside; use at most %lld, or a part below 1", (long long)rows,
                           (long long)(rows - 1));
}

static avi_status check_keys(const avi_config *config)
{
    const char *source = avi_config_get_string(config, "data", "source");
    const bool drawn = !strcmp(source, "strokes") || !strcmp(source, "model");
    const bool file =
        (!drawn && says(config, "test_path")) || (!strcmp(source, "hdf5") && says(config, "test_dataset"));
    if (!file && avi_config_get_int(config, "data", "test_rows") == 0) return AVI_OK;
    return avi_config_fail(config, "data", "holdout",
                           "rows of the training data are the test data, so there are no others; use it without %s",
                           file ? "data.test_path and data.test_dataset" : "data.test_rows");
}

avi_status avi_holdout_open(const avi_config *config, avi_comm *comm, bool in_order, avi_source **train,
                            avi_source **test)
{
    avi_source *whole[2] = {NULL, NULL};
    avi_holdout rows = {.seed = (uint64_t)avi_config_get_int(config, "run", "seed"), .in_order = in_order};
    *train = *test = NULL;
    AVI_TRY(avi_agree(comm, check_keys(config)));
    avi_status status = AVI_OK;
    for (int i = 0; i < 2 && status == AVI_OK; i++) status = avi_source_open(config, comm, AVI_TRAIN, &whole[i]);
    if (status == AVI_OK) {
        rows.rows = whole[0]->shape.rows;
        status = avi_agree(comm, count_held(config, rows.rows, &rows.held));
    }
    if (status != AVI_OK) {
        avi_source_close(&whole[0]);
        avi_source_close(&whole[1]);
        return status;
    }
    status = make_part(whole[0], &rows, false, train);
    const avi_status other = make_part(whole[1], &rows, true, test);
    return avi_agree(comm, status != AVI_OK ? status : other);
}
