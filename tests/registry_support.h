/* For tests: a configuration of everything that is built in, and of the plug-ins that AVI_TEST_PLUGINS names (paths
 * separated by commas), from text. Tests that take plug-ins are registered with REGISTRY. */
#ifndef AVI_TESTS_REGISTRY_SUPPORT_H
#define AVI_TESTS_REGISTRY_SUPPORT_H

#include "avi/registry.h"
#include "cli/registry.h"
#include "run/plugins.h"

#include <stdio.h>
#include <stdlib.h>

static inline avi_status test_add_plugins(avi_registry *registry)
{
    char text[4096];
    const char *paths = getenv("AVI_TEST_PLUGINS"), *const override[] = {text};
    avi_config *given = NULL;
    if (!paths || !*paths) return AVI_OK;
    snprintf(text, sizeof text, "run.plugins=%s", paths);
    AVI_TRY(avi_plugins_config(&given));
    AVI_TRY(avi_config_parse(given, "AVI_TEST_PLUGINS", "", 1, override));
    const avi_status status = avi_plugins_add(given, registry);
    avi_config_destroy(&given);
    return status;
}

/* The registry of the whole program, made once and kept until the test ends. */
static inline avi_registry *test_registry(void)
{
    static avi_registry *registry;
    if (!registry && (avi_registry_builtin(&registry) != AVI_OK || test_add_plugins(registry) != AVI_OK)) {
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
