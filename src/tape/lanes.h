/* Loops that operations share. Sums over columns run in lanes: they vectorise in strict floating point, always in the
 * same order, and are more accurate than a running sum. Terms that need an exponential are laid out flat first, a chunk
 * of rows at a time, so that they vectorise whatever the number of columns is. */
#ifndef AVI_TAPE_LANES_H
#define AVI_TAPE_LANES_H

#include "avi/kernel.h"
#include "tape/internal.h"

enum { LANES = 16, CHUNK = 1024 /* values: two arrays of them stay in L1 */ };

/* Into `result`: the sum of TERM(k) for k = first .. first + count - 1. 16 lanes while they last, then 4, then one by
 * one. */
#define LANE_SUM(result, first, count, TERM)                                                                           \
    do {                                                                                                               \
        const int64_t end_ = (first) + (count);                                                                        \
        int64_t k_ = (first);                                                                                          \
        real four_[4] = {0};                                                                                           \
        if (k_ + LANES <= end_) {                                                                                      \
            real acc_[LANES] = {0};                                                                                    \
            for (; k_ + LANES <= end_; k_ += LANES)                                                                    \
                for (int j_ = 0; j_ < LANES; j_++) acc_[j_] += TERM(k_ + j_);                                          \
            for (int j_ = 0; j_ < 8; j_++) acc_[j_] += acc_[j_ + 8];                                                   \
            for (int j_ = 0; j_ < 4; j_++) four_[j_] = acc_[j_] + acc_[j_ + 4];                                        \
        }                                                                                                              \
        for (; k_ + 4 <= end_; k_ += 4)                                                                                \
            for (int j_ = 0; j_ < 4; j_++) four_[j_] += TERM(k_ + j_);                                                 \
        real sum_ = (four_[0] + four_[2]) + (four_[1] + four_[3]);                                                     \
        for (; k_ < end_; k_++) sum_ += TERM(k_);                                                                      \
        (result) = sum_;                                                                                               \
    } while (0)

/* out[r] = sum over columns of TERM(k), k = index in (rows, cols). */
#define ROW_SUMS(out, rows, cols, TERM)                                                                                \
    do {                                                                                                               \
        const int64_t rows_ = (rows), cols_ = (cols);                                                                  \
        if (cols_ == 1)                                                                                                \
            for (int64_t r_ = 0; r_ < rows_; r_++) (out)[r_] = TERM(r_);                                               \
        else if (cols_ < 4)                                                                                            \
            for (int64_t r_ = 0; r_ < rows_; r_++) {                                                                   \
                real sum_ = TERM(r_ * cols_);                                                                          \
                for (int64_t c_ = 1; c_ < cols_; c_++) sum_ += TERM(r_ * cols_ + c_);                                  \
                (out)[r_] = sum_;                                                                                      \
            }                                                                                                          \
        else                                                                                                           \
            for (int64_t r_ = 0; r_ < rows_; r_++) LANE_SUM((out)[r_], r_ *cols_, cols_, TERM);                        \
    } while (0)

/* The sums of each row of v (rows, cols). */
static inline void row_totals(const real *restrict v, int64_t rows, int64_t cols, real *restrict out)
{
#define LANE_VALUE(k) (v[k])
    ROW_SUMS(out, rows, cols, LANE_VALUE);
#undef LANE_VALUE
}

/* NaN is left out, unless it is the first: it shows in what is computed from the values. n > 0. */
static inline real largest(const real *restrict v, int64_t n)
{
    real top[LANES];
    if (n < LANES) {
        top[0] = v[0];
        for (int64_t k = 1; k < n; k++) top[0] = v[k] > top[0] ? v[k] : top[0];
        return top[0];
    }
    for (int j = 0; j < LANES; j++) top[j] = v[0];
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int j = 0; j < LANES; j++) top[j] = v[k + j] > top[j] ? v[k + j] : top[j];
    for (; k < n; k++) top[0] = v[k] > top[0] ? v[k] : top[0];
    for (int w = LANES / 2; w > 0; w /= 2)
        for (int j = 0; j < w; j++) top[j] = top[j + w] > top[j] ? top[j + w] : top[j];
    return top[0];
}

/* Rows of a chunk: all terms of some whole rows. */
static inline int64_t chunk_rows(int64_t cols) { return cols < CHUNK ? CHUNK / (cols > 0 ? cols : 1) : 1; }
static inline int64_t chunk_values(int64_t cols) { return chunk_rows(cols) * cols; }

/* d[k] (+)= TERM(k) for all values of `node`; nothing when it needs no gradient. */
#define GRADIENT(t, node, TERM)                                                                                        \
    do {                                                                                                               \
        avi_node *node_ = (node);                                                                                      \
        bool fresh_;                                                                                                   \
        real *restrict d_ = avi_tape_grad_fresh(t, node_, &fresh_);                                                    \
        if (!d_) break;                                                                                                \
        const int64_t values_ = node_->rows * node_->cols;                                                             \
        if (fresh_)                                                                                                    \
            for (int64_t k = 0; k < values_; k++) d_[k] = TERM(k);                                                     \
        else                                                                                                           \
            for (int64_t k = 0; k < values_; k++) d_[k] += TERM(k);                                                    \
    } while (0)

/* d[k] (+)= g[row of k] * TERM(k). */
#define ROW_GRADIENT(t, node, g, TERM)                                                                                 \
    do {                                                                                                               \
        avi_node *node_ = (node);                                                                                      \
        bool fresh_;                                                                                                   \
        real *restrict d_ = avi_tape_grad_fresh(t, node_, &fresh_);                                                    \
        if (!d_) break;                                                                                                \
        const int64_t rows_ = node_->rows, cols_ = node_->cols;                                                        \
        if (cols_ == 1) {                                                                                              \
            if (fresh_)                                                                                                \
                for (int64_t k = 0; k < rows_; k++) d_[k] = (g)[k] * TERM(k);                                          \
            else                                                                                                       \
                for (int64_t k = 0; k < rows_; k++) d_[k] += (g)[k] * TERM(k);                                         \
            break;                                                                                                     \
        }                                                                                                              \
        for (int64_t r_ = 0; r_ < rows_; r_++) {                                                                       \
            const real g_ = (g)[r_];                                                                                   \
            if (fresh_)                                                                                                \
                for (int64_t k = r_ * cols_; k < (r_ + 1) * cols_; k++) d_[k] = g_ * TERM(k);                          \
            else                                                                                                       \
                for (int64_t k = r_ * cols_; k < (r_ + 1) * cols_; k++) d_[k] += g_ * TERM(k);                         \
        }                                                                                                              \
    } while (0)

#endif
