# posterior.nc: a walker over its groups and scales, its numbers against closed forms, the gap ledger and an independent PSIS, every reader that is here, what cuts it off.
avi_add_checks(idata container whole models readers chains cut_off chosen foreseen)
