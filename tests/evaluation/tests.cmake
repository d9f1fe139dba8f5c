# Evaluations: the ELBO and its error against closed forms and quadrature in numpy; when a fit is evaluated, and what that takes.
avi_add_script(evaluation_error COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/error.py LABELS fit TIMEOUT 300)
avi_add_script(evaluation_plan COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/plan.py LABELS fit TIMEOUT 300)
avi_add_script(evaluation_others COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/others.py LABELS fit TIMEOUT 300)
