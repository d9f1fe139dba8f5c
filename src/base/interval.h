/* Which of consecutive intervals has a number. Not collective. */
#ifndef AVI_BASE_INTERVAL_H
#define AVI_BASE_INTERVAL_H

#include <stdint.h>

/* The last i in [0, count) with first[i] <= value; first (count, at least 1) does not decrease, and of equal ones,
 * which are intervals without numbers, the last is taken. 0 where all are larger. */
static inline int64_t avi_interval_of(const int64_t *first, int64_t count, int64_t value)
{
    int64_t low = 0, high = count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (first[middle] <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

#endif
