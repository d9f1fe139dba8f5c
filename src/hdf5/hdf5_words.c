/* The words of data.columns. */
#include "hdf5/hdf5_file.h"

#include <string.h>

bool avi_hdf5_next_word(const char **text, char *word, size_t size)
{
    const char *at = *text + strspn(*text, " \t,");
    const bool quoted = *at == '"' && strchr(at + 1, '"');
    if (quoted) at++;
    size_t length = strcspn(at, quoted ? "\"" : ",");
    *text = at + length + quoted;
    while (!quoted && length > 0 && strchr(" \t", at[length - 1])) length--;
    if (length >= size) length = size - 1;
    memcpy(word, at, length);
    word[length] = '\0';
    return length > 0;
}
