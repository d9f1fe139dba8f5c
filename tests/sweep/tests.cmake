avi_add_test(test_sweep_spec LABELS sweep)
avi_add_test(test_counter RANKS 1 3 4 LABELS sweep)
avi_add_script(sweep_runs COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/sweep.py same_at_any_groups grows loss_of_the_paper mistakes_before_anything_runs failures_stay_their_own targets
               goes_on_after_kill stops_everywhere LABELS sweep run TIMEOUT 300)
avi_add_script(sweep_afresh COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/sweep.py afresh LABELS sweep run TIMEOUT 300)
