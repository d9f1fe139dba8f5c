# The step loop on simulated clusters. Skipped where SimGrid is not installed. The tables are made by run.sh.
avi_add_script(scale_check COMMAND ${AVI_AREA_DIR}/run.sh --check LABELS scale TIMEOUT 300)
avi_add_script(scale_1024 COMMAND ${AVI_AREA_DIR}/run.sh --long LABELS scale long TIMEOUT 1500)
set_tests_properties(scale_check scale_1024 PROPERTIES RESOURCE_LOCK scale)
