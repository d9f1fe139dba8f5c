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

/* Small domains: the shuffle of Fisher and Yates, which exchanges place j with a random place r_j <= j for j = n - 1,
 * .., 1, followed for one number alone, without an array. The orders are uniform up to the generator. A network on a
 * few bits is not: its rounds have so few functions to draw from that some of the n! orders never come. */
enum { FEW = 64 };

/* Products of two words of 64 bits. */
__extension__ typedef unsigned __int128 wide;

static inline uint64_t exchanged(const avi_permutation *p, uint64_t j)
{
    const uint64_t key = (uint64_t)p->round_key[1] << 32 | p->round_key[0];
    return (uint64_t)((wide)splitmix(key + j * UINT64_C(0x9e3779b97f4a7c15)) * (j + 1) >> 64);
}

/* Which number ends at place i: back through the exchanges. Those below i leave i alone. */
static uint64_t few(const avi_permutation *p, uint64_t i)
{
    for (uint64_t j = i > 1 ? i : 1; j < p->n; j++) {
        const uint64_t r = exchanged(p, j);
        i = i == j ? r : i == r ? j : i;
    }
    return i;
}

/* Where number i ends. */
static uint64_t few_back(const avi_permutation *p, uint64_t i)
{
    for (uint64_t j = p->n - 1; j > 0 && j >= i; j--) {
        const uint64_t r = exchanged(p, j);
        i = i == j ? r : i == r ? j : i;
    }
    return i;
}

avi_permutation avi_permutation_make(uint64_t seed, avi_purpose purpose, uint64_t tweak, uint64_t n)
{
    avi_permutation p = {.n = n, .half_bits = 0};
    const uint64_t key = avi_mix64(avi_mix64(seed, (uint64_t)purpose), tweak);
    if (n <= FEW) {
        p.round_key[0] = (uint32_t)key;
        p.round_key[1] = (uint32_t)(key >> 32);
        return p;
    }
    while (p.half_bits < 31 && (UINT64_C(1) << (2 * p.half_bits)) < n) p.half_bits++;
    for (uint64_t r = 0; r < 6; r++) p.round_key[r] = (uint32_t)avi_mix64(key, r);
    return p;
}

static inline uint64_t feistel_round(const avi_permutation *p, int r, uint64_t half)
{
    return splitmix(half ^ ((uint64_t)p->round_key[r] << 32)) & ((UINT64_C(1) << p->half_bits) - 1);
}

static inline uint64_t network(const avi_permutation *p, uint64_t i)
{
    uint64_t left = i >> p->half_bits, right = i & ((UINT64_C(1) << p->half_bits) - 1);
    for (int r = 0; r < 6; r++) {
        const uint64_t next = left ^ feistel_round(p, r, right);
        left = right;
        right = next;
    }
    return left << p->half_bits | right;
}

static inline uint64_t network_back(const avi_permutation *p, uint64_t i)
{
    uint64_t left = i >> p->half_bits, right = i & ((UINT64_C(1) << p->half_bits) - 1);
    for (int r = 5; r >= 0; r--) {
        const uint64_t before = right ^ feistel_round(p, r, left);
        right = left;
        left = before;
    }
    return left << p->half_bits | right;
}

/* Cycle walking: the network permutes [0, 4^half_bits), fewer than 4n numbers (n > 1); a result outside [0, n) goes
 * through again until one falls inside, which ends because the cycle comes back to i at the latest. A number outside
 * the domain is left alone, so that a caller's mistake cannot hang. */
uint64_t avi_permute(const avi_permutation *p, uint64_t i)
{
    if (i >= p->n) return i;
    if (p->n <= FEW) return few(p, i);
    do i = network(p, i);
    while (i >= p->n);
    return i;
}

uint64_t avi_permute_inverse(const avi_permutation *p, uint64_t i)
{
    if (i >= p->n) return i;
    if (p->n <= FEW) return few_back(p, i);
    do i = network_back(p, i);
    while (i >= p->n);
    return i;
}

enum { SIDE = 256 };

/* Numbers go through the network side by side, so that their multiplications overlap; those that fall outside go again,
 * closed up. */
static void run_of(const avi_permutation *p, bool back, uint64_t first, int count, int64_t *out)
{
    uint64_t value[SIDE];
    int place[SIDE], n = 0;
    for (int k = 0; k < count; k++) {
        out[k] = (int64_t)(first + (uint64_t)k);
        value[n] = first + (uint64_t)k;
        place[n] = k;
        n += value[n] < p->n;
    }
    while (n > 0) {
        if (back)
            for (int k = 0; k < n; k++) value[k] = network_back(p, value[k]);
        else
            for (int k = 0; k < n; k++) value[k] = network(p, value[k]);
        int left = 0;
        for (int k = 0; k < n; k++) {
            out[place[k]] = (int64_t)value[k];
            value[left] = value[k];
            place[left] = place[k];
            left += value[k] >= p->n;
        }
        n = left;
    }
}

void avi_permute_run(const avi_permutation *p, bool back, uint64_t first, int64_t count, int64_t *out)
{
    if (p->n <= FEW) {
        for (int64_t k = 0; k < count; k++)
            out[k] = (int64_t)(back ? avi_permute_inverse : avi_permute)(p, first + (uint64_t)k);
        return;
    }
    for (int64_t done = 0; done < count; done += SIDE)
        run_of(p, back, first + (uint64_t)done, count - done < SIDE ? (int)(count - done) : SIDE, out + done);
}
