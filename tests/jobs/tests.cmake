# The scripts of jobs/: what they refuse, and the first command of the README from end to end.
avi_add_script(jobs_refusals COMMAND ${AVI_AREA_DIR}/refusals.sh LABELS jobs)
avi_add_script(jobs_local COMMAND ${AVI_AREA_DIR}/local.sh LABELS jobs TIMEOUT 400)
avi_add_script(jobs_studies COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/studies.py LABELS jobs TIMEOUT 400)
