avi_add_script(nonlinear_quadrature COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/nonlinear_quadrature.py LABELS paper TIMEOUT 600)
