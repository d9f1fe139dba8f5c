#include "base/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void avi_streams_open(void)
{
    /* The lowest free descriptor is taken: in this order it is the one that is missing. */
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

/* An earlier failure has lost its errno. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP));
}

avi_status avi_streams_flush(void)
{
    errno = 0;
    const int failed = fflush(stdout), error = errno;
    if ((!failed && !ferror(stdout)) || error == EPIPE || reader_is_gone()) return AVI_OK;
    return avi_fail(AVI_ERR_IO, "standard output: cannot write%s%s; what was printed is incomplete: make room there",
                    failed && error ? ": " : "", failed && error ? strerror(error) : "");
}
