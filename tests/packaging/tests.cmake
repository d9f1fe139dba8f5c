# What is handed out: the manual page, completion, the installed tree and packages.
avi_add_script(packaging_pages COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/pages.py LABELS packaging)
avi_add_script(packaging_installed COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/installed.py LABELS packaging)
avi_add_script(packaging_deb COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/deb.py LABELS packaging TIMEOUT 300)
avi_add_script(packaging_recipes COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/recipes.py LABELS packaging)
avi_add_script(packaging_system COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/system.py LABELS platforms long TIMEOUT 7200)
