#include "data/redistribute.h"
#include "base/interval.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 16 << 20, PIECE_ROWS = 1 << 18 /* narrow rows take less than what is kept of each in a piece */ };

/* The buffers of one rank. A row travels with its number in the target layout: `number` and `rows` are filled in order
 * of rank, so that a message is a run of each, and they go in two exchanges. */
typedef struct mover {
    const avi_redistribution *move;
    int ranks, rank;
    int64_t most;    /* rows of a piece */
    int64_t *number; /* (most): in the target layout, of a piece's rows */
    int64_t *send_number, *recv_number;
    unsigned char *send_rows, *recv_rows;
    int64_t recv_most;                /* rows that the receive buffers hold */
    int *destination;                 /* (most) */
    int64_t *counts;                  /* (8, ranks): the arrays below, in one block */
    int64_t *send_count, *recv_count; /* rows by rank */
    int64_t *send_at, *recv_at;       /* rows before them */
    int64_t *send_bytes, *send_byte_at, *recv_bytes, *recv_byte_at;
} mover;

void avi_row_distribution_owners(const avi_partition *p, int64_t *first)
{
    for (int r = 0; r <= p->ranks; r++) first[r] = avi_partition_first_row(p, r);
}

void avi_row_distribution_slabs(int64_t rows, int ranks, int64_t *first)
{
    for (int r = 0; r <= ranks; r++) first[r] = avi_slab_first(rows, ranks, r);
}

int avi_row_distribution_rank(const int64_t *first, int ranks, int64_t row)
{
    return (int)avi_interval_of(first, ranks, row);
}

/* How many ranks may send to one receiver at once: its run of `to` divided by the shortest run of `from`, first and
 * last left out because they may be cut short. A shuffled move spreads more evenly than that. */
static int64_t senders_at_most(const avi_redistribution *move, int ranks)
{
    int64_t longest = 1, shortest = INT64_MAX, runs = 0, last = 0;
    for (int r = 0; r < ranks; r++) {
        const int64_t sends = move->from[r + 1] - move->from[r], receives = move->to[r + 1] - move->to[r];
        if (receives > longest) longest = receives;
        if (sends == 0) continue;
        if (runs >= 2 && last < shortest) shortest = last;
        last = sends;
        runs++;
    }
    const int64_t inner = shortest == INT64_MAX ? 0 : longest / shortest + 1;
    return inner + 2 < runs ? inner + 2 : (runs > 0 ? runs : 1);
}

int64_t avi_redistribution_piece_rows(const avi_redistribution *move)
{
    const int64_t row = (int64_t)move->row_bytes + (int64_t)sizeof(int64_t);
    const int64_t rows = PIECE_BYTES / row / senders_at_most(move, avi_comm_size(move->comm));
    return rows < 1 ? 1 : rows < PIECE_ROWS ? rows : PIECE_ROWS;
}

static void mover_release(mover *m)
{
    free(m->number);
    free(m->send_number);
    free(m->recv_number);
    free(m->send_rows);
    free(m->recv_rows);
    free(m->destination);
    free(m->counts);
}

static avi_status mover_prepare(mover *m, const avi_redistribution *move)
{
    const int ranks = avi_comm_size(move->comm), rank = avi_comm_rank(move->comm);
    int64_t most = avi_redistribution_piece_rows(move);
    const int64_t own = move->from[rank + 1] - move->from[rank];
    if (own < most) most = own > 0 ? own : 1;
    *m = (mover){.move = move, .ranks = ranks, .rank = rank, .most = most};
    m->number = malloc((size_t)most * sizeof *m->number);
    m->send_number = malloc((size_t)most * sizeof *m->send_number);
    m->send_rows = malloc((size_t)most * move->row_bytes);
    m->destination = malloc((size_t)most * sizeof *m->destination);
    m->counts = calloc((size_t)ranks * 8, sizeof *m->counts);
    if (!m->number || !m->send_number || !m->send_rows || !m->destination || !m->counts)
        return avi_fail_memory((size_t)most * (move->row_bytes + sizeof(int64_t)),
                               "a piece of rows on their way to their owners");
    int64_t **const arrays[8] = {&m->send_count, &m->recv_count,   &m->send_at,    &m->recv_at,
                                 &m->send_bytes, &m->send_byte_at, &m->recv_bytes, &m->recv_byte_at};
    for (int i = 0; i < 8; i++) *arrays[i] = m->counts + (ptrdiff_t)i * ranks;
    return AVI_OK;
}

