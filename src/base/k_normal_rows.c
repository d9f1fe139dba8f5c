/* Standard normals of rows that are named one by one, for rows in an order of their own (shuffled data that are drawn
 * when they are needed). The same values as avi_normal (k_normal.c), which takes consecutive rows: panels of counters
 * run down the list, one block of four columns after the other. */
#include "avi/rng.h"
#include "base/box_muller.h"
#include "base/philox.h"

/* Words of up to PANEL rows; the rest of the panel repeats the last one. */
static void fill(avi_stream s, const int64_t *row, int count, uint32_t block, uint32_t w[4][PANEL])
{
    for (int i = 0; i < PANEL; i++) {
        const uint64_t r = (uint64_t)row[i < count ? i : count - 1];
        w[0][i] = (uint32_t)r;
        w[1][i] = ((uint32_t)(r >> 32) << 24) ^ block;
    }
    philox_words(w[0], w[1], w[2], w[3], PANEL, s.step, s.key);
}

/* Columns [first, end) of one block, which are columns [at, at + end - first) of out (rows, cols). */
static void one_block(avi_stream s, const int64_t *row, int count, uint32_t block, int first, int end, int64_t cols,
                      real *out)
{
    uint32_t w[4][PANEL];
    real z[4][PANEL];
    fill(s, row, count, block, w);
    if (first < 2) box_muller_pair(w[0], w[1], z[0], z[1]);
    if (end > 2) box_muller_pair(w[2], w[3], z[2], z[3]);
    for (int i = 0; i < count; i++)
        for (int j = first; j < end; j++) out[i * cols + j - first] = z[j][i];
}

void AVI_R(avi_normal_rows)(avi_stream s, const int64_t *row, int64_t rows, int64_t first_col, int64_t cols, real *out)
{
    const int64_t end_col = first_col + cols;
    for (int64_t done = 0; done < rows; done += PANEL) {
        const int count = rows - done < PANEL ? (int)(rows - done) : PANEL;
        for (int64_t col = first_col; col < end_col;) {
            const int64_t block = col / 4, next = 4 * block + 4 < end_col ? 4 * block + 4 : end_col;
            one_block(s, row + done, count, (uint32_t)block, (int)(col - 4 * block), (int)(next - 4 * block), cols,
                      out + done * cols + (col - first_col));
            col = next;
        }
    }
}
