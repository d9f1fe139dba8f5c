/* Rows in given order from their owners, a window at a time. Who needs rows asks for them by position (of shuffled
 * data: the inverse of the shuffle, many at once), so that no rank holds more than its window of anything but its own
 * rows. Unshuffled windows are runs that everyone can work out: nothing is asked for, nothing is copied on the way. */
#include "data/redistribute.h"

#include <stdlib.h>
#include <string.h>

struct avi_file_order {
    const avi_partition *p; /* borrowed */
    avi_comm *comm;         /* borrowed */
    size_t row_bytes;       /* of one column */
    int columns;
    const void *owned[AVI_PULL_COLUMNS]; /* borrowed */
    int64_t most;                        /* rows of a window */
    int64_t *owners;                     /* (ranks + 1): first position of each rank */
    int64_t *counts;                     /* (8, ranks): as below, in one block */
    int64_t *ask_count, *ask_at;         /* rows wanted from each rank, and rows before them */
    int64_t *give_count, *give_at;       /* rows that each rank wants */
    int64_t *out_bytes, *out_at, *in_bytes, *in_at;
    int64_t *position, *asked; /* (most): of the window's rows in order; the same by owner */
    int64_t *place;            /* (most): in the window, of `asked` */
    unsigned char *arrived;    /* (most, columns * row_bytes) */
    int64_t give_most;         /* rows that the next two hold */
    int64_t *wanted;           /* (give_most): positions */
    unsigned char *packed;     /* (give_most, columns * row_bytes) */
};

static size_t packed_bytes(const avi_file_order *u) { return (size_t)u->columns * u->row_bytes; }

static avi_status allocate(avi_file_order *u)
{
    const size_t ranks = (size_t)avi_comm_size(u->comm), most = (size_t)u->most;
    u->owners = malloc((ranks + 1) * sizeof *u->owners);
    u->counts = calloc(ranks * 8, sizeof *u->counts);
    if (u->owners && u->counts && !u->p->shuffled) return AVI_OK;
    u->position = malloc(most * sizeof *u->position);
    u->asked = malloc(most * sizeof *u->asked);
    u->place = malloc(most * sizeof *u->place);
    u->arrived = malloc(most * packed_bytes(u));
    if (u->owners && u->counts && u->position && u->asked && u->place && u->arrived) return AVI_OK;
    return avi_fail_memory(most * (packed_bytes(u) + 3 * sizeof(int64_t)), "a window of rows");
}

avi_status avi_file_order_create(const avi_partition *p, avi_comm *comm, size_t row_bytes, int columns,
                                 const void *const *owned, int64_t most, avi_file_order **pull)
{
    avi_file_order *u = calloc(1, sizeof *u);
    avi_status status = u ? AVI_OK : avi_fail_memory(sizeof *u, "a window of rows");
    if (u &&
        (columns < 1 || columns > AVI_PULL_COLUMNS || most < 1 || row_bytes == 0 || p->ranks != avi_comm_size(comm)))
        status = avi_fail(AVI_ERR_INTERNAL, "pulling windows of %lld rows of %d columns of %zu bytes on %d ranks",
                          (long long)most, columns, row_bytes, avi_comm_size(comm));
    if (status == AVI_OK) {
        *u = (avi_file_order){.p = p, .comm = comm, .row_bytes = row_bytes, .columns = columns, .most = most};
        memcpy(u->owned, owned, (size_t)columns * sizeof *owned);
        status = allocate(u);
    }
    *pull = u;
    status = avi_agree(comm, status);
    if (status != AVI_OK) {
        avi_file_order_destroy(pull);
        return status;
    }
    int64_t **const arrays[8] = {&u->ask_count, &u->ask_at, &u->give_count, &u->give_at,
                                 &u->out_bytes, &u->out_at, &u->in_bytes,   &u->in_at};
    for (int i = 0; i < 8; i++) *arrays[i] = u->counts + (ptrdiff_t)i * p->ranks;
    avi_row_distribution_owners(p, u->owners);
    return AVI_OK;
}

void avi_file_order_destroy(avi_file_order **pull)
{
    avi_file_order *u = *pull;
    if (!u) return;
    free(u->owners);
    free(u->counts);
    free(u->position);
    free(u->asked);
    free(u->place);
    free(u->arrived);
    free(u->wanted);
    free(u->packed);
    free(u);
    *pull = NULL;
}

