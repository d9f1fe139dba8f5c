/* The nearest name by edit distance: for "did you mean". */
#include "avi/config.h"

#include <ctype.h>
#include <string.h>

enum { LONGEST = 64 };

static int smaller(int a, int b) { return a < b ? a : b; }
static int lower(char c) { return tolower((unsigned char)c); }

/* Optimal string alignment (insertion, deletion, exchange, swap of neighbours), upper and lower case alike. */
static int distance(const char *a, int a_length, const char *b, int b_length)
{
    int rows[3][LONGEST + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    for (int j = 0; j <= b_length; ++j) above[j] = j;
    for (int i = 1; i <= a_length; ++i) {
        row[0] = i;
        for (int j = 1; j <= b_length; ++j) {
            const int same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        int *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b_length];
}

const char *avi_closest(const char *word, const char *const *names, int count)
{
    const size_t length = strnlen(word, LONGEST + 1);
    if (length == 0 || length > LONGEST) return NULL;
    const int limit = length < 3 ? 1 : length < 6 ? 2 : 3;
    const char *best = NULL;
    int best_distance = limit + 1;
    for (int i = 0; (count < 0 && names[i]) || i < count; ++i) {
        const size_t other = strnlen(names[i], LONGEST + 1);
        if (other == 0 || other > LONGEST) continue;
        const int d = distance(word, (int)length, names[i], (int)other);
        /* A word that shares no letter with the name is not near, however short both are. */
        if (d < best_distance && d < (int)(length > other ? length : other)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
