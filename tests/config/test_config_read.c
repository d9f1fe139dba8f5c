/* Reading a file on several ranks: all get rank 0's text, overrides, folder and environment, and all fail alike. */
#include "test_config.h"

#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 256 };
static char folder[ROOM];

static bool first(void) { return avi_comm_rank(test_world) == 0; }

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/avi_test_config_XXXXXX");
    if (first() && !mkdtemp(folder)) return -1;
    return avi_comm_bcast(test_world, folder, sizeof folder, 0) == AVI_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    avi_comm_barrier(test_world);
    char path[ROOM + 16];
    snprintf(path, sizeof path, "%s/a.ini", folder);
    if (first()) unlink(path);
    return first() ? rmdir(folder) : 0;
}

static void write_file(const char *path, const char *bytes, size_t count)
{
    if (!first()) return;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void same_everywhere(const avi_config *c)
{
    double hash[2] = {(double)(avi_config_hash(c, NULL) >> 12), 0};
    hash[1] = -hash[0];
    const double own = hash[0];
    assert_int_equal(avi_comm_max_double(test_world, hash, 2), AVI_OK);
    assert_true(hash[0] == own && hash[1] == -own);
}

static void reads_on_all_ranks(void **state)
{
    (void)state;
    char path[ROOM + 16], expected[ROOM + 32];
    snprintf(path, sizeof path, "%s/a.ini", folder);
    static const char text[] = "[data]\npath = d/${AVI_TEST_RANK}\n[run]\nseed = 1";
    write_file(path, text, sizeof text - 1);
    setenv("AVI_TEST_RANK", first() ? "zero" : "other", 1);
    avi_config *c = test_create();
    /* Ranks other than 0 are told other overrides: rank 0's count. */
    const char *const overrides[] = {first() ? "run.seed=7" : "run.seed=8", "run.output=o-${AVI_TEST_RANK}"};
    if (avi_config_read(c, test_world, path, first() ? 2 : 1, overrides) != AVI_OK) fail_msg("%s", avi_error_text());
    snprintf(expected, sizeof expected, "%s/d/zero", folder);
    assert_string_equal(avi_config_get_string(c, "data", "path"), expected);
    assert_string_equal(avi_config_get_string(c, "run", "output"), "o-zero");
    assert_int_equal(avi_config_get_int(c, "run", "seed"), 7);
    assert_string_equal(avi_config_text(c), text);
    same_everywhere(c);
    avi_config_destroy(&c);
}

static void refused(const char *path, avi_status status, const char *expected)
{
    avi_config *c = test_create();
    assert_int_equal(avi_config_read(c, test_world, path, 0, NULL), status);
    /* What only rank 0 can see may end with its name: " [rank 0 of 3, host a]". */
    const char *text = avi_error_text(), *end = text + strlen(expected);
    if (strlen(text) < strlen(expected) || strncmp(text, expected, strlen(expected)) != 0 ||
        (*end && strncmp(end, " [rank 0 ", 9) != 0))
        assert_string_equal(text, expected);
    avi_config_destroy(&c);
    avi_error_clear();
}

/* Mistakes in the text are everybody's: the message is the plain one. */
static void tells_mistakes_plainly(void **state)
{
    (void)state;
    char path[ROOM + 16], expected[2 * ROOM];
    snprintf(path, sizeof path, "%s/a.ini", folder);
    write_file(path, "[run]\nsede = 1\n", 15);
    avi_config *c = test_create();
    assert_int_equal(avi_config_read(c, test_world, path, 0, NULL), AVI_ERR_CONFIG);
    snprintf(expected, sizeof expected, "%s:2: [run] sede: unknown key; did you mean seed?", path);
    assert_string_equal(avi_error_text(), expected);
    avi_config_destroy(&c);
    avi_error_clear();
}

static void refuses_on_all_ranks(void **state)
{
    (void)state;
    char path[ROOM + 16], expected[2 * ROOM];
    snprintf(path, sizeof path, "%s/none.ini", folder);
    snprintf(expected, sizeof expected, "%s: no such configuration file; give the path of an .ini file", path);
    refused(path, AVI_ERR_NOINPUT, expected);
    snprintf(expected, sizeof expected, "%s: is a folder; give the path of an .ini file", folder);
    refused(folder, AVI_ERR_NOINPUT, expected);

    snprintf(path, sizeof path, "%s/a.ini", folder);
    write_file(path, "[run]\nseed = 1\0\n", 16);
    snprintf(expected, sizeof expected, "%s:2: a NUL byte; a configuration file is plain text", path);
    refused(path, AVI_ERR_CONFIG, expected);
    write_file(path, "[run]\nseed = x", 14);
    snprintf(expected, sizeof expected, "%s:2: [run] seed: 'x' is not an integer; give an integer, at least 0", path);
    refused(path, AVI_ERR_CONFIG, expected);

    enum { LIMIT = 1 << 20 };
    char *large = malloc(LIMIT + 1);
    assert_non_null(large);
    memset(large, ';', LIMIT + 1);
    write_file(path, large, LIMIT + 1);
    snprintf(expected, sizeof expected, "%s: larger than 1048576 bytes; a configuration file is a short text", path);
    refused(path, AVI_ERR_CONFIG, expected);
    write_file(path, large, LIMIT);
    avi_config *c = test_create();
    assert_int_equal(avi_config_read(c, test_world, path, 0, NULL), AVI_OK);
    avi_config_destroy(&c);
    free(large);
}

const struct CMUnitTest test_reads[] = {
    cmocka_unit_test_setup_teardown(reads_on_all_ranks, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(tells_mistakes_plainly, make_folder, remove_folder),
    cmocka_unit_test_setup_teardown(refuses_on_all_ranks, make_folder, remove_folder),
};
const size_t test_reads_count = sizeof test_reads / sizeof *test_reads;
