/* avi_mpi: variational inference for latent-variable models on MPI clusters. Everything happens in run/. */
#include "cli/command.h"

int main(int argc, char **argv) { return avi_command(argc, argv); }
