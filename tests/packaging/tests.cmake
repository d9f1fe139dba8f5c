# What is handed out: the manual page, completion, the installed tree and packages.
avi_add_script(packaging_pages COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/pages.py LABELS packaging)
avi_add_script(packaging_installed COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/installed.py LABELS packaging)
