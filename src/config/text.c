/* A text that grows. */
#include "config/config_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(avi_text *text, size_t more)
{
    if (text->failed) return false;
    if (text->used + more + 1 <= text->room) return true;
    size_t room = text->room ? text->room : 128;
    while (room < text->used + more + 1) room *= 2;
    char *data = realloc(text->data, room);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

void avi_text_bytes(avi_text *text, const char *bytes, size_t count)
{
    if (!make_room(text, count)) return;
    if (count) memcpy(text->data + text->used, bytes, count);
    text->used += count;
    text->data[text->used] = '\0';
}

void avi_text_add(avi_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int count = vsnprintf(NULL, 0, format, args);
    if (count < 0) text->failed = true;
    if (count >= 0 && make_room(text, (size_t)count)) {
        vsnprintf(text->data + text->used, (size_t)count + 1, format, again);
        text->used += (size_t)count;
    }
    va_end(again);
    va_end(args);
}

void avi_text_quote(avi_text *text, const char *outside)
{
    enum { LIMIT = 80 };
    for (int i = 0; outside[i]; ++i) {
        const unsigned char byte = (unsigned char)outside[i];
        if (i == LIMIT) {
            avi_text_add(text, "...");
            return;
        }
        if (byte < 0x20 || byte == 0x7f)
            avi_text_add(text, "\\x%02x", byte);
        else
            avi_text_bytes(text, outside + i, 1);
    }
}

char *avi_text_take(avi_text *text)
{
    avi_text_bytes(text, "", 0); /* so that an empty text is "" and not NULL */
    char *data = text->data;
    if (text->failed) {
        free(data);
        data = NULL;
    }
    *text = (avi_text){0};
    return data;
}
