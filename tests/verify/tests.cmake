# What is seen of a run while it goes on, and whether it can be computed again to the bit. fast_clock is a clock to preload.
add_library(fast_clock SHARED ${AVI_AREA_DIR}/fast_clock.c)
set_target_properties(fast_clock PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
avi_add_run(watching watching ARGS $<TARGET_FILE:fast_clock> TIMEOUT 200)
avi_add_run(verify verify TIMEOUT 400)
avi_add_run(verify_long verify ARGS --long LABELS long TIMEOUT 7200)
# Begun early, since it is among the longest: the round would end with it alone.
set_tests_properties(verify PROPERTIES COST 100)
