/* A checksum over rows that does not depend on who holds them. */
#include "store/store_internal.h"

#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files hold little-endian numbers and are written straight from memory: this host needs a byte swap"
#endif

static inline uint64_t begin(int64_t row)
{
    return UINT64_C(0xcbf29ce484222325) ^ (((uint64_t)row + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t avi_checksum_begin(int64_t row) { return begin(row); }

static inline uint64_t add_word(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x100000001b3);
    return h ^ (h >> 32);
}

static inline uint64_t add(uint64_t h, const void *piece, int64_t bytes)
{
    const unsigned char *at = piece;
    uint64_t word;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        memcpy(&word, at, 8);
        h = add_word(h, word);
    }
    if (bytes > 0) {
        word = 0;
        memcpy(&word, at, (size_t)bytes);
        h = add_word(h, word);
    }
    return h;
}

uint64_t avi_checksum_add(uint64_t h, const void *piece, int64_t bytes) { return add(h, piece, bytes); }

static inline uint64_t end(uint64_t h)
{
    h = (h ^ (h >> 29)) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

uint64_t avi_checksum_end(uint64_t h) { return end(h); }

uint64_t avi_checksum_rows(const void *rows, int64_t first, int64_t count, int64_t row_bytes)
{
    const unsigned char *at = rows;
    uint64_t sum = 0;
    if (row_bytes <= 0) return 0;
    if (row_bytes == 8) /* local factors of one dimension, single precision: hundreds of millions of rows of one word */
        for (int64_t r = 0; r < count; r++) sum += end(add(begin(first + r), at + 8 * r, 8));
    else if (row_bytes == 4) /* their means alone, and their log sds */
        for (int64_t r = 0; r < count; r++) sum += end(add(begin(first + r), at + 4 * r, 4));
    else
        for (int64_t r = 0; r < count; r++, at += row_bytes) sum += end(add(begin(first + r), at, row_bytes));
    return sum;
}

/* In halves of 32 bits: sums of those cannot overflow a signed integer on fewer than 2^31 ranks. */
avi_status avi_checksum_allreduce(avi_comm *comm, uint64_t *sums, size_t n)
{
    int64_t *halves = malloc((2 * n + 1) * sizeof *halves);
    avi_status status = avi_agree(comm, halves ? AVI_OK : avi_fail_memory(2 * n * sizeof *halves, "checksums"));
    if (status == AVI_OK) {
        for (size_t i = 0; i < n; i++) {
            halves[2 * i] = (int64_t)(sums[i] & UINT64_C(0xffffffff));
            halves[2 * i + 1] = (int64_t)(sums[i] >> 32);
        }
        status = avi_comm_sum_int64(comm, halves, 2 * n);
        for (size_t i = 0; i < n; i++) sums[i] = (uint64_t)halves[2 * i] + ((uint64_t)halves[2 * i + 1] << 32);
    }
    free(halves);
    return status;
}
