# Four hosts on this machine, of which one is lost. Skipped where network namespaces are not allowed.
avi_add_script(hosts COMMAND ${AVI_AREA_DIR}/run.sh --seed 1 LABELS hosts TIMEOUT 200)
avi_add_script(hosts_long COMMAND ${AVI_AREA_DIR}/run.sh --long LABELS hosts long TIMEOUT 1800)
