# Whether an inference function exists: verdicts and floors against closed forms in numpy.
avi_add_script(diagnose COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/diagnose.py LABELS gap TIMEOUT 240)
avi_add_script(diagnose_groups COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/groups.py LABELS gap TIMEOUT 240)
