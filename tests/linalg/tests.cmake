# Five ranks make a grid of 2 x 2 with one rank left over.
avi_add_test(test_linalg_dense RANKS 1 2 3 4 5 LABELS linalg TIMEOUT 120)
avi_add_test(test_linalg_chain RANKS 1 2 3 4 LABELS linalg TIMEOUT 60)
avi_add_test(test_linalg_rows RANKS 1 2 3 4 LABELS linalg TIMEOUT 60)
