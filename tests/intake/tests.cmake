# Data as people have them: each small file with what should come of it.
avi_add_script(intake COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/intake.py LABELS run data TIMEOUT 360)
