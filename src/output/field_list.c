#include "output/run_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

avi_status avi_fields_add(avi_fields *l, avi_field field)
{
    if (l->count == l->capacity) {
        const int capacity = 2 * l->capacity + 32;
        avi_field *grown = realloc(l->field, (size_t)capacity * sizeof *grown);
        if (!grown) return avi_fail_memory((size_t)capacity * sizeof *grown, "the list of results");
        l->field = grown;
        l->capacity = capacity;
    }
    l->field[l->count++] = field;
    return AVI_OK;
}

avi_status avi_fields_borrow(avi_fields *l, const avi_fields *other)
{
    for (int i = 0; i < other->count; i++) AVI_TRY(avi_fields_add(l, other->field[i]));
    for (int i = 0; i < other->attributes; i++) AVI_TRY(avi_fields_attribute(l, other->attribute[i]));
    return AVI_OK;
}

avi_status avi_fields_attribute(avi_fields *l, avi_attribute a)
{
    avi_attribute *grown = realloc(l->attribute, (size_t)(l->attributes + 1) * sizeof *grown);
    if (!grown) return avi_fail_memory(sizeof *grown, "the list of results");
    l->attribute = grown;
    l->attribute[l->attributes++] = a;
    return AVI_OK;
}

void *avi_fields_memory(avi_fields *l, size_t bytes)
{
    void **grown = realloc(l->owned, (size_t)(l->owned_count + 1) * sizeof *grown);
    if (!grown) return NULL;
    l->owned = grown;
    void *p = calloc(1, bytes + 1);
    if (p) l->owned[l->owned_count++] = p;
    return p;
}

char *avi_fields_text(avi_fields *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : avi_fields_memory(l, (size_t)length + 1);
    va_start(args, format);
    if (text) vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

void avi_fields_free(avi_fields *l)
{
    free(l->attribute);
    for (int i = 0; i < l->owned_count; i++) free(l->owned[i]);
    free(l->owned);
    free(l->field);
    *l = (avi_fields){0};
}
