# The shipped configurations: the generated reference is up to date, every file is accepted.
avi_add_script(inputs_reference COMMAND ${AVI_AREA_DIR}/reference.sh LABELS inputs)
avi_add_script(inputs_accepted COMMAND ${AVI_AREA_DIR}/accepted.sh LABELS inputs TIMEOUT 300)
avi_add_script(inputs_data_table COMMAND ${AVI_AREA_DIR}/data_table.sh LABELS inputs)
