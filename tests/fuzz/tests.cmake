# Each fuzz_NAME.c holds a libFuzzer target; its seeds are in corpus/NAME. In ctest the seeds and some changed ones are run, with any
# compiler. To search longer: build-type Sanitize, then fuzz_NAME -random 1000000 SEED corpus/NAME (or clang -fsanitize=fuzzer).
file(GLOB AVI_FUZZ_TARGETS CONFIGURE_DEPENDS ${AVI_AREA_DIR}/fuzz_*.c)
list(REMOVE_ITEM AVI_FUZZ_TARGETS ${AVI_AREA_DIR}/fuzz_main.c)
foreach(target ${AVI_FUZZ_TARGETS})
  get_filename_component(fuzz ${target} NAME_WE)
  string(REPLACE "fuzz_" "" corpus ${fuzz})
  add_executable(${fuzz} ${target} ${AVI_AREA_DIR}/fuzz_main.c)
  target_link_libraries(${fuzz} PRIVATE avi)
  set_target_properties(${fuzz} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${fuzz} COMMAND ${fuzz} -random 3000 1 ${AVI_AREA_DIR}/corpus/${corpus})
  set_tests_properties(${fuzz} PROPERTIES TIMEOUT 120 LABELS fuzz WORKING_DIRECTORY ${CMAKE_BINARY_DIR} ENVIRONMENT "${AVI_TEST_ENV}")
endforeach()
