#include "output/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096 /* names that are read together */ };

/* ---- texts of equal size ---- */

/* Bytes of the UTF-8 character at `at`, 0 where there is none. */
static size_t character(const unsigned char *at)
{
    const size_t n = at[0] < 0x80 ? 1 : at[0] >= 0xf0 && at[0] < 0xf5 ? 4 : at[0] >= 0xe0 ? 3 : at[0] >= 0xc2 ? 2 : 0;
    if (at[0] >= 0xf5) return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return n;
}

void avi_names_put(const char *name, size_t n, int64_t bytes, char *out)
{
    memset(out, 0, (size_t)bytes);
    for (size_t i = 0; i < n && (int64_t)i < bytes;) {
        const size_t whole = character((const unsigned char *)name + i);
        const bool fits = whole > 0 && i + whole <= n && (int64_t)(i + whole) < bytes;
        if (fits) memcpy(out + i, name + i, whole);
        if (!fits) out[i] = '?';
        i += fits ? whole : 1;
    }
    out[bytes - 1] = '\0';
}

/* ---- columns ---- */

/* Whether one of the axes is called like that. */
static bool has_axis(const avi_field *f, const char *axis)
{
    const size_t n = strlen(axis);
    for (const char *at = f->text ? NULL : f->axes; at && *at;) {
        if (!strncmp(at, axis, n) && (!at[n] || at[n] == ',')) return true;
        at = strchr(at, ',');
        if (at) at += 1 + strspn(at + 1, " ");
    }
    return false;
}

static bool has_field(const avi_fields *l, const char *path)
{
    for (int i = 0; i < l->count; i++)
        if (!strcmp(l->field[i].path, path)) return true;
    return false;
}

/* Lines of a text as texts of equal size, in memory of the list; NULL when memory is short. */
static char *table_of(avi_fields *l, const char *lines, int64_t count, int64_t *bytes)
{
    *bytes = 1;
    for (const char *at = lines; *at;) {
        const size_t n = strcspn(at, "\n");
        if ((int64_t)n + 1 > *bytes) *bytes = (int64_t)n + 1;
        at += n + (at[n] == '\n');
    }
    char *table = avi_fields_memory(l, (size_t)(count * *bytes));
    for (int64_t k = 0; table && k < count; k++) {
        const size_t n = strcspn(lines, "\n");
        avi_names_put(lines, n, *bytes, table + k * *bytes);
        lines += n + (lines[n] == '\n');
    }
    return table;
}

avi_status avi_names_of_columns(avi_fields *l, const char *names, int64_t width)
{
    const int count = l->count;
    int64_t bytes;
    if (!*names) return AVI_OK;
    const char *table = table_of(l, names, width, &bytes);
    if (!table) return avi_fail_memory((size_t)width, "names of columns");
    for (int i = 0; i < count; i++) {
        if (!has_axis(&l->field[i], "column")) continue;
        const char *last = strrchr(l->field[i].path, '/'),
                   *path = avi_fields_text(l, "%.*s/column", (int)(last - l->field[i].path), l->field[i].path);
        if (!path) return avi_fail_memory(1, "names of columns");
        if (has_field(l, path)) continue;
        AVI_TRY(avi_fields_add(l, (avi_field){.path = path,
                                              .text_bytes = bytes,
                                              .rank = 1,
                                              .dims = {width},
                                              .data = table,
                                              .description = "names of the columns of the data",
                                              .units = "",
                                              .axes = "column"}));
    }
    return AVI_OK;
}

/* ---- rows ---- */

/* Reads names of own rows a piece at a time: the longest into *bytes where it is larger, the texts into `out` where it
 * is not NULL. */
static avi_status read_rows(avi_source *source, int64_t first, int64_t count, int64_t *bytes, char *out)
{
    for (int64_t done = 0, n; done < count; done += n) {
        char *name[PIECE];
        n = count - done < PIECE ? count - done : PIECE;
        AVI_TRY(source->row_names(source, first + done, n, name));
        for (int64_t i = 0; i < n; i++) {
            const size_t length = strlen(name[i]);
            if (out) avi_names_put(name[i], length, *bytes, out + (done + i) * *bytes);
            if (!out && (int64_t)length + 1 > *bytes) *bytes = (int64_t)length + 1;
            free(name[i]);
        }
    }
    return AVI_OK;
}

avi_status avi_names_of_rows_bytes(avi_comm *comm, avi_source *source, int64_t rows, int64_t *bytes)
{
    const int rank = avi_comm_rank(comm), ranks = avi_comm_size(comm);
    const int64_t first = avi_slab_first(rows, ranks, rank), count = avi_slab_first(rows, ranks, rank + 1) - first;
    *bytes = 0;
    if (!source->row_names) return AVI_OK;
    *bytes = 1;
    AVI_TRY(avi_agree(comm, read_rows(source, first, count, bytes, NULL)));
    return avi_comm_max_int64(comm, bytes, 1);
}

avi_status avi_names_of_rows(avi_source *source, int64_t first, int64_t count, int64_t bytes, char *out)
{
    return read_rows(source, first, count, &bytes, out);
}
