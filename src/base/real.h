/* One kernel source, two precisions: files named k_*.c are compiled with AVI_SINGLE=1 and AVI_SINGLE=0.
 * `real` is the type, AVI_R(name) the symbol (name_f32 or name_f64), R(1.5) a constant of the type. */
#ifndef AVI_BASE_REAL_H
#define AVI_BASE_REAL_H

#if AVI_SINGLE
typedef float real;
#define AVI_R(name) name##_f32
#define R(x)        x##f
#define R_EPS       1.1920929e-7f
#define R_FN(name)  name##f /* R_FN(exp)(x) is expf(x) */
#else
typedef double real;
#define AVI_R(name) name##_f64
#define R(x)        x
#define R_EPS       2.220446049250313e-16
#define R_FN(name)  name
#endif

/* Bytes of a vector that a register holds. */
#ifdef __AVX512F__
enum { AVI_VECTOR = 64 };
#else
enum { AVI_VECTOR = 32 };
#endif

#endif
