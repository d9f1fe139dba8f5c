/* Standard normals: Philox4x32-10 (Salmon et al. 2011) on a panel of counters side by side, then Box & Muller (1958).
 * One counter (row, block) gives columns 4 block .. 4 block + 3. Panels are filled row by row, whatever the shape asked for, so that
 * many rows of one column run as fast as one row of many; a panel is always computed whole, by the same code. */
#include "avi/rng.h"
#include "base/vmath.h"

enum { PANEL = 64 };

typedef struct panel {
    uint32_t w[4][PANEL]; /* counters, then random words */
} panel;

/* ---- words --------------------------------------------------------------------------------------------------------- */

static void philox(panel *restrict p, const uint32_t key[2])
{
    for (int i = 0; i < PANEL; i++) {
        uint32_t a = p->w[0][i], b = p->w[1][i], c = p->w[2][i], d = p->w[3][i], k0 = key[0], k1 = key[1];
        for (int r = 0; r < 10; r++) {
            uint64_t m0 = (uint64_t)a * 0xD2511F53u, m1 = (uint64_t)c * 0xCD9E8D57u;
            a = (uint32_t)(m1 >> 32) ^ b ^ k0;
            c = (uint32_t)(m0 >> 32) ^ d ^ k1;
            b = (uint32_t)m1;
            d = (uint32_t)m0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        p->w[0][i] = a;
        p->w[1][i] = b;
        p->w[2][i] = c;
        p->w[3][i] = d;
    }
}

/* ---- Box-Muller ---------------------------------------------------------------------------------------------------- */

/* sqrt(-2 log u) for u = (w + 1/2) / 2^32, never 0. Above 1/2 the small number 1 - u is what keeps its digits, so that single
 * precision sees the radius of double precision at both ends. */
static inline real radius(uint32_t w)
{
    uint32_t upper = (uint32_t)((int32_t)w >> 31);
    real v = ((real)(int32_t)(w ^ upper) + R(0.5)) * R(0x1p-32); /* min(u, 1 - u) */
    real u = upper ? R(1.0) - v : v;
    real k, f = vm_log_split(u, &k);
    f = k == R(0.0) ? -v : f; /* k = 0 means u >= sqrt(1/2) */
    return R_FN(sqrt)(R(-2.0) * vm_log_sum(k, f));
}

/* Angle 2 pi w / 2^32 = quarter pi/2 + r, split in integers, so exactly. */
static inline void angle(uint32_t w, real *cosine, real *sine)
{
    int32_t rest = (int32_t)(w << 2) >> 2;
    uint32_t quarter = (w - (uint32_t)rest) >> 30;
    real r = (real)rest * R(1.46291807926715968105e-9); /* 2 pi / 2^32 */
    real s = vm_sin_quarter(r), c = vm_cos_quarter(r);
    real x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
    const int top = 8 * (int)sizeof(real) - 2;
    *cosine = vm_from_bits(vm_to_bits(x) ^ (vm_bits)((quarter + 1) & 2) << top);
    *sine = vm_from_bits(vm_to_bits(y) ^ (vm_bits)(quarter & 2) << top);
}

static void box_muller(const uint32_t *restrict w0, const uint32_t *restrict w1, real *restrict z0, real *restrict z1)
{
    for (int i = 0; i < PANEL; i++) {
        real c, s, r = radius(w0[i]);
        angle(w1[i], &c, &s);
        z0[i] = r * c;
        z1[i] = r * s;
    }
}

/* ---- panels over a range ------------------------------------------------------------------------------------------- */

typedef struct cursor { /* next (row, block) of a range, row by row */
    uint64_t row;
    uint32_t block, first_block, last_block;
} cursor;

static inline void advance(cursor *c)
{
    if (c->block++ == c->last_block) {
        c->block = c->first_block;
        c->row++;
    }
}

static void counters(panel *p, cursor c, uint64_t step)
{
    for (int i = 0; i < PANEL; i++, advance(&c)) {
        p->w[0][i] = (uint32_t)c.row;
        p->w[1][i] = ((uint32_t)(c.row >> 32) << 24) ^ c.block;
        p->w[2][i] = (uint32_t)step;
        p->w[3][i] = (uint32_t)(step >> 32);
    }
}

void AVI_R(avi_normal)(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols, real *out)
{
    if (rows <= 0 || cols <= 0)
        return;
    const int64_t end_col = first_col + cols;
    cursor c = { first_row, (uint32_t)(first_col / 4), (uint32_t)(first_col / 4), (uint32_t)((end_col - 1) / 4) };
    int64_t left = rows * (c.last_block - c.first_block + 1);
    while (left > 0) {
        panel p;
        real z[4][PANEL];
        counters(&p, c, s.step);
        philox(&p, s.key);
        box_muller(p.w[0], p.w[1], z[0], z[1]);
        box_muller(p.w[2], p.w[3], z[2], z[3]);
        int count = left < PANEL ? (int)left : PANEL;
        for (int i = 0; i < count; i++, advance(&c)) {
            int64_t col = (int64_t)c.block * 4;
            real *row = out + (int64_t)(c.row - first_row) * cols - first_col;
            for (int j = 0; j < 4; j++)
                if (col + j >= first_col && col + j < end_col)
                    row[col + j] = z[j][i];
        }
        left -= count;
    }
}
