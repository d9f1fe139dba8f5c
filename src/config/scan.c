/* INI text -> sections and key = value, through inih.
 *
 * inih reads lines of at most 200 bytes, takes an indented line for the continuation of the value above, ignores text
 * behind a section's ] and tells only the first line that it could not read. The reader below hands it lines that are
 * screened for all that: a text from outside must never be read as something else than it says. */
#include "config/config_internal.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

typedef struct scanner {
    const char *at; /* start of the next line */
    int line;       /* number of the line handed out last, from 1 */
    bool pass;      /* keys are passed over: their section is not known */
    char *held;     /* value of a line that is too long for inih's buffer; owned */
    bool short_of_memory;
    const avi_scan_events *events;
    void *user;
} scanner;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/* Length of the line without its comment and the blanks before it. A comment starts with ; at the line's start or
 * behind a blank. */
static size_t without_comment(const char *line, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        if (line[i] == ';' && (i == 0 || is_blank(line[i - 1]))) length = i;
    while (length > 0 && is_blank(line[length - 1])) --length;
    return length;
}

/* A [section] line. True when inih may have it. */
static bool screen_section(scanner *s, const char *line, size_t length)
{
    s->pass = true;
    const char *end = memchr(line, ']', length);
    if (!end) {
        s->events->wrong(s->user, s->line, "a section without its ]; write [name]");
        return false;
    }
    if (end != line + length - 1) {
        s->events->wrong(s->user, s->line, "text behind a section's ]; keys go on lines of their own");
        return false;
    }
    char *name = strndup(line + 1, length - 2);
    if (!name) {
        s->short_of_memory = true;
        return false;
    }
    s->pass = !s->events->section(s->user, name, s->line);
    free(name);
    return !s->pass;
}

/* A key = value line of `length` bytes for a buffer of `room` bytes: copies what inih shall read. */
static bool screen_value(scanner *s, const char *line, size_t length, char *buffer, size_t room)
{
    if (s->pass) return false;
    size_t separator = 0;
    while (separator < length && line[separator] != '=' && line[separator] != ':') ++separator;
    if (separator == length || separator == 0) {
        s->events->wrong(s->user, s->line,
                         separator ? "neither [section] nor key = value; comments start with ;"
                                   : "no key before =; write key = value");
        return false;
    }
    if (length < room) {
        memcpy(buffer, line, length);
        buffer[length] = '\0';
        return true;
    }
    if (separator + 2 > room) {
        s->events->wrong(s->user, s->line, "the name of the key is too long; write key = value");
        return false;
    }
    size_t begin = separator + 1;
    while (begin < length && is_blank(line[begin])) ++begin;
    s->held = strndup(line + begin, length - begin);
    if (!s->held) s->short_of_memory = true;
    memcpy(buffer, line, separator + 1);
    buffer[separator + 1] = '\0';
    return s->held != NULL;
}

/* fgets for inih: one line a call, so that its count of lines and ours agree; a line that it shall not see is empty. */
static char *next_line(char *buffer, int room, void *user)
{
    scanner *s = user;
    if (!*s->at) return NULL;
    const char *line = s->at;
    const char *end = strchr(line, '\n');
    const size_t whole = end ? (size_t)(end - line) : strlen(line);
    s->at = end ? end + 1 : line + whole;
    s->line++;
    const char *stop = line + whole;
    for (;;) {
        if (line < stop && is_blank(*line))
            ++line;
        else if (s->line == 1 && stop - line >= 3 && memcmp(line, "\xEF\xBB\xBF", 3) == 0) /* byte order mark */
            line += 3;
        else
            break;
    }
    const size_t length = without_comment(line, (size_t)(stop - line));
    bool good = false;
    if (length > 0 && *line == '[') {
        good = screen_section(s, line, length) && length < (size_t)room;
        if (good) {
            memcpy(buffer, line, length);
            buffer[length] = '\0';
        }
    } else if (length > 0 && *line != '#') {
        good = screen_value(s, line, length, buffer, (size_t)room);
    }
    if (!good) buffer[0] = '\0';
    return buffer;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
    scanner *s = user;
    s->events->value(s->user, section, name, s->held ? s->held : value ? value : "", s->line);
    free(s->held);
    s->held = NULL;
    return 1;
}

avi_status avi_scan(const char *file, const char *text, const avi_scan_events *events, void *user)
{
    scanner s = {.at = text, .events = events, .user = user};
    const int wrong_line = ini_parse_stream(next_line, &s, on_value, &s);
    free(s.held);
    if (s.short_of_memory || wrong_line == -2) return avi_fail(AVI_ERR_INTERNAL, "%s: memory is short", file);
    if (wrong_line != 0) return avi_fail(AVI_ERR_CONFIG, "%s:%d: inih cannot read this line", file, wrong_line);
    return AVI_OK;
}
