/* Models of the registry from text, for the tests of all of them. */
#ifndef AVI_TESTS_MODEL_SUPPORT_H
#define AVI_TESTS_MODEL_SUPPORT_H

#include "avi/model.h"
#include "reference_models.h"
#include "registry_support.h"

#include <stdio.h>

static inline int model_count(void) { return avi_registry_count(test_registry(), AVI_KIND_MODEL); }
static inline const avi_model_ops *model_at(int i) { return avi_registry_at(test_registry(), AVI_KIND_MODEL, i); }

static inline avi_config *parse(const char *text)
{
    avi_config *config = test_config_new();
    avi_error_clear();
    if (avi_config_parse(config, "test.ini", text, 0, NULL) != AVI_OK) fail_msg("%s", avi_error_text());
    return config;
}

static inline avi_status try_model(const char *text, int64_t width, avi_model **m)
{
    avi_config *config = parse(text);
    if (width == 0) {
        const avi_model_ops *ops = avi_model_selected(config);
        width = ops->simulated_width ? ops->simulated_width(config) : 1;
    }
    const avi_shape shape = {
        .rows = REFERENCE_ROWS + 1, .width = width, .height = 1, .columns = width, .type = AVI_F64, .scale = 1};
    const avi_status status = avi_model_create(config, &shape, m);
    avi_config_destroy(&config);
    return status;
}

static inline avi_model *make_model(const char *text, int64_t width)
{
    avi_model *m;
    if (try_model(text, width, &m) != AVI_OK) fail_msg("%s", avi_error_text());
    return m;
}

/* Small sizes for models whose defaults are large, as they say themselves; others are taken as they are. */
static inline const char *small_text(const avi_model_ops *ops)
{
    static char text[1024];
    snprintf(text, sizeof text, "[model]\nname = %s\n%s", ops->name, ops->small ? ops->small : "");
    return text;
}

#endif
