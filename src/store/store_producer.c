/* Fields whose rows are made while they are written. A piece is summed and written, and the kernel is asked to begin
 * with it, so that the disk works while the ranks make the next piece; what remains for the sync at the end is the last
 * one. */
#include "store/store_internal.h"

#include <fcntl.h>
#include <stdlib.h>

enum {
    MOST_ROWS = 1 << 17 /* of a piece: who makes narrow rows holds some 100 bytes of indices and copies for each */
};

/* A piece of every field, in one block. */
typedef struct piece {
    void *memory;
    void *out[AVI_SUPPLY_FIELDS];
    int64_t row_bytes[AVI_SUPPLY_FIELDS];
    int64_t most; /* rows */
} piece;

int64_t avi_row_producer_piece(int64_t row_bytes)
{
    const int64_t rows = row_bytes > 0 ? ((int64_t)8 << 20) / row_bytes : 1;
    return rows < 1 ? 1 : rows < MOST_ROWS ? rows : MOST_ROWS;
}

static avi_status make_piece(const avi_store_plan *plan, int at, int n, int64_t slab, piece *p)
{
    size_t bytes = 0, begin[AVI_SUPPLY_FIELDS] = {0};
    int64_t all = 0;
    for (int k = 0; k < n; k++) all += p->row_bytes[k] = avi_field_row_bytes(&plan->fields[at + k]);
    p->most = avi_row_producer_piece(all) < slab ? avi_row_producer_piece(all) : slab;
    for (int k = 0; k < n; k++) {
        begin[k] = bytes;
        bytes += ((size_t)(p->most * p->row_bytes[k]) + 63) / 64 * 64;
    }
    p->memory = malloc(bytes + 1);
    if (!p->memory) return avi_fail_memory(bytes, "a piece of what is written");
    for (int k = 0; k < n; k++) p->out[k] = (char *)p->memory + begin[k];
    return AVI_OK;
}

static avi_status write_piece(avi_store_plan *plan, int fd, int at, int n, const piece *p, int64_t first, int64_t count)
{
    for (int k = 0; k < n; k++) {
        const int64_t bytes = count * p->row_bytes[k], offset = plan->offsets[at + k] + first * p->row_bytes[k];
        plan->sums[at + k] += avi_checksum_rows(p->out[k], first, count, p->row_bytes[k]);
        AVI_TRY(avi_file_write_at(fd, plan->temporary, p->out[k], bytes, offset));
        /* On Linux this begins to write what is not on disk yet, and waits for nothing. */
        (void)posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
    }
    return AVI_OK;
}

avi_status avi_store_write_supplied(avi_store_plan *plan, avi_comm *comm, int fd, int at, int n, avi_status *status)
{
    const avi_row_producer *supply = plan->fields[at].supply;
    const int size = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t rows = avi_field_rows(&plan->fields[at]), first = avi_slab_first(rows, size, rank);
    const int64_t slab = avi_slab_first(rows, size, rank + 1) - first, longest = (rows + size - 1) / size;
    piece p = {0};
    avi_status made = avi_agree(comm, make_piece(plan, at, n, longest, &p));
    for (int64_t done = 0; done < longest && made == AVI_OK; done += p.most) {
        const int64_t left = slab > done ? slab - done : 0, count = left < p.most ? left : p.most;
        made = supply->rows(supply->self, first + done, count, p.out);
        if (made == AVI_OK && *status == AVI_OK) *status = write_piece(plan, fd, at, n, &p, first + done, count);
    }
    free(p.memory);
    return made;
}
