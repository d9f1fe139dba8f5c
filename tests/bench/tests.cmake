# The benchmark's harness: its form and arithmetic, never the clock. The benchmark itself is run.sh.
add_executable(limits ${AVI_AREA_DIR}/limits.c)
target_link_libraries(limits PRIVATE avi_flags)
add_executable(empty ${AVI_AREA_DIR}/empty.c)
target_link_libraries(empty PRIVATE MPI::MPI_C)
set_target_properties(limits empty PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

avi_add_script(bench_known COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py known LABELS bench TIMEOUT 120)
avi_add_script(bench_smoke COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py smoke LABELS bench TIMEOUT 120)
avi_add_script(bench_torch COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py torch LABELS bench TIMEOUT 120)
