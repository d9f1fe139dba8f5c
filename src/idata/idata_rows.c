#include "idata/idata_rows.h"
#include "base/interval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct range {
    int64_t first, last;
} range;

static avi_status refuse(const avi_config *c, const char *what, size_t n)
{
    return avi_config_fail(c, "output", "idata_rows",
                           "%.*s is not a row; use auto, all, or numbers from 0 and ranges: 0..99, 500", (int)n, what);
}

/* "7" or "7..9", which ends with a comma, a blank or the text. */
static avi_status parse_one(const avi_config *c, const char *text, size_t n, int64_t all, range *out)
{
    char *end;
    errno = 0;
    out->first = out->last = strtoll(text, &end, 10);
    if (end == text || errno) return refuse(c, text, n);
    if (end < text + n && !strncmp(end, "..", 2)) {
        const char *from = end + 2;
        out->last = strtoll(from, &end, 10);
        if (end == from || errno) return refuse(c, text, n);
    }
    if (end != text + n || out->first < 0) return refuse(c, text, n);
    if (out->last < out->first)
        return avi_config_fail(c, "output", "idata_rows", "%.*s ends before it begins; use %lld..%lld", (int)n, text,
                               (long long)out->last, (long long)out->first);
    if (out->last < all) return AVI_OK;
    return avi_config_fail(c, "output", "idata_rows",
                           "there are %lld training rows, and %.*s is beyond them; use 0..%lld", (long long)all, (int)n,
                           text, (long long)all - 1);
}

static int ascending(const void *a, const void *b)
{
    const range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Ranges in order, joined where they overlap or touch. Returns how many are left. */
static int join(range *list, int n)
{
    int kept = 0;
    qsort(list, (size_t)n, sizeof *list, ascending);
    for (int i = 0; i < n; i++) {
        if (kept && list[i].first <= list[kept - 1].last + 1) {
            if (list[i].last > list[kept - 1].last) list[kept - 1].last = list[i].last;
        } else {
            list[kept++] = list[i];
        }
    }
    return kept;
}

static avi_status take(const range *list, int n, avi_idata_rows *r)
{
    r->first = malloc((size_t)(n + 1) * 2 * sizeof *r->first);
    if (!r->first) return avi_fail_memory((size_t)n * sizeof *list, "the rows of posterior.nc");
    r->before = r->first + n + 1;
    r->ranges = n;
    for (int i = 0; i < n; i++) {
        r->first[i] = list[i].first;
        r->before[i] = r->total;
        r->total += list[i].last - list[i].first + 1;
    }
    r->first[n] = 0;
    r->before[n] = r->total;
    return AVI_OK;
}

static avi_status parse_list(const avi_config *c, const char *text, int64_t all, range *list, int *count)
{
    *count = 0;
    for (size_t n; *(text += strspn(text, ", \t")); text += n) {
        n = strcspn(text, ", \t");
        AVI_TRY(parse_one(c, text, n, all, &list[(*count)++]));
    }
    return *count ? AVI_OK : refuse(c, "nothing", 7);
}

avi_status avi_idata_rows_parse(const avi_config *config, int64_t all, int64_t automatic, avi_idata_rows *r)
{
    const char *text = avi_config_get_string(config, "output", "idata_rows");
    *r = (avi_idata_rows){0};
    const range whole = {0, (!strcmp(text, "all") || automatic > all ? all : automatic) - 1};
    if (!strcmp(text, "all") || !strcmp(text, "auto")) return take(&whole, 1, r);
    range *list = malloc((strlen(text) / 2 + 1) * sizeof *list); /* a word takes two letters */
    if (!list) return avi_fail_memory(strlen(text), "the rows of posterior.nc");
    int n = 0;
    avi_status status = parse_list(config, text, all, list, &n);
    if (status == AVI_OK) status = take(list, join(list, n), r);
    free(list);
    return status;
}

avi_status avi_idata_rows_first(int64_t n, avi_idata_rows *r)
{
    const range whole = {0, n - 1};
    *r = (avi_idata_rows){0};
    return take(&whole, 1, r);
}

void avi_idata_rows_free(avi_idata_rows *r)
{
    free(r->first);
    *r = (avi_idata_rows){0};
}

int64_t avi_idata_row(const avi_idata_rows *r, int64_t i)
{
    const int64_t k = avi_interval_of(r->before, r->ranges, i);
    return r->first[k] + i - r->before[k];
}
