# A fit that is done, used on other rows: against closed forms and numpy, killed, read-only, refused.
avi_add_script(use_fitted COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/fitted.py LABELS run TIMEOUT 240)
avi_add_script(use_opened COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/opened.py LABELS run TIMEOUT 240)
avi_add_script(use_scales COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/scales.py LABELS run TIMEOUT 240)
avi_add_script(use_xarray COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/scales.py xarray LABELS run TIMEOUT 240)
avi_add_script(use_missing COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/missing.py LABELS run TIMEOUT 120)
avi_add_script(use_interrupted COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/interrupted.py LABELS run TIMEOUT 180)
