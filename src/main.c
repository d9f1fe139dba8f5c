/* avi_mpi: variational inference for latent-variable models on MPI clusters. Everything happens in cli/. */
#include "base/processor.h"
#include "cli/command.h"

int main(int argc, char **argv)
{
    /* This file and base/processor.c are compiled for the oldest processor, so that the question can be asked. */
    const int unfit = avi_processor_check();
    return unfit ? unfit : avi_command(argc, argv);
}
