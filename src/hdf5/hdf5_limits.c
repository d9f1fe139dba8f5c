/* What a child that looks at a file may take: memory, processor time, and time by the clock. */
#include "hdf5/hdf5_probe.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { STEP_SECONDS = 10, BYTES_A_SECOND = 20 << 20, STEP_BYTES = 256 << 20 };

static double bytes_in_use(void)
{
    double pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%lf", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (double)sysconf(_SC_PAGESIZE);
}

void avi_hdf5_limit(int resource, double value)
{
    struct rlimit l;
    if (getrlimit(resource, &l) != 0) return;
    const double most = l.rlim_max == RLIM_INFINITY ? 9e18 : (double)l.rlim_max;
    l.rlim_cur = (rlim_t)(value < most ? value : most);
    (void)setrlimit(resource, &l);
}

void avi_hdf5_limits_grant(avi_hdf5_limits *l, double bytes)
{
    if (!l) return;
    const double seconds = (double)clock() / CLOCKS_PER_SEC;
    (void)alarm(
        (unsigned)(AVI_HDF5_WAIT_SECONDS + bytes / (1 << 20))); /* what waits for a pipe takes no processor time */
    if (l->seconds > 0 && seconds < l->seconds + 1 && bytes <= l->bytes) return; /* that is still enough */
    const double in_use = bytes > l->bytes || l->seconds <= 0 ? bytes_in_use() : 0;
    if (in_use > 0) {
        avi_hdf5_limit(RLIMIT_AS, in_use + bytes + STEP_BYTES);
        l->bytes = bytes;
    }
    l->seconds = seconds > 0 ? seconds : 1e-6;
    avi_hdf5_limit(RLIMIT_CPU, seconds + STEP_SECONDS + l->bytes / BYTES_A_SECOND + 1);
}
