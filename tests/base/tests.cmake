avi_add_test(test_status LABELS base)
avi_add_test(test_arena LABELS base)
avi_add_test(test_comm RANKS 1 2 3 4 LABELS base)
avi_add_script(comm_fatal COMMAND sh ${AVI_AREA_DIR}/comm_fatal.sh $<TARGET_FILE:test_comm> LABELS base TIMEOUT 60)