/* Room for what arrives in this round. */
static avi_status mover_reserve(mover *m, int64_t rows)
{
    if (rows <= m->recv_most) return AVI_OK;
    free(m->recv_number);
    free(m->recv_rows);
    m->recv_number = malloc((size_t)rows * sizeof *m->recv_number);
    m->recv_rows = malloc((size_t)rows * m->move->row_bytes);
    m->recv_most = m->recv_number && m->recv_rows ? rows : 0;
    return m->recv_most ? AVI_OK
                        : avi_fail_memory((size_t)rows * (m->move->row_bytes + sizeof(int64_t)),
                                          "rows that arrive at their owner");
}

static void number_rows(mover *m, int64_t first, int64_t count)
{
    if (m->move->numbers)
        m->move->numbers(m->move->number_context, first, count, m->number);
    else
        for (int64_t i = 0; i < count; i++) m->number[i] = first + i;
}

/* Puts the rows of a piece in order of the rank they go to. */
static avi_status mover_pack(mover *m, int64_t first, int64_t count)
{
    const avi_redistribution *move = m->move;
    const void *rows = NULL;
    memset(m->send_count, 0, (size_t)m->ranks * sizeof *m->send_count);
    if (count == 0) return AVI_OK;
    AVI_TRY(move->piece(move->piece_context, first, count, &rows));
    number_rows(m, first, count);
    for (int64_t i = 0; i < count; i++) {
        m->destination[i] = avi_row_distribution_rank(move->to, m->ranks, m->number[i]);
        m->send_count[m->destination[i]]++;
    }
    int64_t at = 0;
    for (int r = 0; r < m->ranks; r++) {
        m->send_at[r] = at;
        at += m->send_count[r];
    }
    for (int64_t i = 0; i < count; i++) {
        const int64_t place = m->send_at[m->destination[i]]++;
        m->send_number[place] = m->number[i];
        memcpy(m->send_rows + (size_t)place * move->row_bytes,
               (const unsigned char *)rows + (size_t)i * move->row_bytes, move->row_bytes);
    }
    for (int r = 0; r < m->ranks; r++) m->send_at[r] -= m->send_count[r];
    return AVI_OK;
}

static avi_status mover_send(mover *m, const void *send, void *recv, size_t bytes)
{
    for (int r = 0; r < m->ranks; r++) {
        m->send_bytes[r] = m->send_count[r] * (int64_t)bytes;
        m->send_byte_at[r] = m->send_at[r] * (int64_t)bytes;
        m->recv_bytes[r] = m->recv_count[r] * (int64_t)bytes;
        m->recv_byte_at[r] = m->recv_at[r] * (int64_t)bytes;
    }
    return avi_comm_exchange(m->move->comm, send, m->send_bytes, m->send_byte_at, recv, m->recv_bytes, m->recv_byte_at);
}

/* Tells every rank how many rows come from whom: one number a pair. */
static avi_status mover_announce(mover *m, int64_t *total)
{
    for (int r = 0; r < m->ranks; r++) {
        m->send_bytes[r] = m->recv_bytes[r] = (int64_t)sizeof(int64_t);
        m->send_byte_at[r] = m->recv_byte_at[r] = r * (int64_t)sizeof(int64_t);
    }
    AVI_TRY(avi_comm_exchange(m->move->comm, m->send_count, m->send_bytes, m->send_byte_at, m->recv_count,
                              m->recv_bytes, m->recv_byte_at));
    *total = 0;
    for (int r = 0; r < m->ranks; r++) {
        m->recv_at[r] = *total;
        *total += m->recv_count[r];
    }
    return AVI_OK;
}

/* One round: a piece of every rank that has rows left. */
static avi_status mover_round(mover *m, int64_t first, int64_t count, unsigned char *into)
{
    const avi_redistribution *move = m->move;
    AVI_TRY(avi_agree(move->comm, mover_pack(m, first, count)));
    int64_t total = 0;
    AVI_TRY(mover_announce(m, &total));
    AVI_TRY(avi_agree(move->comm, mover_reserve(m, total)));
    AVI_TRY(mover_send(m, m->send_number, m->recv_number, sizeof(int64_t)));
    AVI_TRY(mover_send(m, m->send_rows, m->recv_rows, move->row_bytes));
    for (int64_t i = 0; i < total; i++)
        memcpy(into + (size_t)(m->recv_number[i] - move->to[m->rank]) * move->row_bytes,
               m->recv_rows + (size_t)i * move->row_bytes, move->row_bytes);
    return AVI_OK;
}

