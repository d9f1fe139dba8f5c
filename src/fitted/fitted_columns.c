/* Whether data have the columns of a fit. */
#include "fitted/fitted.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Line k of the names. */
static bool name_is(const char **at, const char *name)
{
    const size_t n = strcspn(*at, "\n");
    const bool same = strlen(name) == n && !strncmp(*at, name, n);
    if (!same) return false;
    *at += n + ((*at)[n] == '\n');
    return true;
}

/* The lines as data.columns has them. False, when there is no room. */
static bool list_names(const char *lines, char *text, size_t size)
{
    size_t used = 0;
    while (*lines) {
        const size_t n = strcspn(lines, "\n");
        const bool quoted = memchr(lines, ',', n) != NULL;
        if (used + n + 5 > size) return false;
        used += (size_t)snprintf(text + used, size - used, "%s%s%.*s%s", used ? ", " : "", quoted ? "\"" : "", (int)n,
                                 lines, quoted ? "\"" : "");
        lines += n + (lines[n] == '\n');
    }
    return true;
}

static avi_status check_names(const avi_fitted *f, const avi_source *s)
{
    const char *at = f->columns;
    if (!s->column_name || !f->columns[0]) return AVI_OK;
    for (int64_t k = 0; k < f->shape.width; k++) {
        if (name_is(&at, s->column_name[k])) continue;
        char names[1024];
        const bool all = list_names(f->columns, names, sizeof names);
        return avi_fail(AVI_ERR_DATA,
                        "%s: column %" PRId64
                        " (from 0) is '%s', and '%.*s' in the fit; use a file with the columns of the "
                        "fit%s%s%s",
                        s->label, k, s->column_name[k], (int)strcspn(at, "\n"), at,
                        all ? ", or, where it has them in another place, 'data.columns=" : " in its order",
                        all ? names : "", all ? "'" : "");
    }
    return AVI_OK;
}

static const char *kind_of_rows(const avi_shape *shape)
{
    return shape->ragged ? "groups of any number of entries" : "rows of one width";
}

avi_status avi_fitted_check_columns(const avi_fitted *f, const avi_source *s)
{
    const avi_shape *a = &s->shape, *b = &f->shape;
    if (a->ragged != b->ragged)
        return avi_fail(AVI_ERR_DATA, "%s: has %s, and the fit %s has %s; use data of the same kind", s->label,
                        kind_of_rows(a), f->path, kind_of_rows(b));
    if (a->width != b->width)
        return avi_fail(AVI_ERR_DATA,
                        "%s: has rows of %" PRId64 " values, and the fit %s has rows of %" PRId64
                        "; use data with the columns of the fit, or data.columns to choose them",
                        s->label, a->width, f->path, b->width);
    if (b->height > 1 && a->height > 1 && (a->height != b->height || a->columns != b->columns))
        return avi_fail(AVI_ERR_DATA,
                        "%s: has images of %" PRId64 " x %" PRId64 ", and the fit %s of %" PRId64 " x %" PRId64
                        "; use images of that size",
                        s->label, a->height, a->columns, f->path, b->height, b->columns);
    return check_names(f, s);
}
