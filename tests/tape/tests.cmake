avi_add_test(test_gradient SOURCES test_gradient.c gradient.c cases.c LABELS tape)
avi_add_test(test_density LABELS tape)
avi_add_test(test_structure LABELS tape)
avi_add_test(test_products LABELS tape)
avi_add_test(test_gradient_sink LABELS tape)
avi_add_test(test_tape_memory LABELS tape)
target_link_options(test_tape_memory PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc)

# Costs of the operations in ns a value, to run by hand.
add_executable(bench_tape ${CMAKE_CURRENT_SOURCE_DIR}/bench/bench_tape.c)
target_link_libraries(bench_tape PRIVATE avi)
set_target_properties(bench_tape PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
