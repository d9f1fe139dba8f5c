/* Any bytes as the file of a data source: opened and loaded, or refused with a message; never more memory than the
 * bytes can fill. */
#ifndef AVI_TEST_FUZZ_SOURCE_H
#define AVI_TEST_FUZZ_SOURCE_H

#include "avi/data.h"
#include "input.h"
#include "registry_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static avi_comm *fuzz_world;
static char fuzz_path[64];

static inline void fuzz_stop(void)
{
    unlink(fuzz_path);
    avi_comm_finish(&fuzz_world);
}

static inline void fuzz_start(void)
{
    if (fuzz_world) return;
    must(avi_comm_start(NULL, NULL, &fuzz_world) == AVI_OK, "start");
    snprintf(fuzz_path, sizeof fuzz_path, "%s/avi_fuzz.%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp",
             (long)getpid());
    atexit(fuzz_stop);
}

/* `lines`: more keys of [data]. To be made once for all executions: the file is what differs. */
static inline avi_config *fuzz_config(const char *source, const char *lines)
{
    char text[320];
    snprintf(text, sizeof text, "[data]\nsource = %s\npath = %s\n%s", source, fuzz_path, lines);
    avi_config *config = test_config_new();
    must(avi_config_parse(config, "fuzz.ini", text, 0, NULL) == AVI_OK, "parse");
    return config;
}

/* Opens and loads what lies at fuzz_path, a file of at least `size` bytes. */
static inline avi_status fuzz_load(const avi_config *config, size_t size)
{
    avi_source *source = NULL;
    avi_data *data = NULL;
    avi_error_clear();
    avi_status status = avi_source_open(config, fuzz_world, AVI_TRAIN, &source);
    if (status == AVI_OK) {
        const avi_shape *s = &source->shape;
        const double memory = (double)s->rows * (double)s->width * (double)avi_dtype_size(s->type);
        must(memory > 0 && memory <= 2.0 * 1032 * ((double)size + 1024), "more claimed than the bytes can hold");
        avi_partition p;
        must(avi_partition_make(s->rows, 4, 2, 1, 1, true, &p) == AVI_OK, "partition");
        status = avi_data_load(source, fuzz_world, &p, 0, 0, &data);
    }
    must(status == AVI_OK || status == AVI_ERR_DATA || status == AVI_ERR_CONFIG,
         "another status than OK, DATA or CONFIG");
    must((status == AVI_OK) == !*avi_error_text(), "a message without a mistake, or the other way round");
    avi_data_destroy(&data);
    avi_source_close(&source);
    return status;
}

#endif