/* Every rank has its rows already: no message is needed. */
static avi_status move_in_place(const avi_redistribution *move, unsigned char *into)
{
    const int rank = avi_comm_rank(move->comm);
    const int64_t most = avi_redistribution_piece_rows(move), end = move->from[rank + 1];
    for (int64_t first = move->from[rank]; first < end; first += most) {
        const int64_t count = end - first < most ? end - first : most;
        const void *rows = NULL;
        AVI_TRY(move->piece(move->piece_context, first, count, &rows));
        memcpy(into + (size_t)(first - move->from[rank]) * move->row_bytes, rows, (size_t)count * move->row_bytes);
    }
    return AVI_OK;
}

avi_status avi_redistribution_rows(const avi_redistribution *move, void *into)
{
    const int ranks = avi_comm_size(move->comm);
    if (!move->numbers && memcmp(move->from, move->to, ((size_t)ranks + 1) * sizeof *move->from) == 0)
        return avi_agree(move->comm, move_in_place(move, into));

    mover m;
    avi_status status = avi_agree(move->comm, mover_prepare(&m, move));
    const int64_t most = avi_redistribution_piece_rows(move); /* the same on all ranks, unlike m.most */
    int64_t rounds = 0;
    for (int r = 0; r < ranks; r++) {
        const int64_t needed = (move->from[r + 1] - move->from[r] + most - 1) / most;
        if (needed > rounds) rounds = needed;
    }
    const int64_t end = move->from[m.rank + 1];
    for (int64_t k = 0; k < rounds && status == AVI_OK; k++) {
        const int64_t first = move->from[m.rank] + k * most;
        const int64_t left = end > first ? end - first : 0;
        status = mover_round(&m, first, left < most ? left : most, into);
    }
    mover_release(&m);
    return status;
}

/* ---- the two moves of a partition, from and to memory ---- */

typedef struct memory_rows {
    const unsigned char *rows;
    int64_t first; /* number of the first row */
    size_t row_bytes;
} memory_rows;

static avi_status memory_piece(void *context, int64_t first, int64_t count, const void **rows)
{
    const memory_rows *m = context;
    (void)count;
    *rows = m->rows + (size_t)(first - m->first) * m->row_bytes;
    return AVI_OK;
}

void avi_redistribution_positions(const void *partition, int64_t first, int64_t count, int64_t *out)
{
    const avi_partition *p = partition;
    avi_permute_run(&p->permutation, true, (uint64_t)first, count, out);
}

static void given_rows(const void *partition, int64_t first, int64_t count, int64_t *out)
{
    const avi_partition *p = partition;
    avi_permute_run(&p->permutation, false, (uint64_t)first, count, out);
}

static avi_status partition_move(const avi_partition *p, avi_comm *comm, size_t row_bytes, bool to_owner,
                                 const void *from, void *into)
{
    const int ranks = avi_comm_size(comm);
    avi_status status = AVI_OK;
    if (ranks != p->ranks || row_bytes == 0)
        status = avi_fail(AVI_ERR_INTERNAL, "moving rows of %zu bytes of a partition of %d ranks on %d ranks",
                          row_bytes, p->ranks, ranks);
    int64_t *layouts = malloc(2 * ((size_t)ranks + 1) * sizeof *layouts);
    if (!layouts) status = avi_fail_memory(2 * ((size_t)ranks + 1) * sizeof *layouts, "the rows of each rank");
    status = avi_agree(comm, status);
    if (status == AVI_OK) {
        int64_t *owners = layouts, *slabs = layouts + ranks + 1;
        avi_row_distribution_owners(p, owners);
        avi_row_distribution_slabs(p->rows, ranks, slabs);
        const int64_t *first = to_owner ? slabs : owners;
        memory_rows memory = {from, first[avi_comm_rank(comm)], row_bytes};
        const avi_redistribution move = {
            .comm = comm,
            .row_bytes = row_bytes,
            .from = first,
            .to = to_owner ? owners : slabs,
            .numbers = !p->shuffled ? NULL : (to_owner ? avi_redistribution_positions : given_rows),
            .number_context = p,
            .piece = memory_piece,
            .piece_context = &memory};
        status = avi_redistribution_rows(&move, into);
    }
    free(layouts);
    return status;
}

avi_status avi_partition_to_owner(const avi_partition *p, avi_comm *comm, size_t row_bytes, const void *slab,
                                  void *owned)
{
    return partition_move(p, comm, row_bytes, true, slab, owned);
}

avi_status avi_partition_to_given(const avi_partition *p, avi_comm *comm, size_t row_bytes, const void *owned,
                                  void *slab)
{
    return partition_move(p, comm, row_bytes, false, owned, slab);
}
