/* Text -> typed value: types, ranges, choices, paths, ${NAME}. */
#include "config/config_internal.h"
#include "config/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

const char *avi_value_type(avi_key_type type)
{
    static const char *const names[] = {"integer", "real", "yes | no", "text", "choice", "path", "integers", "paths"};
    return names[type];
}

/* ---- ranges and choices ------------------------------------------------------------------------------------------ */

/* Bounds this far out stand for none. */
static bool no_lower(const avi_key *key) { return key->min <= -9.2e18; }
static bool no_upper(const avi_key *key) { return key->max >= 9.2e18; }
static bool no_limits(const avi_key *key)
{
    return (key->min == 0 && key->max == 0) || (no_lower(key) && no_upper(key));
}
static bool in_range(const avi_key *key, double value)
{
    return no_limits(key) || (value >= key->min && value <= key->max);
}

void avi_value_range(avi_text *text, const avi_key *key)
{
    const bool positive = key->min > 0 && key->min < 1e-300; /* the smallest double stands for "above 0" */
    if (no_limits(key)) return;
    if (no_lower(key))
        avi_text_add(text, "at most %.15g", key->max);
    else if (no_upper(key) && positive)
        avi_text_add(text, "above 0");
    else if (no_upper(key))
        avi_text_add(text, "at least %.15g", key->min);
    else if (positive)
        avi_text_add(text, "above 0, at most %.15g", key->max);
    else
        avi_text_add(text, "%.15g .. %.15g", key->min, key->max);
}

bool avi_choice_next(const char **list, const char **begin, size_t *length)
{
    const char *at = *list;
    while (at && (is_blank(*at) || *at == '|')) ++at;
    if (!at || !*at) return false;
    *begin = at;
    const char *end = strchr(at, '|');
    if (!end) end = at + strlen(at);
    *list = end;
    while (end > at && is_blank(end[-1])) --end;
    *length = (size_t)(end - at);
    return true;
}

bool avi_choice_has(const char *list, const char *word)
{
    const char *begin;
    size_t length;
    while (avi_choice_next(&list, &begin, &length))
        if (strlen(word) == length && memcmp(word, begin, length) == 0) return true;
    return false;
}

/* ---- what is wrong ----------------------------------------------------------------------------------------------- */

static bool refuse(avi_text *wrong, const avi_key *key, const char *text, const char *is_not, const char *give)
{
    if (*text) {
        avi_text_add(wrong, "'");
        avi_text_quote(wrong, text);
        avi_text_add(wrong, "' %s; %s", is_not, give);
    } else {
        avi_text_add(wrong, "no value; %s", give);
    }
    const bool number = key->type == AVI_KEY_INT || key->type == AVI_KEY_REAL || key->type == AVI_KEY_INT_LIST;
    if (number && !no_limits(key)) {
        avi_text_add(wrong, key->type == AVI_KEY_INT_LIST ? ", each " : ", ");
        avi_value_range(wrong, key);
    }
    if (number && key->unit) avi_text_add(wrong, " (%s)", key->unit);
    return false;
}

