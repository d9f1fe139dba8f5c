# The libraries that the program is built with. All that speak MPI must be built for one MPI: two of them in one process link
# and then crash. So the MPI is found first, HDF5 and ScaLAPACK are looked for under its name, and what was found is checked.

# ---- MPI -------------------------------------------------------------------------------------------------------------
# Another MPI than the one of mpicc: -DMPI_C_COMPILER=mpicc.mpich, or MPICC=mpicc.mpich in the environment.
if(NOT MPI_C_COMPILER AND DEFINED ENV{MPICC})
  find_program(MPI_C_COMPILER NAMES $ENV{MPICC} REQUIRED)
endif()
find_package(MPI REQUIRED COMPONENTS C)
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES MPI::MPI_C)
check_c_source_compiles("#include <mpi.h>\n#ifndef OPEN_MPI\n#error\n#endif\nint main(void) { return 0; }" AVI_IS_OPEN_MPI)
check_c_source_compiles("#include <mpi.h>\n#ifndef MPICH_VERSION\n#error\n#endif\nint main(void) { return 0; }" AVI_IS_MPICH)
unset(CMAKE_REQUIRED_LIBRARIES)
if(AVI_IS_OPEN_MPI)
  set(AVI_MPI_KIND openmpi)
elseif(AVI_IS_MPICH)
  set(AVI_MPI_KIND mpich)
else()
  set(AVI_MPI_KIND mpi)
endif()

# The launcher of this MPI: beside its compiler, under the name that Debian gives it, before the one that `mpirun` happens to be.
get_filename_component(folder "${MPI_C_COMPILER}" DIRECTORY)
find_program(AVI_LAUNCHER NAMES mpirun.${AVI_MPI_KIND} mpiexec.${AVI_MPI_KIND} mpirun mpiexec NAMES_PER_DIR HINTS ${folder}
             DOC "Starts ranks; -n follows")
if(NOT AVI_LAUNCHER)
  set(AVI_LAUNCHER ${MPIEXEC_EXECUTABLE})
endif()
file(WRITE ${CMAKE_BINARY_DIR}/launcher "${AVI_LAUNCHER}\n") # for the scripts of jobs/

# avi_check_mpi(WHAT ADVICE FILE...): FILE of the library WHAT was built for the MPI found above. A shared library names its MPI in
# its list of needed libraries. A static one of Open MPI uses names that begin with ompi_mpi_, which no other MPI has.
function(avi_mpi_of file result)
  set(name "")
  get_filename_component(file "${file}" REALPATH)
  if(file MATCHES "\\.so" AND CMAKE_READELF)
    execute_process(COMMAND ${CMAKE_READELF} -d ${file} OUTPUT_VARIABLE dynamic ERROR_QUIET)
    if(dynamic MATCHES "NEEDED[^\n]*\\[(libmpi(ch)?\\.so[^]]*)\\]")
      set(name "${CMAKE_MATCH_1}")
    endif()
  elseif(file MATCHES "\\.a$" AND CMAKE_NM)
    execute_process(COMMAND ${CMAKE_NM} -u ${file} OUTPUT_VARIABLE symbols ERROR_QUIET)
    if(symbols MATCHES "ompi_mpi_")
      set(name "Open MPI (static)")
    elseif(symbols MATCHES "[ _]MPI_")
      set(name "an MPI other than Open MPI (static)")
    endif()
  endif()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

set(avi_mpi_name "")
foreach(library ${MPI_C_LIBRARIES})
  get_filename_component(library "${library}" REALPATH)
  if(library MATCHES "\\.so" AND CMAKE_READELF)
    execute_process(COMMAND ${CMAKE_READELF} -d ${library} OUTPUT_VARIABLE dynamic ERROR_QUIET)
    if(dynamic MATCHES "SONAME[^\n]*\\[(libmpi(ch)?\\.so[^]]*)\\]")
      set(avi_mpi_name "${CMAKE_MATCH_1}")
    endif()
  endif()
endforeach()

