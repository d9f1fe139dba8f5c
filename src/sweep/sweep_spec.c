#include "sweep/sweep_spec.h"
#include "config/number.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Mistakes, one a line, told at once. */
typedef struct mistakes {
    char text[7800];
    size_t used;
    bool memory;
} mistakes;

static void mistake(mistakes *m, const char *format, ...) AVI_PRINTF(2, 3);
static void mistake(mistakes *m, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (m->used + strlen(line) + 16 > sizeof m->text) return;
    m->used +=
        (size_t)snprintf(m->text + m->used, sizeof m->text - m->used, "%s--sweep: %s", m->used ? "\n" : "", line);
}

/* ---- texts ---- */

/* A copy of [begin, end) without blanks at both ends. Owner: caller. */
static char *copy_of(const char *begin, const char *end)
{
    while (begin < end && isspace((unsigned char)*begin)) begin++;
    while (end > begin && isspace((unsigned char)end[-1])) end--;
    return strndup(begin, (size_t)(end - begin));
}

static bool is_name(const char *s)
{
    const char *dot = strchr(s, '.');
    if (!dot || dot == s || !dot[1] || strchr(dot + 1, '.')) return false;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '.' && *s != '-') return false;
    return true;
}

/* ---- values ---- */

static bool is_full(const avi_sweep_key *k) { return k->count > AVI_SWEEP_RUNS; }

/* Takes `value` over. One more than there may be is a mistake, and none is taken after it: a short text can name
 * millions, "1..1e4|1..1e4|...". */
