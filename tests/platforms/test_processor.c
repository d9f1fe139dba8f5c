/* The message about instructions that a processor lacks, and its silence where nothing is missing. */
#include "base/processor.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fits), cmocka_unit_test(test_lacks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
