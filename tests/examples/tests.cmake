avi_add_script(examples COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/examples.py LABELS examples TIMEOUT 300)
