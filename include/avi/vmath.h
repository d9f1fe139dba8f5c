/* Elementary functions as plain inline arithmetic, without branches, calls or tables, so that loops over them
 * vectorise: for (int64_t i = 0; i < n; i++) y[i] = vm_exp(x[i]); `real` of kernel.h chooses the precision. Errors are
 * a few units in the last place (measured in tests/kernels/test_vmath.c). NaN comes out where NaN goes in. Results do
 * not depend on the place of a value in a vector, since every operation is an IEEE one.
 *   vm_exp          all x: 0 below, inf above
 *   vm_log          0 -> -inf, negative -> NaN, denormals right
 *   vm_softplus     log(1 + exp(x)), relative error
 *   vm_sigmoid      1 / (1 + exp(-x)), relative error on both sides
 *   vm_tanh         all x
 *   vm_sin, vm_cos  |x| <= 1e4 (beyond, the reduction loses digits)
 * Polynomials: exp by Chebyshev interpolation of (exp(r) - 1 - r) / r^2; log, sin and cos after fdlibm (Sun
 * Microsystems 1993) and Cephes (Moshier 1992). */
#ifndef AVI_VMATH_H
#define AVI_VMATH_H

#include "avi/kernel.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if AVI_SINGLE
typedef uint32_t vm_bits;
enum { VM_MANTISSA = 23, VM_BIAS = 127 };
#define VM_HALVES      0x3f3504f3u /* bits of sqrt(1/2) */
#define VM_FRACTION    0x007fffffu
#define VM_ROUND       R(0x1.8p23) /* adding it leaves the nearest integer in the low bits */
#define VM_TINY        R(0x1p-126)
#define VM_LIFT        R(0x1p24) /* brings denormals into the normal range */
#define VM_LIFT_BITS   R(24.0)
#define VM_WHOLE       0x4b000000u /* bits of 2^23: or-ing an integer below gives 2^23 + integer */
#define VM_WHOLE_VALUE R(0x1p23)
#else
typedef uint64_t vm_bits;
enum { VM_MANTISSA = 52, VM_BIAS = 1023 };
#define VM_HALVES      UINT64_C(0x3fe6a09e667f3bcd)
#define VM_FRACTION    UINT64_C(0x000fffffffffffff)
#define VM_ROUND       R(0x1.8p52)
#define VM_TINY        R(0x1p-1022)
#define VM_LIFT        R(0x1p54)
#define VM_LIFT_BITS   R(54.0)
#define VM_WHOLE       UINT64_C(0x4330000000000000)
#define VM_WHOLE_VALUE R(0x1p52)
#endif

/* ---- small parts ---------------------------------------------------------------------------------------------------
 */

