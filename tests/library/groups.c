/* Groups in memory through a fit of groups: entries and keys are read from a file, and every rank writes what the
 * library says of the groups. Mistakes and their codes. Prints "ok", or what is wrong.
 *
 *     library_groups RUN ENTRIES WIDTH TABLE OUT
 *
 * TABLE has ENTRIES rows of a key and WIDTH values, 8 bytes each; OUT.RANK gets mean, log sd, ELBO, its error, log
 * likelihood, KL, log p, its error, k-hat, effective draws: one after the other, each of all groups. */
#include "avi/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("rank %d, line %d: " #condition " (%s)\n", avi_comm_rank(comm), __LINE__, avi_error_text());        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { PLACES = 10, TILE = 64, MOST = 1 << 20 };

typedef struct table {
    int64_t entries, width, groups;
    double *x, *grouped;                       /* (entries, width) */
    int64_t *key, *first_entry, *key_of_group; /* (entries), (entries + 1), (entries) */
} table;

static void read_table(avi_comm *comm, const char *path, table *t)
{
    const int64_t row = 1 + t->width;
    double *all = malloc((size_t)(t->entries * row) * sizeof *all);
    FILE *file = fopen(path, "rb");
    t->x = malloc((size_t)(t->entries * t->width) * sizeof *t->x);
    t->grouped = malloc((size_t)(t->entries * t->width) * sizeof *t->x);
    t->key = malloc((size_t)t->entries * sizeof *t->key);
    t->key_of_group = malloc((size_t)t->entries * sizeof *t->key);
    t->first_entry = malloc(((size_t)t->entries + 1) * sizeof *t->first_entry);
    MUST(all && file && t->x && t->grouped && t->key && t->key_of_group && t->first_entry);
    MUST(fread(all, sizeof *all, (size_t)(t->entries * row), file) == (size_t)(t->entries * row));
    fclose(file);
    for (int64_t e = 0; e < t->entries; e++) {
        t->key[e] = (int64_t)all[e * row];
        memcpy(t->x + e * t->width, all + e * row + 1, (size_t)t->width * sizeof *t->x);
    }
    free(all);
    MUST(avi_run_group_entries(t->entries, t->width, t->x, t->key, &t->groups, t->first_entry, t->key_of_group,
                               t->grouped) == AVI_OK);
}

static void free_table(table *t)
{
    free(t->x);
    free(t->grouped);
    free(t->key);
    free(t->key_of_group);
    free(t->first_entry);
}

/* Keys come in the order in which the table has them first, and each entry is with its key. */
static void check_order(avi_comm *comm, const table *t)
{
    int64_t seen = 0;
    for (int64_t e = 0; e < t->entries; e++) {
        int64_t g = 0;
        while (g < seen && t->key_of_group[g] != t->key[e]) g++;
        if (g == seen) MUST(t->key_of_group[seen++] == t->key[e]);
        MUST(t->first_entry[g] < t->first_entry[g + 1]);
    }
    MUST(seen == t->groups && t->first_entry[seen] == t->entries);
}

static void write_values(avi_comm *comm, avi_run *run, const table *t, const char *name)
{
    char path[1024];
    const int64_t n = t->groups;
    double *v = malloc((size_t)(PLACES * n) * sizeof *v), *again = malloc((size_t)(2 * n) * sizeof *v);
    MUST(v && again);
    const avi_run_values values = {v + 2 * n, v + 3 * n, v + 4 * n, v + 5 * n,
                                   v + 6 * n, v + 7 * n, v + 8 * n, v + 9 * n};
    MUST(avi_run_encode_groups(run, n, t->first_entry, t->grouped, v, v + n) == AVI_OK);
    MUST(avi_run_evaluate_groups(run, n, t->first_entry, t->grouped, &values) == AVI_OK);
    /* A part of the groups, another on each rank. A group has its bits among the 64 of its tile. */
    const int64_t own = TILE + avi_comm_rank(comm);
    MUST(own <= n);
    MUST(avi_run_encode_groups(run, own, t->first_entry, t->grouped, again, NULL) == AVI_OK);
    MUST(!memcmp(again, v, TILE * sizeof *v));
    snprintf(path, sizeof path, "%s.%d", name, avi_comm_rank(comm));
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(v, sizeof *v, (size_t)(PLACES * n), file) == (size_t)(PLACES * n) && fclose(file) == 0);
    free(v);
    free(again);
}

static void mistakes(avi_comm *comm, avi_run *run, const table *t)
{
    double mean[4] = {0}, x[4 * 3] = {0};
    const avi_run_values none = {0};
    const int64_t late[] = {1, 2}, back[] = {0, 2, 1}, right[] = {0, 2, 4}, empty[] = {0, 0, 0};
    MUST(avi_run_encode(run, 1, x, mean, NULL) == AVI_ERR_CONFIG && strstr(avi_error_text(), "avi_run_encode_groups"));
    MUST(avi_run_evaluate(run, 1, x, &none) == AVI_ERR_CONFIG);
    MUST(avi_run_decode(run, 1, mean, x) == AVI_ERR_DATA && strstr(avi_error_text(), "groups"));
    MUST(avi_run_encode_groups(run, 1, late, x, mean, NULL) == AVI_ERR_DATA);
    MUST(strstr(avi_error_text(), "first_entry[0] is 1; use 0"));
    MUST(avi_run_encode_groups(run, 2, back, x, mean, NULL) == AVI_ERR_DATA);
    MUST(strstr(avi_error_text(), "first_entry[2] is 1, which is less than the 2 before it"));
    x[2 * t->width] = 0.5; /* an outcome */
    MUST(avi_run_encode_groups(run, 2, right, x, mean, NULL) == AVI_ERR_DATA);
    MUST(strstr(avi_error_text(), "entries of the program: row 2, column 0"));
    x[2 * t->width] = 1;
    x[3 * t->width + 1] = NAN;
    MUST(avi_run_encode_groups(run, 2, right, x, mean, NULL) == AVI_ERR_DATA);
    MUST(avi_run_encode_groups(run, 0, empty, NULL, NULL, NULL) == AVI_OK);
    MUST(avi_run_encode_groups(run, 2, empty, NULL, mean, NULL) == AVI_OK && mean[0] == mean[1] && isfinite(mean[0]));
}

int main(int argc, char **argv)
{
    avi_comm *comm = NULL;
    avi_run *run = NULL;
    avi_run_about about;
    char ini[1024], from[1024];
    const char *const overrides[] = {from};
    if (argc != 6 || avi_comm_start(&argc, &argv, &comm) != AVI_OK) return 1;
    table t = {.entries = strtoll(argv[2], NULL, 10), .width = strtoll(argv[3], NULL, 10)};
    MUST(t.entries > 0 && t.entries < MOST && t.width == 3);
    snprintf(ini, sizeof ini, "%s/config.ini", argv[1]);
    snprintf(from, sizeof from, "run.from=%s", argv[1]);
    read_table(comm, argv[4], &t);
    check_order(comm, &t);
    MUST(avi_run_open(comm, ini, 1, overrides, &run) == AVI_OK && avi_run_load(run) == AVI_OK);
    MUST(avi_run_about_of(run, &about) == AVI_OK && about.width == t.width && about.latent == 1 && about.rows > 0);
    write_values(comm, run, &t, argv[5]);
    mistakes(comm, run, &t);
    write_values(comm, run, &t, argv[5]); /* mistakes leave nothing behind */
    avi_run_close(&run);
    free_table(&t);
    if (avi_comm_rank(comm) == 0) printf("ok\n");
    avi_comm_finish(&comm);
    return 0;
}
