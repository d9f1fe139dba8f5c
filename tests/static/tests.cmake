avi_add_script(hardened COMMAND ${AVI_AREA_DIR}/hardened.sh LABELS static TIMEOUT 60)
