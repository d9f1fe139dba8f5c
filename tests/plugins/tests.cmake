avi_add_test(test_family LABELS plugins)
avi_add_test(test_optim LABELS plugins)
avi_add_test(test_params LABELS plugins)
avi_add_script(plugins_loaded COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/loaded.py LABELS plugins TIMEOUT 180)
