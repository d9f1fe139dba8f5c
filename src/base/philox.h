/* Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011) on many counters side by side; the same words as Random123's
 * philox4x32. Vectors hold 64-bit lanes whose low halves are 32-bit words, because that is what the multiplier (32 x 32
 * -> 64) takes: even counters as they lie in memory, odd ones shifted down. Compilers do not find this by themselves:
 * hence the intrinsics. */
#ifndef AVI_BASE_PHILOX_H
#define AVI_BASE_PHILOX_H

#include <stdint.h>

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u

#if defined(__AVX512F__)
#include <immintrin.h>
typedef __m512i philox_lanes;
#define PHILOX_SET(x)        _mm512_set1_epi64(x)
#define PHILOX_MUL(a, b)     _mm512_mul_epu32(a, b)
#define PHILOX_HIGH(a)       _mm512_srli_epi64(a, 32)
#define PHILOX_XOR(a, b)     _mm512_xor_si512(a, b)
#define PHILOX_XOR3(a, b, c) _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define PHILOX_LOAD(p)       _mm512_loadu_si512(p)
#define PHILOX_STORE(p, even, odd)                                                                                     \
    _mm512_storeu_si512(p, _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)))
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i philox_lanes;
#define PHILOX_SET(x)        _mm256_set1_epi64x(x)
#define PHILOX_MUL(a, b)     _mm256_mul_epu32(a, b)
#define PHILOX_HIGH(a)       _mm256_srli_epi64(a, 32)
#define PHILOX_XOR(a, b)     _mm256_xor_si256(a, b)
#define PHILOX_XOR3(a, b, c) PHILOX_XOR(PHILOX_XOR(a, b), c)
#define PHILOX_LOAD(p)       _mm256_loadu_si256((const __m256i *)(p))
#define PHILOX_STORE(p, even, odd)                                                                                     \
    _mm256_storeu_si256((__m256i *)(p), _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa))
#endif

#ifdef PHILOX_SET

typedef struct philox_state {
    philox_lanes a, b, c, d;
} philox_state;

static inline philox_state philox_round(philox_state s, philox_lanes k0, philox_lanes k1)
{
    philox_lanes m0 = PHILOX_MUL(s.a, PHILOX_SET(PHILOX_M0)), m1 = PHILOX_MUL(s.c, PHILOX_SET(PHILOX_M1));
    return (philox_state){PHILOX_XOR3(PHILOX_HIGH(m1), s.b, k0), m1, PHILOX_XOR3(PHILOX_HIGH(m0), s.d, k1), m0};
}

/* The first round, where c and d are the same for all: `common`, `from_low` and `from_high` are what they come to. */
static inline philox_state philox_first(philox_lanes a, philox_lanes b, philox_lanes common, philox_lanes from_low,
                                        philox_lanes from_high)
{
    philox_lanes m0 = PHILOX_MUL(a, PHILOX_SET(PHILOX_M0));
    return (philox_state){PHILOX_XOR(b, from_low), common, PHILOX_XOR(PHILOX_HIGH(m0), from_high), m0};
}

/* Words of counters (w0[i], w1[i], step) into w0 .. w3 (n each); n a multiple of 16. All counters have the step in
 * common, and so half of the first round. */
static inline void philox_words(uint32_t *w0, uint32_t *w1, uint32_t *w2, uint32_t *w3, int n, uint64_t step,
                                const uint32_t key[2])
{
    const uint64_t low = (uint32_t)step * (uint64_t)PHILOX_M1;
    const philox_lanes common = PHILOX_SET((int64_t)(uint32_t)low),
                       from_low = PHILOX_SET((int64_t)((uint32_t)(low >> 32) ^ key[0])),
                       from_high = PHILOX_SET((int64_t)((uint32_t)(step >> 32) ^ key[1]));
    philox_lanes k0[10], k1[10];
    for (uint32_t r = 1; r < 10; r++) {
        k0[r] = PHILOX_SET((int64_t)(uint32_t)(key[0] + r * PHILOX_W0));
        k1[r] = PHILOX_SET((int64_t)(uint32_t)(key[1] + r * PHILOX_W1));
    }
    for (int i = 0; i < n; i += (int)(sizeof(philox_lanes) / 4)) {
        const philox_lanes row = PHILOX_LOAD(w0 + i), block = PHILOX_LOAD(w1 + i);
        philox_state even = philox_first(row, block, common, from_low, from_high);
        philox_state odd = philox_first(PHILOX_HIGH(row), PHILOX_HIGH(block), common, from_low, from_high);
        for (int r = 1; r < 10; r++) {
            even = philox_round(even, k0[r], k1[r]);
            odd = philox_round(odd, k0[r], k1[r]);
        }
        PHILOX_STORE(w0 + i, even.a, odd.a);
        PHILOX_STORE(w1 + i, even.b, odd.b);
        PHILOX_STORE(w2 + i, even.c, odd.c);
        PHILOX_STORE(w3 + i, even.d, odd.d);
    }
}

#else

static inline void philox_words(uint32_t *w0, uint32_t *w1, uint32_t *w2, uint32_t *w3, int n, uint64_t step,
                                const uint32_t key[2])
{
    for (int i = 0; i < n; i++) {
        uint32_t a = w0[i], b = w1[i], c = (uint32_t)step, d = (uint32_t)(step >> 32), k0 = key[0], k1 = key[1];
        for (int r = 0; r < 10; r++, k0 += PHILOX_W0, k1 += PHILOX_W1) {
            uint64_t m0 = (uint64_t)a * PHILOX_M0, m1 = (uint64_t)c * PHILOX_M1;
            a = (uint32_t)(m1 >> 32) ^ b ^ k0;
            c = (uint32_t)(m0 >> 32) ^ d ^ k1;
            b = (uint32_t)m1;
            d = (uint32_t)m0;
        }
        w0[i] = a;
        w1[i] = b;
        w2[i] = c;
        w3[i] = d;
    }
}

#endif
#endif
