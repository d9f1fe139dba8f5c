/* A fault to preload into ranks: from its 200th call on, exp gives NaN on world rank 1. Data drawn from the model
 * nonlinear call it once a row; the kernels of a step have exponentials of their own.
 *
 *     LD_PRELOAD=libblot.so mpirun -np 3 avi_mpi ... */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 200 };

double exp(double x)
{
    static double (*real)(double);
    static int calls;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "exp");
    const char *open_mpi = getenv("OMPI_COMM_WORLD_RANK"), *rank = open_mpi ? open_mpi : getenv("PMI_RANK");
    return ++calls > FIRST && rank && !strcmp(rank, "1") ? (double)NAN : real(x);
}
