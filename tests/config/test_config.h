/* A small program's keys, and helpers that the tests of the configuration share. */
#ifndef AVI_TEST_CONFIG_H
#define AVI_TEST_CONFIG_H

#include "avi/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const avi_key_table test_tables[];
extern const int test_table_count;
extern avi_comm *test_world;

/* A configuration over test_tables; the caller destroys it. */
avi_config *test_create(void);
/* Parses `text` as x/test.ini with overrides that end with NULL (NULL: none). */
avi_status test_parse(avi_config *config, const char *text, const char *const *overrides);
/* Parses a wrong text and holds the whole message against `expected`. */
void test_refused(const char *text, const char *const *overrides, const char *expected);

extern const struct CMUnitTest test_mistakes[], test_texts[], test_reads[];
extern const size_t test_mistakes_count, test_texts_count, test_reads_count;

#endif
