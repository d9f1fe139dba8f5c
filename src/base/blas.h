/* The BLAS in use. */
#ifndef AVI_BASE_BLAS_H
#define AVI_BASE_BLAS_H

/* OpenBLAS chooses its kernels when it is loaded, from the model number of the processor; on a processor younger than itself it falls back to those of 2004, four to five
 * times slower. When that has happened and the instructions are there, sets OPENBLAS_CORETYPE to the best kernels that fit and starts the
 * program again in place (same process). A value set by the user is left alone. To be called first in main, before MPI starts. Not collective. */
void avi_blas_choose_kernels(char **argv);

/* Name, version and kernels of the BLAS: "OpenBLAS 0.3.21 ... SkylakeX". Owned by the library. */
const char *avi_blas_library(void);

#endif
