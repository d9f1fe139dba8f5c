/* All that a parse depends on, in one block: text, folder, overrides, environment. Rank 0 makes it and everybody parses
 * the same block, so that ranks on hosts with another environment or working folder still agree on every value. */
#include "config/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_string(avi_text *block, const char *string) { avi_text_bytes(block, string, strlen(string) + 1); }

static void add_folder(avi_text *block)
{
    for (size_t room = 256; room <= (1 << 16); room *= 2) {
        char *folder = malloc(room);
        if (!folder) break;
        const bool good = getcwd(folder, room) != NULL;
        const bool longer = !good && errno == ERANGE;
        if (good) add_string(block, folder);
        free(folder);
        if (good) return;
        if (!longer) break;
    }
    add_string(block, "."); /* a folder that was removed has no name */
}

static size_t name_length(const char *at)
{
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_') ++n;
    return n && !isdigit((unsigned char)at[0]) ? n : 0;
}

static const char *find_variable(const char *from, const char *end, const char *name, size_t length)
{
    for (const char *at = from; at < end; at += strlen(at) + 1)
        if (strncmp(at, name, length) == 0 && at[length] == '=') return at + length + 1;
    return NULL;
}

/* Adds NAME=value for every ${NAME} in `text` that is set. */
static void add_variables(avi_text *block, size_t first, const char *text)
{
    for (const char *at = strstr(text, "${"); at; at = strstr(at + 2, "${")) {
        const size_t n = name_length(at + 2);
        if (n == 0 || n > 255 || at[2 + n] != '}') continue;
        char name[256];
        memcpy(name, at + 2, n);
        name[n] = '\0';
        const char *value = getenv(name);
        if (!value || block->failed) continue;
        if (first < block->used && find_variable(block->data + first, block->data + block->used, name, n)) continue;
        avi_text_add(block, "%s=", name);
        add_string(block, value);
    }
}

avi_status avi_source_create(const char *file, const char *text, size_t text_bytes, int count,
                             const char *const *overrides, avi_source *source)
{
    *source = (avi_source){.text_bytes = (int64_t)text_bytes, .overrides = count};
    avi_text block = {0};
    avi_text_bytes(&block, text, text_bytes);
    avi_text_bytes(&block, "", 1);
    add_string(&block, file);
    add_folder(&block);
    for (int i = 0; i < count; ++i) add_string(&block, overrides[i]);
    const size_t first = block.used;
    char *copy = block.failed ? NULL : strdup(block.data); /* the text up to a NUL byte; the block may move */
    if (copy) add_variables(&block, first, copy);
    for (int i = 0; copy && i < count; ++i) add_variables(&block, first, overrides[i]);
    const bool good = copy != NULL && !block.failed;
    free(copy);
    source->bytes = (int64_t)block.used;
    source->data = avi_text_take(&block);
    if (good && source->data) return AVI_OK;
    free(source->data);
    *source = (avi_source){0};
    return avi_fail_memory(text_bytes, "the configuration");
}

const char *avi_source_string(const avi_source *source, int64_t i)
{
    const char *at = source->data + source->text_bytes + 1;
    for (; i > 0; --i) at += strlen(at) + 1;
    return at;
}

const char *avi_source_variable(const avi_source *source, const char *name, size_t length)
{
    return find_variable(avi_source_string(source, 2 + source->overrides), source->data + source->bytes, name, length);
}
