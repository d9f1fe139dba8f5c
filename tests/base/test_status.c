/* Status codes, the text of a failure, warnings. */
#include "avi/status.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int clear(void **state)
{
    (void)state;
    avi_error_clear();
    return 0;
}

/* The exit codes people's scripts depend on. */
static void codes_are_those_of_the_contract(void **state)
{
    (void)state;
    assert_int_equal(AVI_OK, 0);
    assert_int_equal(AVI_ERR_BUDGET, 3);
    assert_int_equal(AVI_ERR_DIVERGED, 4);
    assert_int_equal(AVI_ERR_USAGE, 64);
    assert_int_equal(AVI_ERR_DATA, 65);
    assert_int_equal(AVI_ERR_NOINPUT, 66);
    assert_int_equal(AVI_ERR_INTERNAL, 70);
    assert_int_equal(AVI_ERR_CANTCREATE, 73);
    assert_int_equal(AVI_ERR_IO, 74);
    assert_int_equal(AVI_ERR_STOPPED, 75);
    assert_int_equal(AVI_ERR_CONFIG, 78);
}

static void every_code_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(avi_status_text(AVI_OK), "done");
    assert_string_equal(avi_status_text(AVI_ERR_CONFIG), "bad configuration");
    assert_string_equal(avi_status_text((avi_status)99), "unknown status");
}

static void the_first_message_stays(void **state)
{
    (void)state;
    assert_string_equal(avi_error_text(), "");
    assert_int_equal(avi_fail(AVI_ERR_DATA, "%s: %d rows", "a.gz", 7), AVI_ERR_DATA);
    assert_int_equal(avi_fail(AVI_ERR_IO, "less is known here"), AVI_ERR_IO);
    assert_string_equal(avi_error_text(), "a.gz: 7 rows");
    avi_error_clear();
    assert_string_equal(avi_error_text(), "");
    (void)avi_fail(AVI_ERR_IO, "another");
    assert_string_equal(avi_error_text(), "another");
}

static void no_failure_leaves_no_message(void **state)
{
    (void)state;
    assert_int_equal(avi_fail(AVI_OK, "nothing happened"), AVI_OK);
    assert_string_equal(avi_error_text(), "");
}

static void a_failure_without_words_tells_its_code(void **state)
{
    (void)state;
    (void)avi_fail(AVI_ERR_NOINPUT, "%s", "");
    assert_string_equal(avi_error_text(), "input not found");
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    char text[20001];
    memset(text, 'x', 20000);
    text[20000] = '\0';
    (void)avi_fail(AVI_ERR_DATA, "%s", text);
    assert_int_equal(strlen(avi_error_text()), 8191);
    assert_int_equal(avi_error_text()[8190], 'x');
}

static void short_memory_names_bytes_and_purpose(void **state)
{
    (void)state;
    assert_int_equal(avi_fail_memory(123456, "the local table"), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "123456 bytes for the local table"));
}

static avi_status fails_at(int step, int *reached)
{
    for (*reached = 0; *reached < 3; ++*reached) AVI_TRY(*reached == step ? AVI_ERR_IO : AVI_OK);
    return AVI_OK;
}

static void try_passes_a_failure_up(void **state)
{
    (void)state;
    int reached;
    assert_int_equal(fails_at(1, &reached), AVI_ERR_IO);
    assert_int_equal(reached, 1);
    assert_int_equal(fails_at(9, &reached), AVI_OK);
    assert_int_equal(reached, 3);
}

static void *other_thread(void *out)
{
    *(int *)out = avi_error_text()[0] == '\0';
    (void)avi_fail(AVI_ERR_IO, "of the other thread");
    return NULL;
}

static void each_thread_has_its_own_message(void **state)
{
    (void)state;
    (void)avi_fail(AVI_ERR_DATA, "of this thread");
    pthread_t thread;
    int was_empty = 0;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &was_empty), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(was_empty);
    assert_string_equal(avi_error_text(), "of this thread");
}

static void a_warning_goes_to_stderr_and_is_no_failure(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fflush(stderr), 0);
    const int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    avi_warn("%d rows are %s", 3, "short");
    assert_int_equal(fflush(stderr), 0);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    (void)close(kept);
    char line[256] = "";
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    (void)fclose(file);
    assert_string_equal(line, "avi_mpi: warning: 3 rows are short\n");
    assert_string_equal(avi_error_text(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(codes_are_those_of_the_contract, clear),
        cmocka_unit_test_setup(every_code_has_a_text, clear),
        cmocka_unit_test_setup(the_first_message_stays, clear),
        cmocka_unit_test_setup(no_failure_leaves_no_message, clear),
        cmocka_unit_test_setup(a_failure_without_words_tells_its_code, clear),
        cmocka_unit_test_setup(a_long_message_is_cut, clear),
        cmocka_unit_test_setup(short_memory_names_bytes_and_purpose, clear),
        cmocka_unit_test_setup(try_passes_a_failure_up, clear),
        cmocka_unit_test_setup(each_thread_has_its_own_message, clear),
        cmocka_unit_test_setup(a_warning_goes_to_stderr_and_is_no_failure, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
