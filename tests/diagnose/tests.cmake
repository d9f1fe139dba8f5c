# Whether an inference function exists: verdicts and floors against closed forms in numpy.
avi_add_script(diagnose COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/diagnose.py LABELS gap TIMEOUT 240)