static void add_value(mistakes *m, avi_sweep_key *k, char *value)
{
    char **grown = value ? realloc(k->value, (size_t)(k->count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        m->memory = true;
        free(value);
        return;
    }
    k->value = grown;
    k->value[k->count++] = value;
    if (is_full(k)) mistake(m, "%s: more than %d values; use fewer, or several sweeps", k->name, AVI_SWEEP_RUNS);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names the values that are there twice, each once. */
static void check_values(mistakes *m, const avi_sweep_key *k)
{
    const size_t count = (size_t)k->count;
    char **sorted = malloc((count + 1) * sizeof *sorted);
    if (!sorted) {
        m->memory = true;
        return;
    }
    if (count) memcpy(sorted, k->value, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t i = 1; i < count; i++)
        if (!strcmp(sorted[i - 1], sorted[i]) && (i == 1 || strcmp(sorted[i - 2], sorted[i])))
            mistake(m, "%s: the value '%s' is given twice; leave one", k->name, sorted[i]);
    free(sorted);
}

/* Reads a..b or a..b..step. False: not a range, but a value that is to be taken as it is. */
static bool read_range(const char *text, double r[3], int *parts)
{
    const char *at = text;
    for (*parts = 0; *parts < 3; at += 2) {
        /* The number ends before the two points: "1." of "1..5" would be one, too. */
        const char *points = strstr(at, "..");
        char *number = copy_of(at, points ? points : at + strlen(at));
        if (!number) return false;
        const bool good = avi_number_real(number, &r[*parts]);
        free(number);
        if (!good) return false;
        ++*parts;
        if (!points) return *parts > 1;
        at = points;
    }
    return false;
}

static void add_range(mistakes *m, avi_sweep_key *k, const char *text, const double r[3], int parts)
{
    const double step = parts == 3 ? r[2] : r[1] < r[0] ? -1 : 1, length = r[1] - r[0];
    if (step == 0 || length * step < 0) {
        mistake(m, "%s: %s: a step of %g never gets from %g to %g; use %g..%g..%g", k->name, text, step, r[0], r[1],
                r[0], r[1], step == 0 ? copysign(1, length) : -step);
        return;
    }
    const double count = floor(length / step * (1 + 1e-12) + 1e-9) + 1;
    if (count > AVI_SWEEP_RUNS) {
        mistake(m, "%s: %s: %.0f values; use at most %d", k->name, text, count, AVI_SWEEP_RUNS);
        return;
    }
    for (int i = 0; i < (int)count && !is_full(k); i++) {
        char number[40];
        snprintf(number, sizeof number, "%.12g", r[0] + i * step);
        add_value(m, k, strdup(number));
    }
}

static void add_values(mistakes *m, avi_sweep_key *k, const char *begin, const char *end)
{
    for (const char *at = begin; at <= end && !is_full(k);) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        char *value = copy_of(at, bar ? bar : end);
        double r[3];
        int parts;
        at = bar ? bar + 1 : end + 1;
        if (value && strstr(value, "${")) {
            mistake(m, "%s: %s: ${NAME} is not expanded here; let the shell do it, in double quotes", k->name, value);
        } else if (value && read_range(value, r, &parts)) {
            add_range(m, k, value, r, parts);
        } else {
            add_value(m, k, value);
            continue;
        }
        free(value);
    }
}

/* ---- keys ---- */

static void check_key(mistakes *m, const avi_sweep_spec *spec, const avi_sweep_key *k, int overrides,
                      const char *const *override)
{
    static const char *const whole[] = {"run.output", "run.time_limit", "checkpoint.resume"};
    const size_t length = strlen(k->name);
    if (!is_name(k->name)) mistake(m, "'%s': not a key; use section.key=value|value", k->name);
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (!strcmp(k->name, whole[i]))
            mistake(m, "%s: belongs to the sweep as a whole; give it as an override, %s=value", k->name, k->name);
    for (int i = 0; i < spec->keys - 1; i++)
        if (!strcmp(spec->key[i].name, k->name)) mistake(m, "%s: given twice; join the values with |", k->name);
    for (int i = 0; i < overrides; i++)
        if (!strncmp(override[i], k->name, length) && override[i][length] == '=')
            mistake(m, "%s: swept, and given on the command line as %s; leave one", k->name, override[i]);
}

/* One part between semicolons: section.key=value|value. */
static void add_key(mistakes *m, avi_sweep_spec *spec, const char *begin, const char *end, int overrides,
                    const char *const *override)
{
    const char *equal = memchr(begin, '=', (size_t)(end - begin));
    char *name = copy_of(begin, equal ? equal : end);
    avi_sweep_key *grown = name ? realloc(spec->key, (size_t)(spec->keys + 1) * sizeof *grown) : NULL;
    if (grown) spec->key = grown;
    if (!grown || (!equal && !*name)) { /* nothing between two semicolons is nothing */
        m->memory = m->memory || !grown;
        free(name);
        return;
    }
    avi_sweep_key *k = &spec->key[spec->keys++];
    *k = (avi_sweep_key){.name = name};
    if (!equal)
        mistake(m, "'%s': no values; use section.key=value|value", name);
    else {
        check_key(m, spec, k, overrides, override);
        add_values(m, k, equal + 1, end);
        check_values(m, k);
    }
}

avi_status avi_sweep_spec_parse(const char *text, int overrides, const char *const *override, avi_sweep_spec *spec)
{
    mistakes m = {.used = 0};
    *spec = (avi_sweep_spec){.runs = 1};
    for (const char *at = text; *at;) {
        const char *end = at + strcspn(at, ";");
        add_key(&m, spec, at, end, overrides, override);
        at = *end ? end + 1 : end;
    }
    if (!spec->keys && !m.memory)
        mistake(&m, "nothing to sweep over; use --sweep 'inference.hidden=1|4|16; run.seed=1..5'");
    for (int i = 0; i < spec->keys && spec->runs <= AVI_SWEEP_RUNS; i++) spec->runs *= spec->key[i].count;
    if (!m.used && spec->runs > AVI_SWEEP_RUNS)
        mistake(&m, "more than %d runs; use fewer values, or several sweeps", AVI_SWEEP_RUNS);
    if (m.memory) return avi_fail_memory(strlen(text), "the runs of a sweep");
    return m.used ? avi_fail(AVI_ERR_USAGE, "%s", m.text) : AVI_OK;
}

void avi_sweep_spec_free(avi_sweep_spec *spec)
{
    for (int i = 0; i < spec->keys; i++) {
        for (int j = 0; j < spec->key[i].count; j++) free(spec->key[i].value[j]);
        free(spec->key[i].value);
        free(spec->key[i].name);
    }
    free(spec->key);
    free(spec->number);
    *spec = (avi_sweep_spec){0};
}

/* ---- runs ---- */

const char *avi_sweep_spec_value(const avi_sweep_spec *spec, int64_t run, int key)
{
    for (int i = spec->keys - 1; i > key; i--) run /= spec->key[i].count;
    return spec->key[key].value[run % spec->key[key].count];
}

void avi_sweep_spec_label(const avi_sweep_spec *spec, int64_t run, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < spec->keys && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s=%s", i ? " " : "", spec->key[i].name,
                                 avi_sweep_spec_value(spec, run, i));
}

void avi_sweep_spec_name(const avi_sweep_spec *spec, int64_t run, char name[AVI_SWEEP_NAME])
{
    size_t used = (size_t)snprintf(name, AVI_SWEEP_NAME, "%03" PRId64 "_", spec->number ? spec->number[run] : run);
    for (int i = 0; i < spec->keys; i++) {
        const char *part[] = {i ? "," : "", spec->key[i].name, "=", avi_sweep_spec_value(spec, run, i)};
        for (int p = 0; p < 4; p++)
            for (const char *c = part[p]; *c && used + 1 < AVI_SWEEP_NAME; c++) {
                if (isspace((unsigned char)*c)) continue;
                const bool plain = isalnum((unsigned char)*c) || strchr("._=+-", *c) || (p == 0 && *c == ',');
                name[used++] = plain && (unsigned char)*c < 128 ? *c : '-';
            }
    }
    name[used] = '\0';
}
