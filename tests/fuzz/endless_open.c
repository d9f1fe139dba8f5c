/* Preloaded: an HDF5 that finds no end in a file. Its processor time is over at once, as it would be after ten seconds
 * (minutes on a busy machine), if it was limited at all. */
#include <hdf5.h>

#include <signal.h>
#include <sys/resource.h>

hid_t H5Fopen(const char *path, unsigned flags, hid_t access)
{
    (void)path, (void)flags, (void)access;
    struct rlimit limit;
    if (getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_cur <= 20) (void)raise(SIGXCPU);
    return H5I_INVALID_HID;
}
