# The Python package analysis/avi_mpi on real runs.
foreach(check arrays uses endings slurm compares figures converts container names)
  avi_add_script(python_${check} COMMAND ${AVI_PYTHON} ${AVI_AREA_DIR}/package.py ${check} LABELS analysis TIMEOUT 150)
endforeach()
avi_add_script(python_in_slurm COMMAND ${AVI_AREA_DIR}/slurm.sh LABELS analysis slurm TIMEOUT 200)
set_tests_properties(python_in_slurm PROPERTIES RESOURCE_LOCK slurm)
