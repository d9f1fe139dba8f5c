# Defects put in on purpose into a copy of the last commit (15 minutes and more); mutate.py --readme writes the table of tests/README.md.
avi_add_script(mutations COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/mutate.py LABELS long TIMEOUT 7200)
avi_add_script(mutations_apply COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/apply.py LABELS static TIMEOUT 60)
