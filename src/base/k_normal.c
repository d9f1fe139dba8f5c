/* Standard normals: Philox4x32-10 (Salmon et al. 2011) on a panel of counters side by side, then Box & Muller (1958).
 * One counter (row, block) gives columns 4 block .. 4 block + 3. Panels are filled row by row, whatever the shape asked
 * for, so that many rows of one column run as fast as one row of many; a panel is always computed whole, by the same
 * code. */
#include "avi/rng.h"
#include "base/box_muller.h"
#include "base/philox.h"
#include "avi/vmath.h"

typedef struct panel {
    uint32_t w[4][PANEL]; /* the first two: rows and blocks of counters; then random words */
} panel;

/* ---- Box-Muller ----------------------------------------------------------------------------------------------------
 */

/* All four columns of every counter: z is (PANEL, 4). */
static void four_columns(const panel *p, real *restrict z)
{
    real r0[PANEL], r1[PANEL];
    box_muller_radii(p->w[0], r0);
    box_muller_radii(p->w[2], r1);
    for (int i = 0; i < PANEL; i++) {
        real c0, s0, c1, s1;
        box_muller_angle(p->w[1][i], &c0, &s0);
        box_muller_angle(p->w[3][i], &c1, &s1);
        z[4 * i] = r0[i] * c0;
        z[4 * i + 1] = r0[i] * s0;
        z[4 * i + 2] = r1[i] * c1;
        z[4 * i + 3] = r1[i] * s1;
    }
}

/* ---- one block wide: panels run down the rows ----------------------------------------------------------------------
 */

static void narrow(avi_stream s, uint64_t first_row, int64_t rows, uint32_t block, int first, int end, real *out)
{
    const int cols = end - first;
    for (int64_t done = 0; done < rows; done += PANEL, out += (int64_t)PANEL * cols) {
        panel p;
        for (uint32_t i = 0; i < PANEL; i++) {
            uint64_t row = first_row + (uint64_t)done + i;
            p.w[0][i] = (uint32_t)row;
            p.w[1][i] = ((uint32_t)(row >> 32) << 24) ^ block;
        }
        philox_words(p.w[0], p.w[1], p.w[2], p.w[3], PANEL, s.step, s.key);
        real z[4][PANEL];
        if (first < 2) box_muller_pair(p.w[0], p.w[1], z[0], z[1]);
        if (end > 2) box_muller_pair(p.w[2], p.w[3], z[2], z[3]);
        int count = rows - done < PANEL ? (int)(rows - done) : PANEL;
        for (int j = 0; j < cols; j++)
            for (int i = 0; i < count; i++) out[i * cols + j] = z[first + j][i];
    }
}

/* ---- several blocks wide: panels run along the rows ----------------------------------------------------------------
 */

typedef struct cursor { /* next (row, block) of a range, row by row */
    uint64_t row;
    uint32_t block, first_block, last_block;
} cursor;

static inline void advance(cursor *c)
{
    int last = c->block == c->last_block;
    c->block = last ? c->first_block : c->block + 1;
    c->row += (uint64_t)last;
}

/* A panel of counters from *c on, all lanes side by side. How many rows further lane i is takes a division of small
 * numbers; a product with the rounded reciprocal is right too, half a unit away from whole numbers. */
static void counters(panel *p, cursor *c)
{
    const int32_t blocks = (int32_t)(c->last_block - c->first_block + 1), at = (int32_t)(c->block - c->first_block);
    const uint32_t low = (uint32_t)c->row, high = (uint32_t)(c->row >> 32), first = c->first_block;
    int32_t rows[PANEL];
    const float inverse = 1.0f / (float)blocks;
    if (blocks >= PANEL)
        for (int i = 0; i < PANEL; i++) rows[i] = at + i >= blocks;
    else
        for (int i = 0; i < PANEL; i++) rows[i] = (int32_t)(((float)(at + i) + 0.5f) * inverse);
    for (int i = 0; i < PANEL; i++) {
        const uint32_t r = low + (uint32_t)rows[i];
        p->w[0][i] = r;
        p->w[1][i] = (high + (r < low)) << 24 ^ (first + (uint32_t)(at + i - rows[i] * blocks));
    }
    c->row += (uint64_t)((at + PANEL) / blocks);
    c->block = first + (uint32_t)((at + PANEL) % blocks);
}

/* The next `count` counters' values go to `out`, the place of the next value; clipped to columns [first_col, end_col).
 * Returns the place after. */
static real *place(const real *z, int count, cursor c, int64_t first_col, int64_t end_col, real *out)
{
    for (int i = 0; i < count; i++, advance(&c)) {
        int64_t col = (int64_t)c.block * 4;
        int64_t from = col < first_col ? first_col - col : 0, to = col + 4 > end_col ? end_col - col : 4;
        if (to - from == 4)
            memcpy(out, z + 4 * i, 4 * sizeof *z);
        else
            for (int64_t j = from; j < to; j++) out[j - from] = z[4 * i + j];
        out += to - from;
    }
    return out;
}

void AVI_R(avi_normal)(avi_stream s, uint64_t first_row, int64_t rows, int64_t first_col, int64_t cols, real *out)
{
    if (rows <= 0 || cols <= 0) return;
    const int64_t end_col = first_col + cols;
    cursor c = {first_row, (uint32_t)(first_col / 4), (uint32_t)(first_col / 4), (uint32_t)((end_col - 1) / 4)};
    if (c.first_block == c.last_block) {
        int first = (int)(first_col % 4);
        narrow(s, first_row, rows, c.block, first, first + (int)cols, out);
        return;
    }
    const bool whole = first_col % 4 == 0 && end_col % 4 == 0;
    int64_t left = rows * ((int64_t)c.last_block - c.first_block + 1);
    for (; left > 0; left -= PANEL) {
        panel p;
        real z[4 * PANEL];
        const cursor here = c;
        counters(&p, &c);
        philox_words(p.w[0], p.w[1], p.w[2], p.w[3], PANEL, s.step, s.key);
        if (whole && left >= PANEL) { /* no value to leave out: straight to their place */
            four_columns(&p, out);
            out += 4 * PANEL;
            continue;
        }
        four_columns(&p, z);
        out = place(z, left < PANEL ? (int)left : PANEL, here, first_col, end_col, out);
    }
}
