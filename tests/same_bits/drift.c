/* A fault to preload into ranks: from its 20th large reduction of doubles on, world rank 1 sees one value changed by
 * one bit.
 *
 *     LD_PRELOAD=libdrift.so mpirun -np 3 avi_mpi ... */
#include <mpi.h>
#include <stdint.h>
#include <string.h>

enum { LARGE = 100 /* values: gradients, not the few scalars of an evaluation */, FIRST = 20 };

int MPI_Allreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    static int seen;
    int rank = 0;
    const int code = PMPI_Allreduce(from, to, count, type, op, comm);
    if (code != MPI_SUCCESS || type != MPI_DOUBLE || count < LARGE || ++seen < FIRST) return code;
    if (PMPI_Comm_rank(MPI_COMM_WORLD, &rank) != MPI_SUCCESS || rank != 1) return code;
    uint64_t bits;
    memcpy(&bits, to, sizeof bits);
    bits ^= UINT64_C(1) << 20; /* the last bits of a gradient may be lost in the update */
    memcpy(to, &bits, sizeof bits);
    return code;
}
