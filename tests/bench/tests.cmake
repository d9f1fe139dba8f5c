# The benchmark's harness: its form and arithmetic, never the clock. The benchmarks themselves are run.sh.
foreach(program limits bench_reduce)
  add_executable(${program} ${AVI_AREA_DIR}/${program}.c)
  target_link_libraries(${program} PRIVATE avi)
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endforeach()
add_executable(empty ${AVI_AREA_DIR}/empty.c)
target_link_libraries(empty PRIVATE MPI::MPI_C)
set_target_properties(empty PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

avi_add_script(bench_known COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py known LABELS bench TIMEOUT 120)
avi_add_script(bench_smoke COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py smoke LABELS bench TIMEOUT 120)
avi_add_script(bench_torch COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py torch LABELS bench TIMEOUT 120)
avi_add_script(bench_answer COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py answer LABELS bench TIMEOUT 120)
avi_add_script(bench_reduce COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_harness.py reduce LABELS bench TIMEOUT 120)
# How memory and allocations grow with the size of a problem; never the clock.
avi_add_script(growth COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/growth.py --check LABELS size TIMEOUT 200)
