# A short round in every run of the tests; the long one (100 kills, 20 of each signal, all disk faults) by its label.
avi_add_script(faults_short COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/faults.py --short LABELS run TIMEOUT 400)
avi_add_script(faults_long COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/faults.py --long --table faults.md LABELS faults TIMEOUT 7200)
# Signals in every task, and the standard streams: each check is a test of its own.
foreach(check loading tasks of_a_fit evaluations last_evaluation sweeps second streams)
  avi_add_script(signals_${check} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/signals.py ${check} LABELS run TIMEOUT 300)
endforeach()
# Every system call on the output folder fails once.
add_library(shim SHARED ${AVI_AREA_DIR}/shim.c)
target_link_libraries(shim PRIVATE ${CMAKE_DL_LIBS})
set_target_properties(shim PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
avi_add_script(calls COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/calls.py $<TARGET_FILE:shim> LABELS run TIMEOUT 300)
avi_add_script(calls_long COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/calls.py $<TARGET_FILE:shim> --long --jobs 2 --table calls.md LABELS faults TIMEOUT 14400)
avi_add_script(links COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/links.py LABELS run TIMEOUT 200)
