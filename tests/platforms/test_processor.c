/* The message about instructions that a processor lacks, its silence where nothing is missing, and the choice among
 * programs for several kinds of processors. */
#include "base/processor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char text[1024];

/* This program runs, so the processor has what it was built for. */
static void test_fits(void **state)
{
    (void)state;
    avi_processor_message(avi_built_for, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(avi_processor_check(), 0);
    const char *const nothing[] = {NULL};
    avi_processor_message(nothing, text, sizeof text);
    assert_string_equal(text, "");
}

/* An instruction set that no processor has. */
static void test_lacks(void **state)
{
    (void)state;
    const char *const future[] = {"avx9000", "sve9000", NULL};
    avi_processor_message(future, text, sizeof text);
    assert_non_null(strstr(text, "the program was built for"));
    assert_non_null(strstr(text, "lacks avx9000, sve9000. "));
    assert_non_null(strstr(text, "-DAVI_ARCH="));
}

#if defined(__x86_64__)
#define OLDEST "x86-64"
#define LEVEL  "x86-64-v2"

/* What Linux says about the processor. */
static bool is_told(const char *flag)
{
    char line[8192], word[64];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "r");
    (void)snprintf(word, sizeof word, " %s ", flag);
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = ' ';
        found = !strncmp(line, "flags", 5) && strstr(line, word);
    }
    if (file) fclose(file);
    return found;
}

static void test_levels(void **state)
{
    (void)state;
    const bool second = is_told("ssse3") && is_told("sse4_2") && is_told("popcnt"),
               third = second && is_told("avx2") && is_told("fma") && is_told("bmi1") && is_told("bmi2"),
               fourth = third && is_told("avx512f") && is_told("avx512bw") && is_told("avx512cd") &&
                        is_told("avx512dq") && is_told("avx512vl");
    assert_int_equal(avi_processor_has_level("x86-64"), true);
    assert_int_equal(avi_processor_has_level("x86-64-v2"), second);
    assert_int_equal(avi_processor_has_level("x86-64-v3"), third);
    assert_int_equal(avi_processor_has_level("x86-64-v4"), fourth);
    assert_int_equal(avi_processor_has_level("x86-64-v9"), false);
}
#else
#define OLDEST "armv8-a"
#define LEVEL  "armv8.1-a"

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(avi_processor_has_level("armv8-a"), true);
    assert_int_equal(avi_processor_has_level("x86-64-v9"), false);
}
#endif

/* The exit status of a child that starts the best of `levels`; 1 where it goes on itself. What it says is in text. */
static int status_of(const char *levels)
{
    int ends[2], status = -1;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        char *argv[] = {"test_processor", NULL};
        (void)dup2(ends[1], STDERR_FILENO);
        avi_processor_start_best(levels, argv);
        _exit(1);
    }
    (void)close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used < sizeof text - 1 && (n = read(ends[0], text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A script beside this program, in the place of the one for `level`. */
static void put_script(const char *level, int status)
{
    char path[4096 + 64] = "";
    const ssize_t length = readlink("/proc/self/exe", path, 4096);
    assert_true(length > 0);
    (void)snprintf(path + length, 64, "-%s", level);
    (void)unlink(path);
    if (!status) return;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\nexit %d\n", status) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static void test_best(void **state)
{
    (void)state;
    const bool has = avi_processor_has_level(LEVEL);
    put_script(OLDEST, 0);
    put_script(LEVEL, 0);
    assert_int_equal(status_of(""), 1);
    assert_string_equal(text, "");
    assert_int_equal(status_of("x86-64-v9 " LEVEL " armv99-a"), 1);
    assert_true(!has == !strstr(text, "cannot be started"));
    assert_true(!has == !strstr(text, "instructions of " LEVEL " are not used"));
    put_script(OLDEST, 41);
    put_script(LEVEL, 42);
    assert_int_equal(status_of(OLDEST " " LEVEL " armv99-a"), has ? 42 : 41);
    assert_string_equal(text, "");
    put_script(OLDEST, 0);
    put_script(LEVEL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fits), cmocka_unit_test(test_lacks),
                                       cmocka_unit_test(test_levels), cmocka_unit_test(test_best)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
