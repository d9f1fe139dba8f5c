# cmake --install BUILD --prefix ANYWHERE: program, library, headers, and what says to others how to use them; job scripts, configurations, the Python package,
# pages and modulefiles. Nothing that is installed has the prefix in it: each finds the others from where it is.
include(CMakePackageConfigHelpers)

# Libraries outside of the system's folders (modules of a cluster) are found where they were.
set_target_properties(avi_mpi avi_shared PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)

# ---- program, library, headers ---------------------------------------------------------------------------------------
# Headers of the library's users and of authors of plug-ins; those of the inside stay inside.
set(AVI_HEADERS comm config data family infer kernel model nn objective optim param partition plugin registry rng run status tape vmath)
foreach(header ${AVI_HEADERS})
  install(FILES ${CMAKE_SOURCE_DIR}/include/avi/${header}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/avi)
endforeach()
add_library(avi_headers INTERFACE)
target_include_directories(avi_headers INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(avi_shared INTERFACE avi_headers)
install(TARGETS avi_mpi RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS avi ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS avi_shared avi_headers EXPORT avi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

# ---- CMake package: find_package(avi), avi::avi, avi_add_plugin ------------------------------------------------------
set(AVI_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/avi)
set_target_properties(avi_shared PROPERTIES EXPORT_NAME avi)
set_target_properties(avi_headers PROPERTIES EXPORT_NAME headers)
install(EXPORT avi NAMESPACE avi:: FILE avi-targets.cmake DESTINATION ${AVI_CMAKE_DIR})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/avi-config.cmake.in ${CMAKE_BINARY_DIR}/avi-config.cmake INSTALL_DESTINATION ${AVI_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/avi-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/avi-config.cmake ${CMAKE_BINARY_DIR}/avi-config-version.cmake DESTINATION ${AVI_CMAKE_DIR})

# ---- pkg-config ------------------------------------------------------------------------------------------------------
# The prefix is so many folders above the file, unless somebody has asked for an absolute folder of libraries.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
  set(AVI_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(AVI_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
  file(RELATIVE_PATH AVI_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" AVI_PC_PREFIX "\${pcfiledir}/${AVI_PC_PREFIX}")
  set(AVI_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(AVI_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(AVI_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${CMAKE_SOURCE_DIR}/src/avi.pc.in ${CMAKE_BINARY_DIR}/avi.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/avi.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# ---- what people read and start --------------------------------------------------------------------------------------
set(AVI_DATA_DIR ${CMAKE_INSTALL_DATADIR}/avi_mpi)
set(AVI_PYTHON_DIR ${AVI_DATA_DIR}/analysis CACHE STRING "Where the Python package avi_mpi is installed, below the prefix")
install(FILES ${AVI_MANUAL} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${AVI_COMPLETION} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME avi_mpi)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Scripts that build have nothing to do beside an installed program.
foreach(script run vae sweep chain paper)
  install(PROGRAMS jobs/${script}.sbatch DESTINATION ${AVI_DATA_DIR}/jobs)
endforeach()
install(PROGRAMS jobs/paper.sh DESTINATION ${AVI_DATA_DIR}/jobs)
install(FILES jobs/common.sh jobs/site.conf.example jobs/README.md DESTINATION ${AVI_DATA_DIR}/jobs)
install(FILES ${CMAKE_BINARY_DIR}/launcher DESTINATION ${AVI_DATA_DIR})
install(DIRECTORY inputs DESTINATION ${AVI_DATA_DIR} PATTERN runs EXCLUDE PATTERN build EXCLUDE PATTERN __pycache__ EXCLUDE)

# The package, and the scripts that call it: these look beside them, then where Python looks.
install(DIRECTORY analysis/avi_mpi DESTINATION ${AVI_PYTHON_DIR} PATTERN __pycache__ EXCLUDE PATTERN *.pyc EXCLUDE)
install(DIRECTORY analysis/ DESTINATION ${AVI_DATA_DIR}/analysis USE_SOURCE_PERMISSIONS FILES_MATCHING PATTERN *.py PATTERN *.json PATTERN README.md
        PATTERN avi_mpi EXCLUDE PATTERN __pycache__ EXCLUDE PATTERN build EXCLUDE PATTERN *.egg-info EXCLUDE PATTERN paper_results EXCLUDE)

# `module use PREFIX/share/avi_mpi/modulefiles; module load avi_mpi`: the first is read by Lmod, the second by Environment Modules and Lmod.
foreach(name .lua "")
  install(FILES cmake/packaging/modulefile${name} DESTINATION ${AVI_DATA_DIR}/modulefiles/avi_mpi RENAME ${PROJECT_VERSION}${name})
endforeach()
