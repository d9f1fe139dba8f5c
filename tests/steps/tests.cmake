# The program's steps and gradients against numpy and finite differences. Each check is a test of its own, so that a defect names what it breaks.
avi_add_checks(steps algebra constant local starts notebook saw clipping epoch adam draws stl tiles means skip rollback)
avi_add_checks(steps unbiased weights others fits)
avi_add_checks(steps precision row_values both_precisions registry)
avi_add_checks(steps features standardised located nonlinear digits dead)
avi_add_run(steps_gradients gradients TIMEOUT 600)
avi_add_run(steps_gradients_long gradients ARGS --long LABELS long TIMEOUT 7200)
avi_add_run(steps_local_rows local_rows)
avi_add_run(steps_fits_long unbiased ARGS fits_long LABELS long TIMEOUT 3600)
avi_add_run(steps_many_rows precision ARGS many_rows LABELS long TIMEOUT 3000)
avi_add_test(test_estimator RANKS 1 2 3 4 LABELS run REGISTRY)
# Begun early, since it is among the longest.
set_tests_properties(steps_gradients PROPERTIES COST 95)
# A configuration in both precisions at the same parameters, for precision.py.
add_executable(digits ${AVI_AREA_DIR}/digits.c)
target_link_libraries(digits PRIVATE avi_whole)
target_include_directories(digits PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(digits PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests ENABLE_EXPORTS ON)
