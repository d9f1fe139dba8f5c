#include "config/number.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Copies the text of a number without the _ between digits. False when it holds anything that no decimal number holds.
 */
static bool plain_number(const char *text, char *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; text[i]; ++i) {
        if (text[i] == '_' && i > 0 && is_digit(text[i - 1]) && is_digit(text[i + 1])) continue;
        if (!is_digit(text[i]) && !strchr("+-.eE", text[i])) return false;
        if (n + 1 >= room) return false;
        out[n++] = text[i];
    }
    out[n] = '\0';
    return n > 0;
}

bool avi_number_real(const char *text, double *value)
{
    char number[512];
    if (!plain_number(text, number, sizeof number)) return false;
    char *end;
    errno = 0;
    *value = strtod(number, &end);
    if (*end || end == number || !isfinite(*value)) return false;
    return !(errno == ERANGE && *value == 0); /* 1e-999 is not 0 */
}

bool avi_number_integer(const char *text, int64_t *value)
{
    char number[512], *end;
    if (!plain_number(text, number, sizeof number)) return false;
    errno = 0;
    const long long whole = strtoll(number, &end, 10);
    if (end != number && !*end) {
        *value = whole;
        return errno == 0;
    }
    double real;
    if (!avi_number_real(text, &real) || real != floor(real) || fabs(real) >= 9223372036854775808.0) return false;
    *value = (int64_t)real;
    return true;
}

bool avi_list_next(const char **at)
{
    *at += strspn(*at, " \t");
    if (**at != ',') return true;
    ++*at;
    *at += strspn(*at, " \t");
    return **at && **at != ',';
}
