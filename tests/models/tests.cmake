avi_add_test(test_models LABELS models)
avi_add_test(test_mean_densities LABELS models)
avi_add_script(models_reference COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/reference_models.py --check ${AVI_AREA_DIR}/reference_models.h LABELS models)
avi_add_script(models_closed_forms COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/closed_forms.py LABELS models TIMEOUT 300)
