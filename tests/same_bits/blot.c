/* A fault to preload into ranks: after AVI_BLOT_AFTER calls exp gives NaN on world rank 1. Data drawn from the model
 * nonlinear call it once a row; the kernels of a step have exponentials of their own.
 *
 *     AVI_BLOT_AFTER=200 LD_PRELOAD=libblot.so mpirun -np 3 avi_mpi ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double exp(double x)
{
    static double (*real)(double);
    static long calls;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "exp");
    const char *after = getenv("AVI_BLOT_AFTER");
    const char *open_mpi = getenv("OMPI_COMM_WORLD_RANK"), *rank = open_mpi ? open_mpi : getenv("PMI_RANK");
    return after && ++calls > atol(after) && rank && !strcmp(rank, "1") ? (double)NAN : real(x);
}
