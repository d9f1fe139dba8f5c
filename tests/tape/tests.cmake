avi_add_test(test_gradient SOURCES test_gradient.c gradient.c cases.c LABELS tape)

# Costs of the operations in ns a value, to run by hand.
add_executable(bench_tape ${CMAKE_CURRENT_SOURCE_DIR}/bench/bench_tape.c)
target_link_libraries(bench_tape PRIVATE avi)
set_target_properties(bench_tape PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
