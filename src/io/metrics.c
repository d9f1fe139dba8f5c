/* metrics.csv: one whole line a write, so that `tail -f` and a killed run never show half of one for long. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct avi_metrics {
    int fd; /* -1 on all ranks but 0 */
    char *path;
};

/* Empty but for the header, and in place at once. */
static avi_status open_local(avi_metrics *m, const char *header)
{
    char *line = avi_file_join("", header, "\n");
    if (!line) return AVI_ERR_INTERNAL;
    avi_status status = avi_file_replace(m->path, line, strlen(line));
    free(line);
    if (status != AVI_OK) return status;
    m->fd = avi_file_open_regular(m->path, O_WRONLY | O_APPEND | O_NOFOLLOW);
    return m->fd >= 0 ? AVI_OK : avi_file_fail(m->path, "cannot open", errno, 0);
}

avi_status avi_metrics_open(avi_folder *folder, avi_comm *comm, const char *header, avi_metrics **metrics)
{
    avi_metrics *m = calloc(1, sizeof *m);
    *metrics = NULL;
    if (m) *m = (avi_metrics){.fd = -1, .path = avi_file_join(avi_folder_path(folder), "metrics.csv", "")};
    avi_status status = m && m->path ? AVI_OK : avi_fail_memory(sizeof *m, "metrics.csv");
    if (status == AVI_OK && avi_comm_rank(comm) == 0) status = open_local(m, header);
    status = avi_agree(comm, status);
    if (status == AVI_OK)
        *metrics = m;
    else
        avi_metrics_close(&m);
    return status;
}

avi_status avi_metrics_line(avi_metrics *metrics, const char *line)
{
    if (!metrics || metrics->fd < 0) return AVI_OK;
    const size_t bytes = strlen(line) + 1;
    char *whole = malloc(bytes);
    if (!whole) return avi_fail_memory(bytes, "a line of metrics.csv");
    memcpy(whole, line, bytes - 1);
    whole[bytes - 1] = '\n';
    const off_t before = lseek(metrics->fd, 0, SEEK_END);
    ssize_t done;
    do done = write(metrics->fd, whole, bytes);
    while (done < 0 && errno == EINTR);
    avi_status status = AVI_OK;
    if (done != (ssize_t)bytes) {
        status = avi_file_fail(metrics->path, "cannot write", done < 0 ? errno : ENOSPC, (int64_t)bytes);
        /* Half a line would be read as a short number. */
        if (done > 0 && before >= 0 && ftruncate(metrics->fd, before) != 0)
            avi_warn("%s: ends with half a line", metrics->path);
    }
    free(whole);
    return status;
}

void avi_metrics_close(avi_metrics **metrics)
{
    if (!*metrics) return;
    if ((*metrics)->fd >= 0) close((*metrics)->fd);
    free((*metrics)->path);
    free(*metrics);
    *metrics = NULL;
}
