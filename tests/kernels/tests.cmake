# vmath.h holds inline functions: two objects make arrays of them, one in each precision, with the flags of the kernels.
foreach(type single double)
  add_library(vmath_${type} OBJECT ${AVI_AREA_DIR}/vmath_arrays.c)
  target_link_libraries(vmath_${type} PRIVATE avi_flags)
endforeach()
target_compile_definitions(vmath_single PRIVATE AVI_SINGLE=1)
target_compile_definitions(vmath_double PRIVATE AVI_SINGLE=0)

avi_add_test(test_words LABELS kernels)
avi_add_test(test_permutation LABELS kernels)
avi_add_test(test_normal LABELS kernels TIMEOUT 120)
avi_add_test(test_exact LABELS kernels)
avi_add_test(test_vmath LABELS kernels TIMEOUT 120)
target_link_libraries(test_vmath PRIVATE vmath_single vmath_double)

add_executable(bench_kernels ${AVI_AREA_DIR}/../bench/bench_kernels.c)
target_link_libraries(bench_kernels PRIVATE avi vmath_single vmath_double)
target_include_directories(bench_kernels PRIVATE ${AVI_AREA_DIR})
set_target_properties(bench_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
