# Where fits end: closed forms, quadrature, the order of F-VI, A-VI and a constant factor. What needs real digits has the label mnist.
avi_add_checks(optima groups expected)
avi_add_checks(optima held_out_factors closed chosen patient_factors)
avi_add_run(optima_functions functions)
avi_add_run(optima_closed_forms closed)
avi_add_run(optima_objectives objectives)
avi_add_checks(optima own_steps comparison visits narrow)
avi_add_run(optima_mnist mnist LABELS mnist)
avi_add_run(optima_mnist_long mnist ARGS --long LABELS mnist long TIMEOUT 5400)
