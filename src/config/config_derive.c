/* Variants of a configuration that was read once: the same text, environment and folder, other overrides. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

/* True when two overrides name the same key; blanks in the name do not count. */
static bool same_key(const char *a, const char *b)
{
    for (const char *blank = " \t\r\n";; ++a, ++b) {
        a += strspn(a, blank);
        b += strspn(b, blank);
        if (*a != *b) return false;
        if (*a == '=' || !*a) return true;
    }
}

static bool is_replaced(const char *override, int count, const char *const *by)
{
    for (int i = 0; i < count; ++i)
        if (same_key(override, by[i])) return true;
    return false;
}

static void add_string(avi_text *block, const char *string) { avi_text_bytes(block, string, strlen(string) + 1); }

avi_status avi_config_derive(avi_config *config, const avi_config *base, int count, const char *const *overrides)
{
    const avi_source *from = &base->source;
    if (!from->data) return avi_fail(AVI_ERR_INTERNAL, "avi_config_derive: nothing was read");
    avi_text block = {0};
    avi_source source = {.text_bytes = from->text_bytes, .overrides = count};
    avi_text_bytes(&block, from->data, (size_t)from->text_bytes + 1);
    for (int64_t i = 0; i < 2 + from->overrides; ++i) {
        const char *string = avi_source_string(from, i);
        if (i >= 2 && is_replaced(string, count, overrides)) continue;
        source.overrides += i >= 2;
        add_string(&block, string);
    }
    for (int i = 0; i < count; ++i) add_string(&block, overrides[i]);
    const char *variables = avi_source_string(from, 2 + from->overrides);
    avi_text_bytes(&block, variables, (size_t)(from->data + from->bytes - variables));
    source.bytes = (int64_t)block.used;
    source.data = avi_text_take(&block);
    if (!source.data) return avi_fail_memory((size_t)from->bytes, "the configuration");
    return avi_config_take(config, &source);
}
