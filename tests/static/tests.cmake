avi_add_script(hardened COMMAND ${AVI_AREA_DIR}/hardened.sh LABELS static TIMEOUT 60)
# Minutes: what the analysers find and accepted.txt does not list.
avi_add_script(static COMMAND ${AVI_AREA_DIR}/run.sh LABELS static long TIMEOUT 7200)
