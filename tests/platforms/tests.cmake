# What must hold on every system: processors, libraries, other distributions.
avi_add_test(test_processor LABELS platforms)
avi_add_script(platforms_processor COMMAND ${AVI_AREA_DIR}/processor.sh LABELS platforms)
avi_add_script(other_systems COMMAND ${AVI_AREA_DIR}/run.sh LABELS platforms long TIMEOUT 10800)
avi_add_script(platforms_one_mpi COMMAND ${AVI_AREA_DIR}/one_mpi.sh LABELS platforms)
avi_add_script(platforms_deprecated_self_test COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/deprecated.py --self-test LABELS platforms)
avi_add_script(platforms_deprecated COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/deprecated.py ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/tests LABELS platforms)
avi_add_script(platforms_levels COMMAND ${AVI_AREA_DIR}/levels.sh LABELS platforms long TIMEOUT 1800)
