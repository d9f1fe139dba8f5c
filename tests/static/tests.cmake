avi_add_script(hardened COMMAND ${AVI_AREA_DIR}/hardened.sh LABELS static TIMEOUT 60)
avi_add_script(format COMMAND ${AVI_AREA_DIR}/format.sh LABELS static TIMEOUT 120)
# Minutes: what the analysers find and accepted.txt does not list.
avi_add_script(static COMMAND ${AVI_AREA_DIR}/run.sh LABELS static long TIMEOUT 7200)
