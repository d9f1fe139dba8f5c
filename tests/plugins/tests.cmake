avi_add_test(test_family LABELS plugins REGISTRY)
avi_add_test(test_optim LABELS plugins REGISTRY)
avi_add_test(test_params LABELS plugins)
avi_add_script(plugins_loaded COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/loaded.py LABELS plugins TIMEOUT 180)
# What tests in Python ask of models, in place of their names (tests/support/runs.py).
add_executable(registry_table ${AVI_AREA_DIR}/registry_table.c)
target_link_libraries(registry_table PRIVATE avi_whole)
target_include_directories(registry_table PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(registry_table PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests ENABLE_EXPORTS ON)
