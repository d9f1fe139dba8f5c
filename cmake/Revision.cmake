# AVI_GIT_REVISION: the commit that is built, for --version and the provenance of results. In a checkout git says it, with "-dirty" where files differ from the
# commit. An archive made by `git archive` (the target `dist`, or the archives of a web page of the repository) has it in cmake/revision.txt, where git puts
# it in the place of a format. Sources that lie inside somebody else's repository (a package's, a home folder's) do not get the revision of that one.
set(AVI_GIT_REVISION "")
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --show-prefix --git-path logs/HEAD
                RESULT_VARIABLE failed OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
string(REGEX REPLACE "\n.*" "" prefix "${answer}")
if(NOT failed AND prefix STREQUAL "")
  execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} describe --always --dirty --abbrev=12
                  OUTPUT_VARIABLE AVI_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  # A build after a commit configures again.
  string(REGEX REPLACE "^.*\n" "" log "${answer}")
  get_filename_component(log "${log}" ABSOLUTE BASE_DIR ${CMAKE_SOURCE_DIR})
  if(EXISTS ${log})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${log})
  endif()
else()
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/revision.txt AVI_GIT_REVISION REGEX "^[0-9a-f]+$" LIMIT_COUNT 1)
  string(SUBSTRING "${AVI_GIT_REVISION}" 0 12 AVI_GIT_REVISION)
endif()
if(NOT AVI_GIT_REVISION)
  set(AVI_GIT_REVISION "unknown")
endif()
message(STATUS "Revision: ${AVI_GIT_REVISION}")

# The sources of the last commit, as avi_mpi-VERSION.tar.gz in the build folder.
add_custom_target(dist
  COMMAND git -C ${CMAKE_SOURCE_DIR} archive --prefix=${PROJECT_NAME}-${PROJECT_VERSION}/ -o ${CMAKE_BINARY_DIR}/${PROJECT_NAME}-${PROJECT_VERSION}.tar.gz HEAD
  VERBATIM)
