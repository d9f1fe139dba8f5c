# The scripts of analysis/ on a run.h5 written by fixture.py.
avi_add_script(analysis_report COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/report.py LABELS analysis TIMEOUT 200)
avi_add_script(analysis_figures COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/test_figures.py LABELS analysis)
