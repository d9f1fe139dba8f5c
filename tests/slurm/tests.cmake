# The batch job on a real Slurm: this machine as a cluster of one node. Skipped where Slurm is not installed or the user is not root.
# Each takes more than two minutes, most of it waiting for Slurm; one launcher is enough for every day.
avi_add_script(slurm_requeue_mpirun COMMAND ${AVI_AREA_DIR}/requeue.sh mpirun LABELS slurm TIMEOUT 400)
avi_add_script(slurm_requeue_srun COMMAND ${AVI_AREA_DIR}/requeue.sh srun LABELS slurm long TIMEOUT 400)
set_tests_properties(slurm_requeue_mpirun slurm_requeue_srun PROPERTIES RESOURCE_LOCK slurm)
avi_add_script(slurm_jobs COMMAND ${AVI_AREA_DIR}/jobs.sh LABELS slurm TIMEOUT 240)
set_tests_properties(slurm_jobs PROPERTIES RESOURCE_LOCK slurm)
