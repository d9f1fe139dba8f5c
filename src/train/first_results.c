#include "train/first_results.h"
#include "output/run_file.h"

#include <stdlib.h>
#include <string.h>

avi_status avi_first_results(const avi_session *s, avi_state *st, avi_folder *folder)
{
    char *status, *why;
    avi_run_file_ending(s, folder, &status, &why);
    const bool stays = status && (st->step > 0 || !strcmp(status, "done"));
    free(status);
    free(why);
    return stays ? AVI_OK : avi_run_file_write(s, st, folder, "running", "", false, NULL);
}
