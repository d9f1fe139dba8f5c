# How runs end: nothing false is called done, stop rules, finished runs that are called again.
avi_add_checks(endings endings nan_rows bad_steps rules swept first_step)
avi_add_checks(endings finished again alone replaced cut_short local_later changed from_file)
avi_add_checks(endings stopping ends some_rows budget time_limit)
avi_add_checks(endings patience patient_kept patient_resumed patient_refused)
avi_add_test(test_convergence LABELS fit)
avi_add_checks(endings convergence slope words)
avi_add_run(endings_stopping_refused stopping ARGS refused)
