/* What tests of files on any number of ranks share: the ranks, a folder of the run, and how a refusal is held. */
#ifndef STORE_SUPPORT_H
#define STORE_SUPPORT_H

#include "store/store_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

/* The call ends with the code, and its error has the words. */
#define REFUSED(call, code, words)                                                                                     \
    do {                                                                                                               \
        avi_error_clear();                                                                                             \
        assert_int_equal(call, code);                                                                                  \
        if (!strstr(avi_error_text(), words)) fail_msg("%s", avi_error_text());                                        \
    } while (0)

static avi_comm *world;
static char place[256]; /* a folder of this run, the same on all ranks */

static char *in(const char *name)
{
    static char path[4][512];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", place, name);
    return path[next];
}

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

static bool is_root(void) { return avi_comm_rank(world) == 0; }

static void meet(void) { assert_int_equal(avi_comm_barrier(world), AVI_OK); }

/* Rank 0 changes `count` bytes at `at` (from the end when negative). */
static void flip(const char *path, long at, int count)
{
    if (is_root()) {
        FILE *f = fopen(path, "r+b");
        assert_non_null(f);
        for (int i = 0; i < count; i++) {
            assert_int_equal(fseek(f, at + (at < 0 ? -i : i), at < 0 ? SEEK_END : SEEK_SET), 0);
            const int c = fgetc(f);
            assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
            fputc(c ^ 0x5a, f);
        }
        fclose(f);
    }
    meet();
}

static int clear_error(void **state)
{
    (void)state;
    avi_error_clear();
    return 0;
}

/* Starts the ranks, and makes their folder: false where that fails. */
static bool begin_tests(int *argc, char ***argv)
{
    const char *base = getenv("TMPDIR");
    if (avi_comm_start(argc, argv, &world) != AVI_OK) return false;
    snprintf(place, sizeof place, "%s/avi_store_XXXXXX", base && strlen(base) < 200 ? base : "/tmp");
    if (is_root() && !mkdtemp(place)) return false;
    return avi_comm_bcast(world, place, sizeof place, 0) == AVI_OK;
}

/* The folder goes where no test has failed. Returns what main returns. */
static int end_tests(int failed)
{
    (void)avi_comm_barrier(world);
    if (is_root() && failed == 0) {
        char command[300];
        snprintf(command, sizeof command, "rm -rf '%s'", place);
        if (system(command) != 0) fprintf(stderr, "%s is left\n", place);
    }
    avi_comm_finish(&world);
    return failed;
}

#endif