/* ---- unshuffled: given rows are positions ---- */

/* Where two runs overlap, as the bytes of rows from the start of `base`. */
static void overlap(int64_t first, int64_t end, int64_t other_first, int64_t other_end, int64_t base, size_t row_bytes,
                    int64_t *bytes, int64_t *at)
{
    const int64_t from = first > other_first ? first : other_first, to = end < other_end ? end : other_end;
    *bytes = to > from ? (to - from) * (int64_t)row_bytes : 0;
    *at = to > from ? (from - base) * (int64_t)row_bytes : 0;
}

static avi_status pull_runs(avi_file_order *u, int64_t first, int64_t count, void *const *out)
{
    const int ranks = u->p->ranks, rank = avi_comm_rank(u->comm);
    const int64_t window[2] = {first, first + count}, *own = u->owners + rank;
    int64_t *windows = u->ask_count; /* (ranks, 2): the first two arrays, which lie side by side */
    AVI_TRY(avi_comm_allgather(u->comm, window, sizeof window, windows));
    for (int r = 0; r < ranks; r++) {
        overlap(own[0], own[1], windows[2 * r], windows[2 * r + 1], own[0], u->row_bytes, &u->out_bytes[r],
                &u->out_at[r]);
        overlap(first, first + count, u->owners[r], u->owners[r + 1], first, u->row_bytes, &u->in_bytes[r],
                &u->in_at[r]);
    }
    for (int k = 0; k < u->columns; k++)
        AVI_TRY(avi_comm_exchange(u->comm, u->owned[k], u->out_bytes, u->out_at, out[k], u->in_bytes, u->in_at));
    return AVI_OK;
}

/* ---- shuffled ---- */

/* to[i * to_step] = from[(number[i] - base) * bytes], rows of `bytes`. Rows lie anywhere in memory: what comes later is
 * asked for ahead, and the size is a constant where it is small, since a call for a few bytes costs more than they do.
 */
static inline void gather(unsigned char *restrict to, size_t to_step, const unsigned char *restrict from,
                          const int64_t *restrict number, int64_t base, int64_t count, size_t bytes)
{
    enum { AHEAD = 32 };
    for (int64_t i = 0; i < count; i++) {
#if defined(__GNUC__)
        if (i + AHEAD < count) __builtin_prefetch(from + (size_t)(number[i + AHEAD] - base) * bytes);
#endif
        memcpy(to + (size_t)i * to_step, from + (size_t)(number[i] - base) * bytes, bytes);
    }
}

static void gather_rows(unsigned char *to, size_t to_step, const void *from, const int64_t *number, int64_t base,
                        int64_t count, size_t bytes)
{
    if (bytes == 8)
        gather(to, to_step, from, number, base, count, 8);
    else if (bytes == 16)
        gather(to, to_step, from, number, base, count, 16);
    else
        gather(to, to_step, from, number, base, count, bytes);
}

static inline void scatter(unsigned char *restrict to, const int64_t *restrict place,
                           const unsigned char *restrict from, size_t from_step, int64_t count, size_t bytes)
{
    for (int64_t i = 0; i < count; i++) memcpy(to + (size_t)place[i] * bytes, from + (size_t)i * from_step, bytes);
}

static void scatter_rows(void *to, const int64_t *place, const unsigned char *from, size_t from_step, int64_t count,
                         size_t bytes)
{
    if (bytes == 8)
        scatter(to, place, from, from_step, count, 8);
    else if (bytes == 16)
        scatter(to, place, from, from_step, count, 16);
    else
        scatter(to, place, from, from_step, count, bytes);
}

