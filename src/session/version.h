/* What this program is made of. */
#ifndef AVI_SESSION_VERSION_H
#define AVI_SESSION_VERSION_H

typedef struct avi_version {
    const char *version, *revision, *compiler, *flags, *mpi, *hdf5, *blas, *scalapack, *onednn;
} avi_version;

/* Owned by the library. */
avi_version avi_version_of(void);

#endif