static inline vm_bits vm_to_bits(real x)
{
    vm_bits b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static inline real vm_from_bits(vm_bits b)
{
    real x;
    memcpy(&x, &b, sizeof x);
    return x;
}

/* a b + c: fused where the machine has it; a library call would cost more than the digit it saves. */
static inline real vm_fma(real a, real b, real c)
{
#if AVI_SINGLE && defined(__FP_FAST_FMAF)
    return __builtin_fmaf(a, b, c);
#elif !AVI_SINGLE && defined(__FP_FAST_FMA)
    return __builtin_fma(a, b, c);
#else
    return a * b + c;
#endif
}

static inline real vm_abs(real x) { return vm_from_bits(vm_to_bits(x) & ~((vm_bits)1 << (8 * sizeof(real) - 1))); }

/* yes ? a : b by masks: a plain choice lets the compiler compute a whole function twice, once on each side, divisions
 * included. */
static inline real vm_pick(int yes, real a, real b)
{
    vm_bits mask = (vm_bits)0 - (vm_bits)yes;
    return vm_from_bits((vm_to_bits(a) & mask) | (vm_to_bits(b) & ~mask));
}

/* 2^n for n integer and in the normal range. */
static inline real vm_pow2(vm_bits n) { return vm_from_bits((n + VM_BIAS) << VM_MANTISSA); }

/* ---- exp -----------------------------------------------------------------------------------------------------------
 */

/* x = n log 2 + r, |r| <= log(2) / 2: returns exp(r) - 1, n in *n (two's complement). */
static inline real vm_exp_reduced(real x, vm_bits *n)
{
#if AVI_SINGLE
    const real ln2_high = 0x1.62e4p-1f,
               ln2_low = 0x1.7f7d1cp-20f; /* high: 15 bits, so that n * high is exact without fma */
#else
    const real ln2_high = 0x1.62e42fefap-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
#endif
    real t = vm_fma(x, R(1.44269504088896340736), VM_ROUND);
    real whole = t - VM_ROUND;
    *n = vm_to_bits(t) - vm_to_bits(VM_ROUND);
    real r = vm_fma(-whole, ln2_low, vm_fma(-whole, ln2_high, x));
#if AVI_SINGLE
    real p = vm_fma(r, 1.3926183587713494542e-3f, 8.3631790527225773704e-3f);
    p = vm_fma(r, p, 4.1666554617204574203e-2f);
    p = vm_fma(r, p, 1.6666576989698775683e-1f);
    p = vm_fma(r, p, 0.5f);
#else
    real p = vm_fma(r, 2.5100385495510319078e-8, 2.7620088445409748161e-7);
    p = vm_fma(r, p, 2.7557268459997064772e-6);
    p = vm_fma(r, p, 2.4801521295954375131e-5);
    p = vm_fma(r, p, 1.9841269863053616878e-4);
    p = vm_fma(r, p, 1.3888888917213716901e-3);
    p = vm_fma(r, p, 8.3333333333300618325e-3);
    p = vm_fma(r, p, 4.1666666666624127873e-2);
    p = vm_fma(r, p, 1.6666666666666667453e-1);
    p = vm_fma(r, p, 0.50000000000000010221);
#endif
    return vm_fma(p * r, r, r);
}

/* For results in the normal range; NaN may come out as anything. The exponent is added to the bits of 1 + p: no
 * product, so no slow denormals on the way. */
static inline real vm_exp_within(real x)
{
    vm_bits n;
    real p = vm_exp_reduced(x, &n);
    return vm_from_bits(vm_to_bits(R(1.0) + p) + (n << VM_MANTISSA));
}

/* Results below the normal range are 0. */
static inline real vm_exp(real x)
{
#if AVI_SINGLE
    const real low = -0x1.5d589ep+6f,
               high = 0x1.62e42ep+6f; /* the floats next inside the logarithms of FLT_MIN and FLT_MAX */
#else
    const real low = -0x1.6232bdd7abcd2p+9, high = 0x1.62e42fefa39efp+9;
#endif
    real y = vm_exp_within(x);
    y = x < low ? R(0.0) : y;
    return x <= high ? y : x + (real)INFINITY; /* inf, or the NaN */
}

/* ---- log -----------------------------------------------------------------------------------------------------------
 */

/* k log 2 + log(1 + f) for f in [sqrt(1/2) - 1, sqrt(2) - 1]: with s = f / (2 + f), log(1 + f) = 2 s + s R(s^2). The
 * quotient is apart for loops that take it before the rest. */
static inline real vm_log_quotient(real f) { return f / (R(2.0) + f); }

static inline real vm_log_rest(real k, real f, real s)
{
    real z = s * s, half = R(0.5) * f * f;
#if AVI_SINGLE
    const real ln2_high = 0x1.62e3p-1f, ln2_low = 0x1.2fefa4p-17f;
    real p = vm_fma(z, vm_fma(z, vm_fma(z, 0.24279078841f, 0.28498786688f), 0.40000972152f), 0.66666662693f);
#else
    const real ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    real p = vm_fma(z, 1.479819860511658591e-01, 1.531383769920937332e-01);
    p = vm_fma(z, p, 1.818357216161805012e-01);
    p = vm_fma(z, p, 2.222219843214978396e-01);
    p = vm_fma(z, p, 2.857142874366239149e-01);
    p = vm_fma(z, p, 3.999999999940941908e-01);
    p = vm_fma(z, p, 6.666666666666735130e-01);
#endif
    real tail = vm_fma(k, ln2_low, s * vm_fma(z, p, half));
    return vm_fma(k, ln2_high, f - (half - tail));
}

static inline real vm_log_sum(real k, real f) { return vm_log_rest(k, f, vm_log_quotient(f)); }

/* x > 0 and normal: x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)). */
static inline real vm_log_split(real x, real *k)
{
    const vm_bits one = (vm_bits)VM_BIAS << VM_MANTISSA;
    vm_bits b = vm_to_bits(x) + (one - VM_HALVES);
    *k = vm_from_bits((b >> VM_MANTISSA) | VM_WHOLE) - (VM_WHOLE_VALUE + (real)VM_BIAS);
    return vm_from_bits((b & VM_FRACTION) + VM_HALVES) - R(1.0);
}

static inline real vm_log(real x)
{
    int tiny = x < VM_TINY;
    real k, f = vm_log_split(vm_pick(tiny, x * VM_LIFT, x), &k);
    real y = vm_log_sum(k - vm_pick(tiny, VM_LIFT_BITS, R(0.0)), f);
    y = x < (real)INFINITY ? y : x; /* inf and NaN */
    y = x > R(0.0) ? y : x == R(0.0) ? -(real)INFINITY : x * (real)NAN;
    return y;
}

/* log(1 + u) for u in [0, 1], to full relative accuracy. */
static inline real vm_log1p_unit(real u)
{
    int upper = u > R(0.41421356237309504880), tiny = u < R(0.25) * R_EPS;
    real f = vm_pick(upper, R(0.5) * (u - R(1.0)), u);
    real y = vm_log_sum(vm_pick(upper, R(1.0), R(0.0)),
                        vm_pick(tiny, R(0.0), f)); /* the squares of tiny numbers would be slow denormals */
    return vm_pick(tiny, u, y);
}

/* ---- functions of exp ----------------------------------------------------------------------------------------------
 */

static inline real vm_softplus(real x)
{
    real y = vm_log1p_unit(vm_exp(-vm_abs(x)));
    return (x < R(0.0) ? R(0.0) : x) + y;
}

static inline real vm_sigmoid(real x)
{
    real e = vm_exp(-vm_abs(x));
    return vm_pick(x < R(0.0), e, R(1.0)) / (R(1.0) + e);
}

/* tanh|x| = -m / (2 + m) with m = exp(-2|x|) - 1, which loses no digits near 0. */
static inline real vm_tanh(real x)
{
    const vm_bits sign = vm_to_bits(x) & ((vm_bits)1 << (8 * sizeof(real) - 1));
    real a = vm_abs(x);
    a = a > R(22.0) ? R(22.0) : a;
    vm_bits n;
    real p = vm_exp_reduced(R(-2.0) * a, &n), scale = vm_pow2(n);
    real m = vm_fma(scale, p, scale - R(1.0));
    return vm_from_bits(vm_to_bits(vm_abs(m / (R(2.0) + m))) | sign);
}

/* ---- sin and cos ---------------------------------------------------------------------------------------------------
 */

/* sin(r) and cos(r), |r| <= pi/4 (a little more does no harm). */
static inline real vm_sin_quarter(real r)
{
    real z = r * r;
#if AVI_SINGLE
    real p = vm_fma(z, vm_fma(z, -1.9515295891e-4f, 8.3321608736e-3f), -1.6666654611e-1f);
#else
    real p = vm_fma(z, 1.58969099521155010221e-10, -2.50507602534068634195e-08);
    p = vm_fma(z, p, 2.75573137070700676789e-06);
    p = vm_fma(z, p, -1.98412698298579493134e-04);
    p = vm_fma(z, p, 8.33333333332248946124e-03);
    p = vm_fma(z, p, -1.66666666666666324348e-01);
#endif
    return vm_fma(p * z, r, r);
}

static inline real vm_cos_quarter(real r)
{
    real z = r * r;
#if AVI_SINGLE
    real p = vm_fma(z, vm_fma(z, 2.443315711809948e-5f, -1.388731625493765e-3f), 4.166664568298827e-2f);
#else
    real p = vm_fma(z, -1.13596475577881948265e-11, 2.08757232129817482790e-09);
    p = vm_fma(z, p, -2.75573143513906633035e-07);
    p = vm_fma(z, p, 2.48015872894767294178e-05);
    p = vm_fma(z, p, -1.38888888888741095749e-03);
    p = vm_fma(z, p, 4.16666666666666019037e-02);
#endif
    return vm_fma(z, vm_fma(z, p, R(-0.5)), R(1.0));
}

/* quarter 0: sin r, 1: cos r, 2: -sin r, 3: -cos r. */
static inline real vm_quarter(real r, vm_bits quarter)
{
    real y = (quarter & 1) ? vm_cos_quarter(r) : vm_sin_quarter(r);
    return vm_from_bits(vm_to_bits(y) ^ ((quarter & 2) << (8 * sizeof(real) - 2)));
}

/* x = n pi/2 + r; three parts of pi/2 (Cody & Waite). The products must be exact, so fma it is, also where that is a
 * library call. */
static inline real vm_quarter_turns(real x, vm_bits *n)
{
#if AVI_SINGLE
    const real a = 0x1.921fb6p+0f, b = -0x1.777a5cp-25f, c = -0x1.ee59dap-50f;
#else
    const real a = 0x1.921fb54442d18p+0, b = 0x1.1a62633145c07p-54, c = -0x1.f1976b7ed8fbcp-110;
#endif
    real t = vm_fma(x, R(0.63661977236758134308), VM_ROUND);
    real whole = t - VM_ROUND;
    *n = vm_to_bits(t) - vm_to_bits(VM_ROUND);
    return R_FN(fma)(-whole, c, R_FN(fma)(-whole, b, R_FN(fma)(-whole, a, x)));
}

static inline real vm_sin(real x)
{
    vm_bits n;
    real r = vm_quarter_turns(x, &n);
    return vm_quarter(r, n);
}

static inline real vm_cos(real x)
{
    vm_bits n;
    real r = vm_quarter_turns(x, &n);
    return vm_quarter(r, n + 1);
}

#endif
