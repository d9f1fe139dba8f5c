/* Reproducible sums in both precisions. Integers come from the bits of doubles (magic numbers), which every vector unit
 * can do. */
#include "avi/fixed_point.h"
#include "avi/kernel.h"

#include <float.h>
#include <math.h>
#include <string.h>

#if AVI_SINGLE
typedef int32_t bits;
#define MAGNITUDE     INT32_C(0x7fffffff)
#define INFINITY_BITS INT32_C(0x7f800000)
#else
typedef int64_t bits;
#define MAGNITUDE     INT64_C(0x7fffffffffffffff)
#define INFINITY_BITS INT64_C(0x7ff0000000000000)
#endif

int64_t AVI_R(avi_fixed_point_add)(int64_t *restrict sum, const real *restrict v, int64_t n, int shift, double *largest)
{
    const double scale = ldexp(1.0, shift), magic = 0x1.8p52;
    int64_t magic_bits;
    memcpy(&magic_bits, &magic, sizeof magic);
    int64_t bad = 0;
    bits top = 0; /* magnitudes of floats order as their bits do */
    for (int64_t i = 0; i < n; i++) {
        bits b;
        memcpy(&b, &v[i], sizeof b);
        b &= MAGNITUDE;
        b &= -(bits)(b < INFINITY_BITS); /* a mask, since a choice keeps the loop from being vectorised */
        top = b > top ? b : top;
    }
    for (int64_t i = 0; i < n; i++) {
        double d = (double)v[i] * scale,
               rounded = d + magic; /* one unit in the last place is 1 here: the sum is an integer */
        int64_t keep = fabs(d) < 0x1p51 ? -1 : 0, k;
        memcpy(&k, &rounded, sizeof k);
        sum[i] += (k - magic_bits) & keep;
        bad += keep + 1;
    }
    real m;
    memcpy(&m, &top, sizeof m);
    if ((double)m > *largest) *largest = (double)m;
    return bad;
}

/* The double nearest to s: halves of 32 bits are or-ed into the mantissas of 2^52 and 2^84 + 2^63, where they are
 * exact, and added with one rounding. Every vector unit can do that; few can convert. */
static inline double to_double(int64_t s)
{
    const uint64_t low = ((uint64_t)s & 0xffffffffu) | UINT64_C(0x4330000000000000),
                   high = ((uint64_t)s >> 32) ^ UINT64_C(0x4530000080000000);
    double l, h;
    memcpy(&l, &low, sizeof l);
    memcpy(&h, &high, sizeof h);
    return (h - (0x1p84 + 0x1p63 + 0x1p52)) + l;
}

double AVI_R(avi_fixed_point_read)(real *restrict v, const int64_t *restrict sum, int64_t n, int shift)
{
    const double scale = ldexp(1.0, -shift);
    bits top = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t s = sum[i];
        bits b;
#if AVI_SINGLE
        /* To double by rounding to odd, which the rounding to float that follows cannot tell from the exact value. */
        const int64_t odd = (s & ~INT64_C(0x3ff)) | ((s & 0x3ff) ? 0x400 : 0);
        s = s >= (INT64_C(1) << 53) || s <= -(INT64_C(1) << 53) ? odd : s;
#endif
        v[i] = (real)(to_double(s) * scale);
        memcpy(&b, &v[i], sizeof b);
        b &= MAGNITUDE;
        top = b > top ? b : top;
    }
    real m;
    memcpy(&m, &top, sizeof m);
    return (double)m;
}
