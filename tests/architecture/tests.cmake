avi_add_script(architecture COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/check_floors.py LABELS architecture)
avi_add_script(architecture_self_test COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/check_floors.py --self-test LABELS architecture)
avi_add_script(architecture_calls COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/check_calls.py ${CMAKE_BINARY_DIR} LABELS architecture)
avi_add_script(architecture_calls_self_test COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/check_calls.py --self-test LABELS architecture)
