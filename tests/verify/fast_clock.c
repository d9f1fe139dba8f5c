/* A clock to preload that runs AVI_CLOCK_FACTOR times as fast: a day of a run in seconds.
 *
 *     AVI_CLOCK_FACTOR=20000 LD_PRELOAD=libfast_clock.so avi_mpi ... */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static double factor, first;
    const long code = syscall(SYS_clock_gettime, clock, now);
    if (code != 0 || clock != CLOCK_MONOTONIC) return (int)code;
    const double at = (double)now->tv_sec + 1e-9 * (double)now->tv_nsec;
    if (factor == 0) {
        const char *text = getenv("AVI_CLOCK_FACTOR");
        factor = text ? strtod(text, NULL) : 1;
        first = at;
    }
    const double fast = first + (at - first) * factor;
    now->tv_sec = (time_t)fast;
    now->tv_nsec = (long)((fast - (double)now->tv_sec) * 1e9);
    return 0;
}
