# Datapoints with any number of entries: hier_logistic on groups against its padded form and against quadrature in numpy; ranks, holdout, resuming, tasks on rows.
avi_add_run(ragged_fits ragged TIMEOUT 240)
avi_add_test(test_largest_block RANKS 1 2 3 LABELS fit REGISTRY)