static bool refuse_choice(avi_text *wrong, const avi_key *key, const char *text)
{
    enum { MOST = 64 };
    char *names[MOST];
    int count = 0;
    const char *list = key->choices, *begin;
    size_t length;
    while (count < MOST && avi_choice_next(&list, &begin, &length)) {
        names[count] = strndup(begin, length);
        if (names[count]) ++count;
    }
    const char *near = avi_closest(text, (const char *const *)names, count);
    avi_text give = {0};
    if (near) avi_text_add(&give, "did you mean %s? ", near);
    avi_text_add(&give, "choices: %s", key->choices);
    char *give_text = avi_text_take(&give);
    refuse(wrong, key, text, "is not among the choices", give_text ? give_text : "choose another");
    free(give_text);
    while (count > 0) free(names[--count]);
    return false;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void write_real(avi_text *out, double value)
{
    char text[64];
    for (int digits = 15; digits <= 17; ++digits) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    avi_text_add(out, "%s", text);
}

static bool set_integer(avi_slot *slot, const char *text, avi_text *out, avi_text *wrong)
{
    int64_t value;
    if (!avi_number_integer(text, &value))
        return refuse(wrong, slot->key, text, "is not an integer", "give an integer");
    if (!in_range(slot->key, (double)value))
        return refuse(wrong, slot->key, text, "is out of range", "give an integer");
    slot->integer = value;
    avi_text_add(out, "%" PRId64, value);
    return true;
}

static bool set_real(avi_slot *slot, const char *text, avi_text *out, avi_text *wrong)
{
    double value;
    if (!avi_number_real(text, &value))
        return refuse(wrong, slot->key, text, "is not a finite number", "give a number such as 0.5 or 1e-3");
    if (!in_range(slot->key, value)) return refuse(wrong, slot->key, text, "is out of range", "give a number");
    slot->real = value;
    write_real(out, value);
    return true;
}

/* One element of `length` bytes to *value and, as it is written, to out. */
static bool add_element(const avi_slot *slot, const char *at, size_t length, int64_t *value, avi_text *out,
                        avi_text *wrong)
{
    static const char give[] = "give integers separated by commas";
    char *word = strndup(at, length);
    bool good = word != NULL;
    if (!good)
        out->failed = true;
    else if (!avi_number_integer(word, value))
        good = refuse(wrong, slot->key, word, "is not an integer", give);
    else if (!in_range(slot->key, (double)*value))
        good = refuse(wrong, slot->key, word, "is out of range", give);
    else
        avi_text_add(out, "%s%" PRId64, out->used ? ", " : "", *value);
    free(word);
    return good;
}

static bool set_list(avi_slot *slot, const char *text, avi_text *out, avi_text *wrong)
{
    int64_t *list = malloc((strlen(text) / 2 + 1) * sizeof *list);
    bool good = list != NULL;
    int count = 0;
    if (!good) out->failed = true;
    for (const char *at = text + strspn(text, " \t"); good && *at;) {
        const size_t length = strcspn(at, ", \t");
        good = length ? add_element(slot, at, length, &list[count++], out, wrong)
                      : refuse(wrong, slot->key, text, "has a comma without a number",
                               "give integers separated by commas");
        at += length;
        good = good && (avi_list_next(&at) || refuse(wrong, slot->key, text, "has a comma without a number",
                                                     "give integers separated by commas"));
    }
    if (!good) {
        free(list);
        return false;
    }
    free(slot->list);
    slot->list = list;
    slot->list_count = count;
    return true;
}

/* ---- other types ------------------------------------------------------------------------------------------------- */

static bool set_bool(avi_slot *slot, const char *text, avi_text *out, avi_text *wrong)
{
    static const char *const words[2][4] = {{"no", "false", "off", "0"}, {"yes", "true", "on", "1"}};
    for (int yes = 0; yes < 2; ++yes)
        for (int i = 0; i < 4; ++i)
            if (strcasecmp(text, words[yes][i]) == 0) {
                slot->yes = yes;
                avi_text_add(out, yes ? "yes" : "no");
                return true;
            }
    return refuse(wrong, slot->key, text, "is neither yes nor no", "give yes or no");
}

/* Joins without "./" and doubled slashes; ".." stays, for it may go through a link. */
static void add_path(avi_text *out, const char *folder, const char *path)
{
    avi_text whole = {0};
    avi_text_add(&whole, "%s%s%s", path[0] == '/' ? "" : folder, path[0] == '/' ? "" : "/", path);
    char *text = avi_text_take(&whole);
    if (!text) {
        out->failed = true;
        return;
    }
    for (const char *at = text; *at;) {
        const bool parted = at > text && at[-1] == '/';
        if (parted && at[0] == '/')
            ++at;
        else if (parted && at[0] == '.' && at[1] == '/')
            at += 2;
        else
            avi_text_bytes(out, at++, 1);
    }
    free(text);
}

/* Elements stand between commas; blanks around them do not count. */
static bool set_path_list(const avi_slot *slot, const char *text, const char *folder, avi_text *out, avi_text *wrong)
{
    const char *at = text + strspn(text, " \t");
    while (*at) {
        size_t length = strcspn(at, ",");
        const char *rest = at + length;
        while (length && is_blank(at[length - 1])) --length;
        char *word = strndup(at, length);
        if (out->used) avi_text_add(out, ", ");
        if (word && *word) add_path(out, folder, word);
        const bool good = word && *word;
        free(word);
        at = rest + (*rest == ',');
        at += strspn(at, " \t");
        if (!good || (*rest && !*at))
            return refuse(wrong, slot->key, text, "has a comma without a path", "give paths separated by commas");
    }
    return true;
}

bool avi_value_set(avi_slot *slot, const char *text, const char *folder, avi_text *wrong)
{
    avi_text out = {0};
    bool good = true;
    switch (slot->key->type) {
    case AVI_KEY_INT:
        good = set_integer(slot, text, &out, wrong);
        break;
    case AVI_KEY_REAL:
        good = set_real(slot, text, &out, wrong);
        break;
    case AVI_KEY_BOOL:
        good = set_bool(slot, text, &out, wrong);
        break;
    case AVI_KEY_INT_LIST:
        good = set_list(slot, text, &out, wrong);
        break;
    case AVI_KEY_CHOICE:
        good = avi_choice_has(slot->key->choices, text) || refuse_choice(wrong, slot->key, text);
        avi_text_add(&out, "%s", text);
        break;
    case AVI_KEY_STRING:
        avi_text_add(&out, "%s", text);
        break;
    case AVI_KEY_PATH_LIST:
        good =
            set_path_list(slot, text, folder, &out, wrong) && (!out.data || avi_value_can_be_written(out.data, wrong));
        break;
    case AVI_KEY_PATH:
        if (*text) add_path(&out, folder, text);
        good = !out.data || avi_value_can_be_written(out.data, wrong);
        break;
    }
    char *canonical = avi_text_take(&out);
    if (good && !canonical) {
        avi_text_add(wrong, "memory is short");
        good = false;
    }
    if (!good) {
        free(canonical);
        return false;
    }
    free(slot->text);
    slot->text = canonical;
    return true;
}

void avi_value_free(avi_slot *slot)
{
    free(slot->text);
    free(slot->list);
    slot->text = NULL;
    slot->list = NULL;
}
