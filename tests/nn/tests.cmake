avi_add_test(test_layers LABELS nn)
avi_add_script(nn_reference COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/reference_layers.py --check ${AVI_AREA_DIR}/reference_layers.h LABELS nn)
avi_add_checks(nn networks encoders starts decoder entries bits gradients refusals)
