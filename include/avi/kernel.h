/* Kernels: loops over values in one source for both precisions. A file k_<name>.c is compiled twice, with
 * -DAVI_SINGLE=1 and with -DAVI_SINGLE=0 (avi_add_plugin of the CMake package does that for KERNELS). `real` is the
 * type, AVI_R(name) the symbol (name_f32 or name_f64), R(1.5) a constant of the type:
 *
 *     void AVI_R(forward_mine)(avi_tape *t, avi_node *n)
 *     {
 *         const real *restrict x = n->in[0]->value;
 *         real *restrict y = n->value;
 *         for (int64_t k = 0; k < n->rows * n->cols; k++) y[k] = vm_exp(x[k]);
 *     }
 *
 * The two become an operation of the tape by avi_custom (tape.h): .forward = {forward_mine_f32, forward_mine_f64}.
 * Elementary functions that vectorise are in vmath.h. */
#ifndef AVI_KERNEL_H
#define AVI_KERNEL_H

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
