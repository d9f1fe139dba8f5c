# Packages by `cpack -G DEB` or `cpack -G TGZ` in the build folder, of what cmake --install installs. cmake/packaging/deb.sh makes the Debian package as it is
# handed out: for every processor of the architecture, under Debian's folders. One that is made of a build for the processor at hand says so in its
# version (+native). cmake/packaging/README.md has this and the other recipes.
set(CPACK_PACKAGE_NAME avi-mpi)
set(CPACK_PACKAGE_VENDOR "the authors of avi_mpi")
set(CPACK_PACKAGE_CONTACT "the authors of avi_mpi <avi_mpi@localhost>" CACHE STRING "Maintainer of packages: NAME <ADDRESS>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION "Fits latent-variable models (variational autoencoders, state space models,
probabilistic PCA, Gaussian processes, hierarchical regressions) with
factorized or amortized variational inference, on one machine or on the
nodes of a cluster, and measures what amortization costs. Results are HDF5
files; a Python package reads and draws them.")
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_RESOURCE_FILE_README ${CMAKE_SOURCE_DIR}/README.md)
set(CPACK_GENERATOR TGZ)

set(native "")
if(AVI_ARCH STREQUAL "native")
  set(native "+native")
endif()
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION}${native})
set(CPACK_PACKAGE_FILE_NAME ${PROJECT_NAME}-${CPACK_PACKAGE_VERSION}-${AVI_MPI_KIND}-${CMAKE_SYSTEM_PROCESSOR})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
# dpkg-shlibdeps names the libraries with the versions that they must have. What is started is named here: the launcher of its MPI, and the
# language of the analysis scripts.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
if(AVI_MPI_KIND STREQUAL "openmpi")
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin, python3")
else()
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "${AVI_MPI_KIND}, python3")
endif()
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/cmake/packaging/triggers) # the loader's cache learns of libavi
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-h5py, python3-matplotlib, python3-numpy")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion, hdf5-tools, python3-xarray, slurm-client")
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/packaging/debian.cmake) # CMake 3.19; an older one leaves pages as they are
include(CPack)
