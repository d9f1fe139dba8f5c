avi_add_test(test_gp LABELS models)
avi_add_script(gp_dense COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/gp.py LABELS models linalg TIMEOUT 600)
