# What must hold on every system: processors, libraries, other distributions.
avi_add_test(test_processor LABELS platforms)
avi_add_script(platforms_processor COMMAND ${AVI_AREA_DIR}/processor.sh LABELS platforms)
