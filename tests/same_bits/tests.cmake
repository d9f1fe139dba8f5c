# The number of ranks does not show: to rounding in the fast mode, not at all with run.reproducible = yes; and what ranks must agree on.
# drift and blot are faults to preload.
foreach(fault drift blot)
  add_library(${fault} SHARED ${AVI_AREA_DIR}/${fault}.c)
  set_target_properties(${fault} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endforeach()
target_link_libraries(drift PRIVATE MPI::MPI_C)
target_link_libraries(blot PRIVATE ${CMAKE_DL_LIBS})

avi_add_run(same_bits_ranks ranks)
avi_add_run(same_bits_registry registry TIMEOUT 600)
avi_add_run(same_bits_registry_long registry ARGS --long LABELS long TIMEOUT 3600)
avi_add_checks(same_bits parts network global_draws clipped_rows chain window plain)
set(AVI_CHECK_ARGS $<TARGET_FILE:drift>)
avi_add_checks(same_bits ranks_agree drift one_signal)
set(AVI_CHECK_ARGS $<TARGET_FILE:blot>)
avi_add_checks(same_bits streaming streamed_bits streamed_resumed streamed_refused streamed_large streamed_pass streamed_broken last_rows)
unset(AVI_CHECK_ARGS)
# Begun early, since it is among the longest.
set_tests_properties(same_bits_registry PROPERTIES COST 90)
