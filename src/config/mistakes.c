/* Mistakes of a configuration: collected, so that a person sees all of them at once. */
#include "config/config_internal.h"

#include <stdarg.h>
#include <stdlib.h>

void avi_text_origin(avi_text *text, const char *file, int line)
{
    if (line == AVI_COMMAND_LINE) {
        avi_text_add(text, "command line");
    } else if (line == AVI_DEFAULT) {
        avi_text_add(text, "default");
    } else {
        avi_text_quote(text, file);
        avi_text_add(text, ":%d", line);
    }
}

void avi_mistake(avi_mistakes *mistakes, int line, const char *section, const char *key, const char *format, ...)
{
    if (mistakes->count++ >= AVI_MISTAKES_KEPT) return;
    avi_text text = {0};
    avi_text_origin(&text, mistakes->file, line);
    avi_text_add(&text, ": ");
    if (section) {
        avi_text_add(&text, "[");
        avi_text_quote(&text, section);
        avi_text_add(&text, key ? "] " : "]");
    }
    if (key) avi_text_quote(&text, key);
    if (section || key) avi_text_add(&text, ": ");

    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    avi_text_add(&text, "%s", message);
    /* Kept in the order of lines; mistakes of one line stay in the order of discovery. */
    int place = mistakes->count - 1;
    for (; place > 0 && mistakes->kept[place - 1].line > line; --place)
        mistakes->kept[place] = mistakes->kept[place - 1];
    mistakes->kept[place].line = line;
    mistakes->kept[place].text = avi_text_take(&text);
}

avi_status avi_mistakes_report(avi_mistakes *mistakes)
{
    enum { ROOM = 7800 }; /* avi_fail cuts at 8 KiB: the last line says how many more there are */
    if (mistakes->count == 0) return AVI_OK;
    avi_text all = {0};
    int told = 0;
    const int kept = mistakes->count < AVI_MISTAKES_KEPT ? mistakes->count : AVI_MISTAKES_KEPT;
    for (int i = 0; i < kept; ++i) {
        const char *text = mistakes->kept[i].text ? mistakes->kept[i].text : "(memory is short)";
        const size_t before = all.used;
        avi_text_add(&all, "%s%s", told ? "\n" : "", text);
        if (all.used > ROOM && told > 0) {
            all.used = before;
            all.data[before] = '\0';
            break;
        }
        ++told;
    }
    for (int i = 0; i < kept; ++i) free(mistakes->kept[i].text);
    if (told < mistakes->count) avi_text_add(&all, "\n... and %d more mistakes", mistakes->count - told);
    mistakes->count = 0;
    char *message = avi_text_take(&all);
    const avi_status status =
        avi_fail(AVI_ERR_CONFIG, "%s", message ? message : "mistakes in the configuration, and memory is short");
    free(message);
    return status;
}
