/* The table of costs: lines "name value" and "block rows seconds". */
#include "scale.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void refuse(const char *path, const char *what)
{
    (void)fprintf(stderr, "scale: %s: %s\n", path, what);
    exit(64);
}

static void take_line(const char *path, const char *line, cost *out)
{
    char name[32];
    double a, b;
    const int n = sscanf(line, "%31s %lf %lf", name, &a, &b);
    if (n == 3 && strcmp(name, "block") == 0) {
        if (out->points == COST_POINTS) refuse(path, "too many blocks");
        if (out->points > 0 && a <= out->rows[out->points - 1]) refuse(path, "the blocks must ascend");
        out->rows[out->points] = a;
        out->seconds[out->points++] = b;
        return;
    }
    double *value = strcmp(name, "fixed") == 0       ? &out->fixed
                    : strcmp(name, "optimizer") == 0 ? &out->optimizer
                    : strcmp(name, "combine") == 0   ? &out->combine
                    : strcmp(name, "jitter") == 0    ? &out->jitter
                                                     : NULL;
    if (n != 2 || !value) refuse(path, "a line is neither \"name value\" nor \"block rows seconds\"");
    *value = a;
}

void cost_read(const char *path, cost *out)
{
    char line[256];
    FILE *f = fopen(path, "r");
    if (!f) refuse(path, "cannot be read");
    *out = (cost){0};
    while (fgets(line, sizeof line, f))
        if (line[0] != '\n' && line[0] != '#') take_line(path, line, out);
    (void)fclose(f);
    if (out->points < 1) refuse(path, "there is no block");
}

/* Between two measured sizes linear, beyond the largest at its rate. */
double cost_block(const cost *c, int64_t rows)
{
    const double r = (double)rows;
    const int last = c->points - 1;
    if (r <= c->rows[0]) return c->seconds[0];
    if (r >= c->rows[last]) return c->seconds[last] * r / c->rows[last];
    int k = 0;
    while (r > c->rows[k + 1]) k++;
    const double part = (r - c->rows[k]) / (c->rows[k + 1] - c->rows[k]);
    return c->seconds[k] + part * (c->seconds[k + 1] - c->seconds[k]);
}
