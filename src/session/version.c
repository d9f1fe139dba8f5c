#include "session/version.h"
#include "avi/comm.h"
#include "avi/store.h"
#include "base/blas.h"
#include "nn/onednn.h"

avi_version avi_version_of(void)
{
    return (avi_version)
    {
        .version = AVI_VERSION, .revision = AVI_GIT_REVISION,
#if defined(__clang__)
        .compiler = "clang " __clang_version__,
#else
        .compiler = "gcc " __VERSION__,
#endif
        .flags = AVI_FLAGS, .mpi = avi_comm_library(), .hdf5 = avi_store_library(), .blas = avi_blas_library(),
        .scalapack = AVI_SCALAPACK_VERSION, .onednn = avi_onednn_library(),
    };
}
