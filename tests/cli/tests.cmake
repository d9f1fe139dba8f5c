# The command as a person meets it, and bad input.
avi_add_script(cli COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_cli.py LABELS run TIMEOUT 300)
avi_add_script(bad_input COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/bad_input.py LABELS run TIMEOUT 300)
avi_add_script(status COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/status.py LABELS run TIMEOUT 200)
