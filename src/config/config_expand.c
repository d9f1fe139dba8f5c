/* ${NAME} in values, and how a value is written so that it reads back. */
#include "config/config_internal.h"

#include <ctype.h>
#include <string.h>

static bool is_name(const char *name, size_t length)
{
    if (length == 0 || isdigit((unsigned char)name[0])) return false;
    for (size_t i = 0; i < length; ++i)
        if (!isalnum((unsigned char)name[i]) && name[i] != '_') return false;
    return true;
}

/* A value must mean the same when the effective configuration writes it and a later run reads it. */
bool avi_value_can_be_written(const char *value, avi_text *wrong)
{
    for (size_t i = 0; value[i]; ++i) {
        const unsigned char byte = (unsigned char)value[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            avi_text_add(wrong, "holds the control byte 0x%02x; give printable text", byte);
            return false;
        }
        if (byte == ';' && (i == 0 || value[i - 1] == ' ' || value[i - 1] == '\t')) {
            avi_text_add(
                wrong,
                "holds a ; at its start or behind a blank, which starts a comment; leave the blank or the ; out");
            return false;
        }
    }
    return true;
}

/* *raw stands on "${": adds the variable's value and moves behind the "}". */
static bool expand_one(const avi_source *source, const char **raw, avi_text *out, avi_text *wrong)
{
    const char *name = *raw + 2;
    const char *end = strchr(name, '}');
    if (!end || !is_name(name, (size_t)(end - name))) {
        avi_text_add(wrong,
                     "${ without the name of an environment variable and }; write ${NAME}, or $${ for a plain ${");
        return false;
    }
    const int length = end - name < 80 ? (int)(end - name) : 80;
    const char *value = avi_source_variable(source, name, (size_t)(end - name));
    if (!value) {
        avi_text_add(wrong, "the environment variable %.*s is not set; set it, or write the value here", length, name);
        return false;
    }
    avi_text_add(out, "%s", value);
    *raw = end + 1;
    return true;
}

bool avi_value_expand(const avi_source *source, const char *raw, avi_text *out, avi_text *wrong)
{
    while (*raw) {
        if (strncmp(raw, "$${", 3) == 0) {
            avi_text_bytes(out, "${", 2);
            raw += 3;
        } else if (strncmp(raw, "${", 2) == 0) {
            if (!expand_one(source, &raw, out, wrong)) return false;
        } else {
            const size_t plain = strcspn(raw + 1, "$") + 1;
            avi_text_bytes(out, raw, plain);
            raw += plain;
        }
        if (out->used > AVI_CONFIG_VALUE_LIMIT) {
            avi_text_add(wrong, "longer than %d bytes; give a shorter value", AVI_CONFIG_VALUE_LIMIT);
            return false;
        }
    }
    /* Blanks at both ends go, as they do for a value that was typed. */
    size_t begin = 0;
    avi_text_bytes(out, "", 0);
    if (out->failed) {
        avi_text_add(wrong, "memory is short");
        return false;
    }
    while (isspace((unsigned char)out->data[begin])) ++begin;
    while (out->used > begin && isspace((unsigned char)out->data[out->used - 1])) --out->used;
    memmove(out->data, out->data + begin, out->used - begin);
    out->used -= begin;
    out->data[out->used] = '\0';
    return avi_value_can_be_written(out->data, wrong);
}

void avi_value_write(avi_text *out, const char *value)
{
    for (; *value; ++value) {
        if (strncmp(value, "${", 2) == 0) avi_text_bytes(out, "$", 1);
        avi_text_bytes(out, value, 1);
    }
}