/* Puts the window's positions in order of their owners. */
static void sort_by_owner(avi_file_order *u, int64_t count)
{
    const int ranks = u->p->ranks;
    memset(u->ask_count, 0, (size_t)ranks * sizeof *u->ask_count);
    for (int64_t i = 0; i < count; i++) {
        u->place[i] = avi_row_distribution_rank(u->owners, ranks, u->position[i]);
        u->ask_count[u->place[i]]++;
    }
    int64_t at = 0;
    for (int r = 0; r < ranks; r++) {
        u->ask_at[r] = at;
        at += u->ask_count[r];
    }
    /* `place` holds the owner of row i until it is taken; places come at the end of what is sorted already. */
    for (int64_t i = 0; i < count; i++) u->asked[u->ask_at[u->place[i]]++] = i;
    for (int64_t i = 0; i < count; i++) u->place[i] = u->asked[i];
    for (int64_t i = 0; i < count; i++) u->asked[i] = u->position[u->place[i]];
    for (int r = 0; r < ranks; r++) u->ask_at[r] -= u->ask_count[r];
}

/* Tells every rank how many rows are wanted from it, and makes room for what is wanted from this one. */
static avi_status announce(avi_file_order *u, int64_t *total)
{
    const int64_t one = (int64_t)sizeof(int64_t);
    for (int r = 0; r < u->p->ranks; r++) {
        u->out_bytes[r] = u->in_bytes[r] = one;
        u->out_at[r] = u->in_at[r] = r * one;
    }
    AVI_TRY(avi_comm_exchange(u->comm, u->ask_count, u->out_bytes, u->out_at, u->give_count, u->in_bytes, u->in_at));
    *total = 0;
    for (int r = 0; r < u->p->ranks; r++) {
        u->give_at[r] = *total;
        *total += u->give_count[r];
    }
    avi_status status = AVI_OK;
    if (*total > u->give_most) {
        free(u->wanted);
        free(u->packed);
        u->wanted = malloc((size_t)*total * sizeof *u->wanted);
        u->packed = malloc((size_t)*total * packed_bytes(u));
        u->give_most = u->wanted && u->packed ? *total : 0;
        if (!u->give_most)
            status = avi_fail_memory((size_t)*total * (packed_bytes(u) + sizeof(int64_t)), "rows that others want");
    }
    return avi_agree(u->comm, status);
}

/* From `asked` to `wanted`, or back from `packed` to `arrived`. */
static avi_status send(avi_file_order *u, bool back)
{
    const int64_t bytes = back ? (int64_t)packed_bytes(u) : (int64_t)sizeof(int64_t);
    const int64_t *out_count = back ? u->give_count : u->ask_count, *out_at = back ? u->give_at : u->ask_at;
    const int64_t *in_count = back ? u->ask_count : u->give_count, *in_at = back ? u->ask_at : u->give_at;
    for (int r = 0; r < u->p->ranks; r++) {
        u->out_bytes[r] = out_count[r] * bytes;
        u->out_at[r] = out_at[r] * bytes;
        u->in_bytes[r] = in_count[r] * bytes;
        u->in_at[r] = in_at[r] * bytes;
    }
    return avi_comm_exchange(u->comm, back ? (void *)u->packed : u->asked, u->out_bytes, u->out_at,
                             back ? (void *)u->arrived : u->wanted, u->in_bytes, u->in_at);
}

static avi_status pull_shuffled(avi_file_order *u, int64_t count, void *const *out)
{
    const int64_t own = u->owners[avi_comm_rank(u->comm)];
    const size_t row = u->row_bytes, all = packed_bytes(u);
    int64_t total;
    sort_by_owner(u, count);
    AVI_TRY(announce(u, &total));
    AVI_TRY(send(u, false));
    for (int k = 0; k < u->columns; k++)
        gather_rows(u->packed + (size_t)k * row, all, u->owned[k], u->wanted, own, total, row);
    AVI_TRY(send(u, true));
    for (int k = 0; k < u->columns; k++) scatter_rows(out[k], u->place, u->arrived + (size_t)k * row, all, count, row);
    return AVI_OK;
}

avi_status avi_file_order_rows(avi_file_order *u, int64_t first, int64_t count, void *const *out)
{
    if (!u->p->shuffled) return pull_runs(u, first, count, out);
    if (count > 0) avi_permute_run(&u->p->permutation, true, (uint64_t)first, count, u->position);
    if (u->p->ranks > 1) return pull_shuffled(u, count, out);
    for (int k = 0; k < u->columns; k++)
        gather_rows(out[k], u->row_bytes, u->owned[k], u->position, 0, count, u->row_bytes);
    return AVI_OK;
}
