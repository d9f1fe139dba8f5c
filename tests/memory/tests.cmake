# Memory and room: what a rank holds, what --dry-run says of it, and /dev/shm without room.
avi_add_run(memory_per_rank memory)
avi_add_checks(memory plan peak itself)
avi_add_script(memory_room COMMAND ${AVI_AREA_DIR}/room.sh LABELS fit TIMEOUT 120)
