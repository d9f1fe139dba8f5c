/* For tests: a configuration of everything that is built in, from text. Include after the headers of cmocka or with
 * TEST_MUST defined. */
#ifndef AVI_TESTS_REGISTRY_SUPPORT_H
#define AVI_TESTS_REGISTRY_SUPPORT_H

#include "avi/registry.h"
#include "cli/registry.h"

#include <stdio.h>
#include <stdlib.h>

/* The registry of the whole program, made once and kept until the test ends. */
static inline avi_registry *test_registry(void)
{
    static avi_registry *registry;
    if (!registry && avi_registry_builtin(&registry) != AVI_OK) {
        fprintf(stderr, "registry: %s\n", avi_error_text());
        abort();
    }
    return registry;
}

/* An empty configuration that knows every key. Owner: caller. */
static inline avi_config *test_config_new(void)
{
    avi_config *config = NULL;
    if (avi_registry_config(test_registry(), &config) != AVI_OK) {
        fprintf(stderr, "configuration: %s\n", avi_error_text());
        abort();
    }
    return config;
}

#endif
