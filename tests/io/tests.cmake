avi_add_test(test_store RANKS 1 2 3 4 LABELS io TIMEOUT 120)
avi_add_test(test_folder RANKS 1 2 3 4 LABELS io TIMEOUT 120)

add_executable(store_tool ${AVI_AREA_DIR}/store_tool.c)
target_link_libraries(store_tool PRIVATE avi)
set_target_properties(store_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
foreach(case ranks h5py full_disk read_only lock kill)
  avi_add_script(store_${case} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/store.py ${case} $<TARGET_FILE:store_tool> LABELS io TIMEOUT 180)
endforeach()
