avi_add_test(test_sweep_spec LABELS sweep)
avi_add_test(test_counter RANKS 1 3 4 LABELS sweep)
avi_add_script(sweep_runs COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/sweep.py LABELS sweep run TIMEOUT 300)
