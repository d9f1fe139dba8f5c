# The batch job on a real Slurm: this machine as a cluster of one node. Skipped where Slurm is not installed or the user is not root.
foreach(launcher mpirun srun)
  avi_add_script(slurm_requeue_${launcher} COMMAND ${AVI_AREA_DIR}/requeue.sh ${launcher} LABELS slurm TIMEOUT 400)
endforeach()
set_tests_properties(slurm_requeue_mpirun slurm_requeue_srun PROPERTIES RESOURCE_LOCK slurm)
