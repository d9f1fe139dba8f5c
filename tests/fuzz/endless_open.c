/* Preloaded: an HDF5 that finds no end in a file. */
#include <hdf5.h>

hid_t H5Fopen(const char *path, unsigned flags, hid_t access)
{
    for (volatile unsigned turns = 0;; turns++) (void)path, (void)flags, (void)access;
}
