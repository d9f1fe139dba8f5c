# The gap ledger against closed forms, and k-hat against an implementation of its own in numpy.
add_executable(gap_psis ${AVI_AREA_DIR}/psis.c)
target_link_libraries(gap_psis PRIVATE avi)
set_target_properties(gap_psis PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
avi_add_script(gap_ledger COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/ledger.py --psis $<TARGET_FILE:gap_psis> LABELS gap TIMEOUT 240)
avi_add_script(gap_going_on COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/going_on.py LABELS gap TIMEOUT 240)
avi_add_script(gap_semi COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/semi.py LABELS gap TIMEOUT 120)
