# Checkpoints: going on as if nothing had happened, what a checkpoint must hold, what is refused, and in which order files reach the disk.
# watch is a library to preload: it writes down a process's writes, syncs and renames.
add_library(watch SHARED ${AVI_AREA_DIR}/watch.c)
target_link_libraries(watch PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(watch PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

avi_add_run(resuming_whole resume)
avi_add_checks(resuming going_on parts shares damaged kept last_evaluation refused)
avi_add_checks(resuming forged forged forged_pairs older_format)
set(AVI_CHECK_ARGS $<TARGET_FILE:watch>)
avi_add_checks(resuming synced synced)
unset(AVI_CHECK_ARGS)