function(avi_check_mpi what advice)
  foreach(file ${ARGN})
    avi_mpi_of("${file}" name)
    if(name MATCHES "static")
      if((AVI_IS_OPEN_MPI AND NOT name MATCHES "^Open MPI") OR (NOT AVI_IS_OPEN_MPI AND name MATCHES "^Open MPI"))
        message(FATAL_ERROR "${what} was built for ${name}: ${file}. The compiler is that of ${MPI_C_LIBRARIES}. ${advice}")
      endif()
    elseif(name AND avi_mpi_name AND NOT name STREQUAL avi_mpi_name)
      message(FATAL_ERROR "${what} was built for another MPI: ${file} needs ${name}, and ${MPI_C_COMPILER} links ${avi_mpi_name}. "
                          "Two MPI libraries in one program crash. ${advice}")
    endif()
  endforeach()
endfunction()

# ---- HDF5 ------------------------------------------------------------------------------------------------------------
set(HDF5_PREFER_PARALLEL TRUE)
if(NOT HDF5_C_COMPILER_EXECUTABLE AND NOT HDF5_ROOT AND NOT DEFINED ENV{HDF5_ROOT})
  find_program(HDF5_C_COMPILER_EXECUTABLE NAMES h5pcc.${AVI_MPI_KIND} h5pcc)
endif()
find_package(HDF5 REQUIRED COMPONENTS C)
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "HDF5 was built without MPI. Install libhdf5-openmpi-dev or libhdf5-mpich-dev (Debian/Ubuntu) or load a parallel HDF5 module.")
endif()
if(HDF5_VERSION VERSION_LESS 1.10.5)
  message(FATAL_ERROR "HDF5 ${HDF5_VERSION} is too old: use 1.10.5 or later.")
endif()
avi_check_mpi(HDF5 "Install libhdf5-${AVI_MPI_KIND}-dev, load the HDF5 module of this MPI, or choose another MPI with -DMPI_C_COMPILER=..."
              ${HDF5_C_LIBRARIES} ${HDF5_C_LIBRARY_hdf5})

# ---- ScaLAPACK -------------------------------------------------------------------------------------------------------
find_package(PkgConfig REQUIRED)
# find_package(scalapack) is broken on Debian (its config names a file that is elsewhere): pkg-config, under the names it has there
# and elsewhere.
pkg_search_module(SCALAPACK IMPORTED_TARGET scalapack-${AVI_MPI_KIND} scalapack)
if(NOT SCALAPACK_FOUND)
  pkg_search_module(OTHER_SCALAPACK QUIET scalapack-openmpi scalapack-mpich)
  if(OTHER_SCALAPACK_FOUND)
    message(FATAL_ERROR "The only ScaLAPACK here, ${OTHER_SCALAPACK_LIBRARIES}, was built for another MPI than ${MPI_C_COMPILER}. "
                        "Install libscalapack-${AVI_MPI_KIND}-dev, or choose another MPI with -DMPI_C_COMPILER=...")
  endif()
  message(FATAL_ERROR "ScaLAPACK is missing (pkg-config: scalapack-${AVI_MPI_KIND} or scalapack). "
                      "Install libscalapack-${AVI_MPI_KIND}-dev (Debian/Ubuntu) or load a ScaLAPACK module.")
endif()
avi_check_mpi(ScaLAPACK "Install libscalapack-${AVI_MPI_KIND}-dev, load the ScaLAPACK module of this MPI, or choose another MPI with -DMPI_C_COMPILER=..."
              ${SCALAPACK_LINK_LIBRARIES})

# ---- BLAS and the rest -----------------------------------------------------------------------------------------------
pkg_search_module(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)

# ---- what an installed pkg-config file says --------------------------------------------------------------------------
# The names differ from system to system, so the files found above are named.
set(AVI_PC_LIBRARIES "")
foreach(library ${HDF5_C_LIBRARIES} ${SCALAPACK_LINK_LIBRARIES} ${MPI_C_LIBRARIES})
  if(library MATCHES "^(/|-)")
    string(APPEND AVI_PC_LIBRARIES " ${library}")
  else()
    string(APPEND AVI_PC_LIBRARIES " -l${library}")
  endif()
endforeach()
