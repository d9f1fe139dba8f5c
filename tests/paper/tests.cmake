# Numbers of Margossian & Blei (2024): short forms, and long ones (label paper) with the paper's settings.
foreach(model saw linear nonlinear hmm)
  avi_add_script(paper_${model} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/short.py ${model} TIMEOUT 300)
endforeach()
foreach(model saw linear sizes nonlinear hier_logistic)
  avi_add_script(paper_long_${model} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/long.py ${model} LABELS paper TIMEOUT 3600)
endforeach()
avi_add_script(paper_long_ppca COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/ppca.py LABELS paper TIMEOUT 3600)
avi_add_script(paper_architectures COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/architectures.py TIMEOUT 200)
avi_add_script(paper_job COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/job.py TIMEOUT 300)
# The stored references themselves.
avi_add_script(paper_hier_logistic_hmc COMMAND ${AVI_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/reference/hier_logistic_hmc.py --check TIMEOUT 120)
avi_add_script(paper_hier_logistic_meanfield COMMAND ${AVI_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/reference/hier_logistic_meanfield.py --check TIMEOUT 120)
