# One package for nodes of several kinds: with a list in AVI_ARCH, from the oldest level on, the program is built once for each. `avi_mpi` is built for
# the first one; started on a processor that has more, it hands over to the program beside it that was built for the last level that the processor
# has (base/processor.h). The library and the tests are of the first level.
#
#   jobs/build.sh "-DAVI_ARCH=x86-64-v2;x86-64-v3;x86-64-v4"
set(levels ${AVI_ARCH})
if(levels)
  list(REMOVE_AT levels 0)
endif()
string(REPLACE ";" " " words "${levels}")
set_property(SOURCE ${CMAKE_SOURCE_DIR}/src/main.c APPEND PROPERTY COMPILE_DEFINITIONS AVI_LEVELS="${words}")

if(levels)
  # The other builds get what this one was told and has found.
  set(cache "")
  get_cmake_property(names CACHE_VARIABLES)
  foreach(name ${names})
    get_property(type CACHE ${name} PROPERTY TYPE)
    if(type MATCHES "^(BOOL|PATH|FILEPATH|STRING|UNINITIALIZED)$" AND NOT name MATCHES "^AVI_(ARCH|TESTS)$")
      string(APPEND cache "set(${name} [==[${${name}}]==] CACHE ${type} \"\")\n")
    endif()
  endforeach()
  string(REPLACE "CACHE UNINITIALIZED" "CACHE STRING" cache "${cache}")
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/levels/cache.cmake CONTENT "${cache}")
  cmake_host_system_information(RESULT processors QUERY NUMBER_OF_LOGICAL_CORES)
  set(before avi_mpi)
  foreach(level ${levels})
    set(folder ${CMAKE_BINARY_DIR}/levels/${level})
    add_custom_target(avi_mpi-${level} ALL
      COMMAND ${CMAKE_COMMAND} -C ${CMAKE_BINARY_DIR}/levels/cache.cmake -S ${CMAKE_SOURCE_DIR} -B ${folder} -G ${CMAKE_GENERATOR} -DAVI_ARCH=${level} -DAVI_TESTS=OFF
      COMMAND ${CMAKE_COMMAND} --build ${folder} --target avi_mpi -j ${processors}
      COMMAND ${CMAKE_COMMAND} -E copy_if_different ${folder}/avi_mpi ${CMAKE_BINARY_DIR}/avi_mpi-${level}
      VERBATIM)
    add_dependencies(avi_mpi-${level} ${before}) # one after another
    set(before avi_mpi-${level})
    install(PROGRAMS ${CMAKE_BINARY_DIR}/avi_mpi-${level} DESTINATION ${CMAKE_INSTALL_BINDIR})
  endforeach()
endif()
