avi_add_script(exact_answers COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/exact.py LABELS exact TIMEOUT 400)
avi_add_script(exact_answers_long COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/exact.py --long linear LABELS "exact;paper" TIMEOUT 400)
avi_add_script(exact_fits COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/fits.py linear saw hmm ppca precision task refusals LABELS exact TIMEOUT 400)
avi_add_script(exact_kept COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/fits.py kept LABELS exact TIMEOUT 200)
