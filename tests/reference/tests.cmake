# The shipped saw data set is checked where it is found; the closed forms in any case.
avi_add_script(check_exact_reference COMMAND ${AVI_PYTHON} ${CMAKE_CURRENT_LIST_DIR}/check_exact_reference.py
               ${CMAKE_SOURCE_DIR}/inputs/paper/saw.h5 ${CMAKE_SOURCE_DIR}/../shared/data/paper/saw.h5 LABELS reference TIMEOUT 60)
