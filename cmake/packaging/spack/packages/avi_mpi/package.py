# SPDX-License-Identifier: BSD-3-Clause
# flake8: noqa: F403,F405
from spack.package import *


class AviMpi(CMakePackage):
    """Variational inference for latent-variable models on MPI clusters: factorized and amortized fits of one model,
    results that do not depend on the number of ranks, and a measure of what amortization costs."""

    # There is no address of releases yet: name the one of your copy, or install a checkout by `spack develop`.
    git = "file:///path/to/avi_mpi"

    license("BSD-3-Clause")

    version("main", branch="main")
    version("0.1.0", tag="v0.1.0")

    variant("python", default=True, description="Python package and scripts for figures")
    variant("onednn", default=True, description="Convolutions by oneDNN")
    variant("tests", default=False, description="Build the tests")

    depends_on("c", type="build")
    depends_on("cmake@3.18:", type="build")
    depends_on("pkgconfig", type="build")

    depends_on("mpi@3:")
    depends_on("hdf5@1.10.5:+mpi")
    depends_on("scalapack")
    depends_on("openblas")
    depends_on("onednn@2.6:", when="+onednn")
    depends_on("random123")
    depends_on("inih")
    depends_on("zlib-api")
    depends_on("cmocka", type="build", when="+tests")

    with when("+python"):
        depends_on("python@3.9:", type="run")
        depends_on("py-numpy@1.20:", type="run")
        depends_on("py-h5py@3:", type="run")
        depends_on("py-matplotlib@3.5:", type="run")

    # Spack's compiler wrapper adds the flags of the target, so that the package is of the processor that the spec names.
    def cmake_args(self):
        return [
            self.define("AVI_ARCH", ""),
            self.define_from_variant("AVI_ONEDNN", "onednn"),
            self.define_from_variant("AVI_TESTS", "tests"),
            self.define("MPI_C_COMPILER", self.spec["mpi"].mpicc),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
        ]

    def setup_run_environment(self, env):
        env.set("AVI_JOBS", self.prefix.share.avi_mpi.jobs)
        env.set("AVI_MPI", self.prefix.bin.avi_mpi)
        if "+python" in self.spec:
            env.prepend_path("PYTHONPATH", self.prefix.share.avi_mpi.analysis)
