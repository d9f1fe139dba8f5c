#include "avi/rng.h"

#include <Random123/philox.h>

/* ---- keys ----------------------------------------------------------------------------------------------------------
 */

static uint64_t splitmix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t avi_mix64(uint64_t a, uint64_t b)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    return splitmix(splitmix(a + golden) ^ (b * golden + golden));
}

avi_stream avi_stream_make(uint64_t seed, avi_purpose purpose, uint64_t step)
{
    uint64_t k = avi_mix64(seed, (uint64_t)purpose);
    return (avi_stream){.key = {(uint32_t)k, (uint32_t)(k >> 32)}, .step = step};
}

/* ---- words and uniforms --------------------------------------------------------------------------------------------
 */

void avi_words(avi_stream s, uint64_t row, uint32_t block, uint32_t out[4])
{
    philox4x32_ctr_t c = {
        {(uint32_t)row, ((uint32_t)(row >> 32) << 24) ^ block, (uint32_t)s.step, (uint32_t)(s.step >> 32)}};
    philox4x32_key_t k = {{s.key[0], s.key[1]}};
    philox4x32_ctr_t w = philox4x32(c, k);
    for (int j = 0; j < 4; j++) out[j] = w.v[j];
}

void avi_uniform_f64(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols, double *out)
{
    for (int64_t i = 0; i < rows; i++, out += cols) {
        int64_t col = first_col, end = first_col + cols;
        while (col < end) {
            uint32_t w[4];
            avi_words(s, first_row + (uint64_t)i, (uint32_t)(col / 4), w);
            do out[col - first_col] = ((double)w[col & 3] + 0.5) * 0x1p-32;
            while (++col < end && (col & 3));
        }
    }
}

/* ---- keyed bijections ----------------------------------------------------------------------------------------------
 */

avi_permutation avi_permutation_make(uint64_t seed, avi_purpose purpose, uint64_t tweak, uint64_t n)
{
    avi_permutation p = {.n = n, .half_bits = 0};
    while (p.half_bits < 31 && (UINT64_C(1) << (2 * p.half_bits)) < n) p.half_bits++;
    uint64_t key = avi_mix64(avi_mix64(seed, (uint64_t)purpose), tweak);
    for (uint64_t r = 0; r < 6; r++) p.round_key[r] = (uint32_t)avi_mix64(key, r);
    return p;
}

static uint64_t feistel_round(const avi_permutation *p, int r, uint64_t half)
{
    return splitmix(half ^ ((uint64_t)p->round_key[r] << 32)) & ((UINT64_C(1) << p->half_bits) - 1);
}

/* Cycle walking: the network permutes [0, 4^half_bits), fewer than 4n numbers (n > 1); a result outside [0, n) goes
 * through again until one falls inside, which ends because the cycle comes back to i at the latest. */
uint64_t avi_permute(const avi_permutation *p, uint64_t i)
{
    if (i >= p->n) /* outside the domain: left alone, so that a caller's mistake cannot hang */
        return i;
    const uint64_t mask = (UINT64_C(1) << p->half_bits) - 1;
    do {
        uint64_t left = i >> p->half_bits, right = i & mask;
        for (int r = 0; r < 6; r++) {
            uint64_t next = left ^ feistel_round(p, r, right);
            left = right;
            right = next;
        }
        i = left << p->half_bits | right;
    } while (i >= p->n);
    return i;
}

uint64_t avi_permute_inverse(const avi_permutation *p, uint64_t i)
{
    if (i >= p->n) return i;
    const uint64_t mask = (UINT64_C(1) << p->half_bits) - 1;
    do {
        uint64_t left = i >> p->half_bits, right = i & mask;
        for (int r = 5; r >= 0; r--) {
            uint64_t before = right ^ feistel_round(p, r, left);
            right = left;
            left = before;
        }
        i = left << p->half_bits | right;
    } while (i >= p->n);
    return i;
}
