/* What the program links and a step of the simulated models never reaches: HDF5's source, and ScaLAPACK behind dense
 * coupling. */
#include "avi/comm.h"
#include "avi/data.h"
#include "avi/linalg.h"

static avi_status refuse(void)
{
    return avi_fail(AVI_ERR_CONFIG, "the simulated program has neither HDF5 nor ScaLAPACK");
}

static avi_status hdf5_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    (void)s, (void)config, (void)comm, (void)split;
    return refuse();
}

static avi_status hdf5_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    (void)s, (void)first, (void)count, (void)out;
    return refuse();
}

const avi_source_ops avi_source_hdf5 = {.name = "hdf5", .doc = "absent", .open = hdf5_open, .read = hdf5_read};

avi_status avi_linalg_spd_create(avi_comm *comm, int64_t n, avi_linalg_entry entry, void *self, double jitter,
                                 avi_linalg_spd **spd)
{
    (void)comm, (void)n, (void)entry, (void)self, (void)jitter;
    *spd = NULL;
    return refuse();
}

void avi_linalg_spd_destroy(avi_linalg_spd **spd) { *spd = NULL; }

double avi_linalg_spd_log_det(const avi_linalg_spd *spd)
{
    (void)spd;
    return 0;
}

avi_status avi_linalg_spd_solve(avi_linalg_spd *spd, int64_t k, double *b)
{
    (void)spd, (void)k, (void)b;
    return refuse();
}

avi_status avi_linalg_spd_inverse_diagonal(avi_linalg_spd *spd, double *diagonal)
{
    (void)spd, (void)diagonal;
    return refuse();
}

/* Ranks of the simulation are threads of one process: messages are what is simulated. */
avi_status avi_shared_create(avi_comm *comm, size_t own, size_t total, avi_shared **shared)
{
    (void)comm, (void)own, (void)total;
    *shared = NULL;
    return AVI_OK;
}

void avi_shared_destroy(avi_shared **shared) { *shared = NULL; }

void *avi_shared_of(const avi_shared *shared, int rank)
{
    (void)shared, (void)rank;
    return NULL;
}

void *avi_shared_total(const avi_shared *shared) { return avi_shared_of(shared, 0); }

void avi_shared_barrier(avi_shared *shared) { (void)shared; }
