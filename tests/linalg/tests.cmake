avi_add_test(test_linalg_dense RANKS 1 2 3 4 LABELS linalg TIMEOUT 120)
avi_add_test(test_linalg_chain RANKS 1 2 3 4 LABELS linalg TIMEOUT 60)
avi_add_test(test_linalg_rows RANKS 1 2 3 4 LABELS linalg TIMEOUT 60)
