# The scripts of jobs/ on a real Slurm: this machine as a controller and four nodes. Skipped where Slurm is not installed, the user is not root or network namespaces
# are not allowed. The short form goes through everything once under mpirun, the long one under srun too, with more cuts.
# Steps that take their time without processors:
add_library(avi_pace MODULE ${AVI_AREA_DIR}/pace.c)
target_link_libraries(avi_pace PRIVATE MPI::MPI_C)
set_target_properties(avi_pace PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
# ctest ends a test that takes too long by SIGKILL, which would leave the daemons behind: timeout ends it before, by SIGTERM.
avi_add_script(slurm COMMAND timeout 580 ${AVI_AREA_DIR}/run.sh --seed 1 LABELS slurm TIMEOUT 600)
avi_add_script(slurm_long COMMAND timeout 2380 ${AVI_AREA_DIR}/run.sh --long LABELS slurm long TIMEOUT 2400)
set_tests_properties(slurm slurm_long PROPERTIES RESOURCE_LOCK slurm)
