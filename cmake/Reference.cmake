# What the program writes from its tables of keys and options, and what is kept in the repository since it cannot be made everywhere (a program that is built
# for another processor does not run here). After a change of a key or an option:
#
#   cmake --build build --target reference
#
# The test inputs_reference fails when one of these files is out of date.
set(AVI_MANUAL ${CMAKE_SOURCE_DIR}/cmake/packaging/avi_mpi.1)
set(AVI_COMPLETION ${CMAKE_SOURCE_DIR}/cmake/packaging/avi_mpi.bash)
add_custom_target(reference
  COMMAND avi_mpi --reference > ${CMAKE_SOURCE_DIR}/inputs/reference.ini
  COMMAND avi_mpi --reference=man > ${AVI_MANUAL}
  COMMAND avi_mpi --reference=bash > ${AVI_COMPLETION}
  VERBATIM)
