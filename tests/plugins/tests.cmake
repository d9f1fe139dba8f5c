avi_add_test(test_family LABELS plugins)
avi_add_test(test_optim LABELS plugins)
avi_add_test(test_params LABELS plugins)
