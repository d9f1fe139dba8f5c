/* The BLAS in use. */
#ifndef AVI_BASE_BLAS_H
#define AVI_BASE_BLAS_H

#include "avi/status.h"

/* OpenBLAS chooses its kernels when it is loaded, from the model number of the processor; on a processor younger than
 * itself it falls back to those of 2004, four to five times slower. When that has happened and the instructions are
 * there, sets OPENBLAS_CORETYPE to the best kernels that fit and starts the program again in place (same process). A
 * value set by the user is left alone. To be called first in main, before MPI starts. Not collective. */
void avi_blas_choose_kernels(char **argv);

/* Has the BLAS use one thread in this process from now on, whichever it is (OpenBLAS, MKL, BLIS, FlexiBLAS), and
 * OpenMP, which oneDNN may use: with more, ranks of a node fight for its cores (3-10 times slower at two ranks). Not
 * collective. */
void avi_blas_one_thread(void);

/* Has the BLAS take its work space now. OpenBLAS waits for ever when memory for it cannot be had, so that is tried
 * first. Errors: INTERNAL. Not collective. */
avi_status avi_blas_reserve(void);

/* Name and version of the BLAS, of OpenBLAS with its kernels: "OpenBLAS 0.3.21 ... SkylakeX", "BLIS 0.9.0". Owned by
 * the library. */
const char *avi_blas_library(void);

#endif
