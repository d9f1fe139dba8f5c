/* What the tests of the data floor share: the world, a folder of their own, a configuration from text. */
#ifndef AVI_TEST_DATA_SUPPORT_H
#define AVI_TEST_DATA_SUPPORT_H

#include "avi/data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "registry_support.h"

static avi_comm *world;
static int P, self;
static char folder[64];

static inline void support_start(int *argc, char ***argv)
{
    if (avi_comm_start(argc, argv, &world) != AVI_OK) exit(70);
    P = avi_comm_size(world);
    self = avi_comm_rank(world);
    if (self == 0) {
        snprintf(folder, sizeof folder, "/tmp/avi_test_XXXXXX");
        if (!mkdtemp(folder)) exit(73);
    }
    if (avi_comm_bcast(world, folder, sizeof folder, 0) != AVI_OK) exit(70);
}

/* All ranks leave with the same number: a failure anywhere is one everywhere. */
static inline int support_finish(int failures)
{
    int64_t worst = failures;
    if (avi_comm_max_int64(world, &worst, 1) != AVI_OK) worst = 1;
    if (self == 0) {
        char command[96];
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        if (system(command) != 0) worst = 1;
    }
    avi_comm_finish(&world);
    return worst ? 1 : 0;
}

/* A path in the folder; four live at a time. */
static inline const char *in_folder(const char *name)
{
    static char text[4][160];
    static int next;
    next = (next + 1) % 4;
    snprintf(text[next], sizeof text[next], "%s/%s", folder, name);
    return text[next];
}

/* Collective. Rank 0 writes a file; all go on when it is there. */
static inline void write_file(const char *name, const void *bytes, size_t count)
{
    int written = 1;
    if (self == 0) {
        FILE *f = fopen(in_folder(name), "wb");
        written = f && fwrite(bytes, 1, count, f) == count;
        if (f && fclose(f) != 0) written = 0;
    }
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    assert_true(written);
}

/* A configuration of the keys of [data] and run.seed from lines of [data]. */
static inline avi_config *config_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline avi_config *config_of(const char *format, ...)
{
    char text[1024] = "[data]\n";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + strlen(text), sizeof text - strlen(text), format, arguments);
    va_end(arguments);
    avi_config *config = test_config_new();
    const avi_status status = avi_config_parse(config, "test.ini", text, 0, NULL);
    if (status != AVI_OK) print_message("%s\n", avi_error_text());
    assert_int_equal(status, AVI_OK);
    return config;
}

/* The source of a configuration is refused with this code, and the message holds all of the words (NULL ends them). */
static inline void refuses(avi_config *config, avi_split split, avi_status code, const char *const *words)
{
    avi_source *source = NULL;
    avi_error_clear();
    const avi_status status = avi_source_open(config, world, split, &source);
    if (status != code) print_message("status %d, message: %s\n", (int)status, avi_error_text());
    assert_int_equal(status, code);
    assert_null(source);
    for (int i = 0; words[i]; i++) {
        if (!strstr(avi_error_text(), words[i])) print_message("no \"%s\" in: %s\n", words[i], avi_error_text());
        assert_non_null(strstr(avi_error_text(), words[i]));
    }
    avi_config_destroy(&config);
    avi_error_clear();
}
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Opens, loads on all ranks (lanes: how many), closes. The code of whichever failed. */
static inline avi_status open_and_load(avi_config *config, avi_split split, int64_t lanes, bool shuffled,
                                       avi_data **data)
{
    avi_source *source = NULL;
    *data = NULL;
    avi_error_clear();
    avi_status status = avi_source_open(config, world, split, &source);
    avi_partition p;
    if (status == AVI_OK) status = avi_partition_make(source->shape.rows, 2, lanes, P, 7, shuffled, &p);
    if (status == AVI_OK) status = avi_data_load(source, world, &p, 0, 0, data);
    avi_source_close(&source);
    avi_config_destroy(&config);
    return status;
}

#endif
