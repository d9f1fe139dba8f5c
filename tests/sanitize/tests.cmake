# AddressSanitizer and UndefinedBehaviorSanitizer: a short round in every run of the tests, and a long one.
avi_add_script(sanitize_short COMMAND ${AVI_AREA_DIR}/sanitize.sh --short ${CMAKE_BINARY_DIR}/sanitize LABELS fit TIMEOUT 600)
avi_add_script(sanitize_long COMMAND ${AVI_AREA_DIR}/sanitize.sh LABELS fit long TIMEOUT 5400)
# Begun early, since it is among the longest.
set_tests_properties(sanitize_short PROPERTIES COST 80)
