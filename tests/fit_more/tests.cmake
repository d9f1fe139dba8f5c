# Whole runs of a second or two against numpy and against each other; each check is a test of its own, so that a defect names what it breaks.
function(avi_add_checks script)
  foreach(check ${ARGN})
    avi_add_script(more_${check} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/${script}.py ${AVI_CHECK_ARGS} ${check} LABELS fit TIMEOUT 300)
  endforeach()
endfunction()

# Libraries to preload.
add_library(drift SHARED ${AVI_AREA_DIR}/drift.c)
target_link_libraries(drift PRIVATE MPI::MPI_C)
add_library(watch SHARED ${AVI_AREA_DIR}/watch.c)
target_link_libraries(watch PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(drift watch PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

avi_add_checks(algebra constant local saw clipping epoch adam draws stl tiles means skip rollback)
avi_add_checks(same_bits network global_draws clipped_rows chain window)
avi_add_checks(going_on parts damaged refused)
avi_add_checks(stopping ends some_rows budget)
avi_add_script(more_stopping_refused COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/stopping.py refused LABELS fit TIMEOUT 300)
set(AVI_CHECK_ARGS $<TARGET_FILE:drift>)
avi_add_checks(ranks_agree drift one_signal)
set(AVI_CHECK_ARGS $<TARGET_FILE:watch>)
avi_add_checks(synced synced)
unset(AVI_CHECK_ARGS)
