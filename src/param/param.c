#include "avi/param.h"
#include "avi/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 /* values: blocks start on a cache line in single precision */ };

avi_status avi_params_add(avi_params *p, const char *name, int64_t rows, int64_t cols, avi_init_rule init, double scale,
                          int *index)
{
    if (rows < 1 || cols < 1) return avi_fail(AVI_ERR_INTERNAL, "parameter block %s: a size below 1", name);
    if (strlen(name) >= sizeof p->block->name)
        return avi_fail(AVI_ERR_INTERNAL, "parameter block %s: a name longer than %zu letters", name,
                        sizeof p->block->name - 1);
    for (int i = 0; i < p->count; i++)
        if (!strcmp(p->block[i].name, name))
            return avi_fail(AVI_ERR_INTERNAL, "parameter block %s is declared twice", name);
    avi_block *grown = realloc(p->block, (size_t)(p->count + 1) * sizeof *grown);
    if (!grown) return avi_fail_memory((size_t)(p->count + 1) * sizeof *grown, "parameter blocks");
    p->block = grown;
    avi_block *b = &grown[p->count];
    *b = (avi_block){.rows = rows, .cols = cols, .offset = p->size, .init = init, .scale = scale};
    memcpy(b->name, name, strlen(name) + 1);
    p->size += (rows * cols + ALIGN - 1) / ALIGN * ALIGN;
    if (index) *index = p->count;
    p->count++;
    return AVI_OK;
}

avi_status avi_params_describe(avi_params *p, const char *name, const char *axes, const char *description)
{
    for (int i = 0; i < p->count; i++) {
        avi_block *b = &p->block[i];
        if (strcmp(b->name, name) != 0) continue;
        if (strlen(axes) >= sizeof b->axes || strlen(description) >= sizeof b->description)
            return avi_fail(AVI_ERR_INTERNAL,
                            "parameter block %s: axes of up to %zu, a description of up to %zu letters", name,
                            sizeof b->axes - 1, sizeof b->description - 1);
        memcpy(b->axes, axes, strlen(axes) + 1);
        memcpy(b->description, description, strlen(description) + 1);
        return AVI_OK;
    }
    return avi_fail(AVI_ERR_INTERNAL, "parameter block %s is described, and there is none", name);
}

avi_status avi_params_name_axis(avi_params *p, const char *axis, const char *name)
{
    const size_t n = strlen(axis);
    for (int i = 0; i < p->count; i++) {
        avi_block *b = &p->block[i];
        char text[sizeof b->axes];
        for (char *at = strstr(b->axes, axis); at; at = strstr(at + 1, axis)) {
            const bool whole = (at == b->axes || at[-1] == ' ') && (!at[n] || at[n] == ',');
            if (!whole) continue;
            if (snprintf(text, sizeof text, "%.*s%s%s", (int)(at - b->axes), b->axes, name, at + n) >= (int)sizeof text)
                return avi_fail(AVI_ERR_INTERNAL, "parameter block %s: axes of up to %zu letters", b->name,
                                sizeof text - 1);
            memcpy(b->axes, text, strlen(text) + 1);
            break;
        }
    }
    return AVI_OK;
}

/* "decoder.0" -> "decoder_0": axes are names of dimensions elsewhere. */
static avi_status describe_affine(avi_params *p, const char *weight, const char *bias, const char *name)
{
    char word[64], axes[160], of_weight[160], of_bias[160];
    snprintf(word, sizeof word, "%s", name);
    for (char *c = word; *c; c++)
        if (*c == '.') *c = '_';
    snprintf(of_weight, sizeof of_weight, "weights of the affine map %s", name);
    snprintf(of_bias, sizeof of_bias, "bias of the affine map %s", name);
    /* A name that is too long for the texts is no mistake of who declares the map. */
    if (strlen(word) + 32 > sizeof p->block->axes / 2) snprintf(word, sizeof word, "map");
    snprintf(axes, sizeof axes, "%s_output, %s_input", word, word);
    AVI_TRY(avi_params_describe(p, weight, axes, of_weight));
    axes[strcspn(axes, ",")] = '\0';
    return avi_params_describe(p, bias, axes, of_bias);
}

avi_status avi_params_add_affine(avi_params *p, const char *name, int64_t in, int64_t out)
{
    char full[128], bias[128]; /* avi_params_add refuses what is too long */
    const double bound =
        1 / sqrt((double)in); /* PyTorch nn.Linear: kaiming_uniform(a = sqrt 5) and the same bound for the bias */
    snprintf(full, sizeof full, "%s.weight", name);
    AVI_TRY(avi_params_add(p, full, out, in, AVI_INIT_UNIFORM, bound, NULL));
    snprintf(bias, sizeof bias, "%s.bias", name);
    AVI_TRY(avi_params_add(p, bias, 1, out, AVI_INIT_UNIFORM, bound, NULL));
    return describe_affine(p, full, bias, name);
}

void avi_params_free(avi_params *p)
{
    free(p->block);
    *p = (avi_params){0};
}

int64_t avi_params_values(const avi_params *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->count; i++) n += p->block[i].rows * p->block[i].cols;
    return n;
}

const avi_block *avi_params_block_at(const avi_params *p, int64_t i)
{
    for (int k = p->count - 1; k >= 0; k--)
        if (p->block[k].offset <= i) return &p->block[k];
    return NULL;
}

/* The row of a block in the stream of initial values: a hash of its name, so that values do not depend on other blocks.
 */
static uint64_t name_row(const char *name)
{
    uint64_t h = 0;
    for (; *name; name++) h = avi_mix64(h, (uint64_t)(unsigned char)*name);
    return h & (((uint64_t)1 << 40) - 1);
}

static avi_status initialise_block(const avi_block *b, uint64_t seed, avi_precision precision, void *values)
{
    const int64_t n = b->rows * b->cols;
    double *v = malloc((size_t)n * sizeof *v);
    if (!v) return avi_fail_memory((size_t)n * sizeof *v, "initial values");
    const avi_stream s = avi_stream_make(seed, AVI_DRAW_INIT, 0);
    switch (b->init) {
    case AVI_INIT_DATA_MEAN:
        for (int64_t i = 0; i < n; i++) v[i] = 0;
        break;
    case AVI_INIT_CONSTANT:
        for (int64_t i = 0; i < n; i++) v[i] = b->scale;
        break;
    case AVI_INIT_UNIFORM:
        avi_uniform_f64(s, name_row(b->name), 1, 0, n, v);
        for (int64_t i = 0; i < n; i++) v[i] = b->scale * (2 * v[i] - 1);
        break;
    case AVI_INIT_NORMAL:
        avi_normal_f64(s, name_row(b->name), 1, 0, n, v);
        for (int64_t i = 0; i < n; i++) v[i] *= b->scale;
        break;
    }
    avi_vector_from_double(precision, v, n, avi_vector_at(precision, values, b->offset));
    free(v);
    return AVI_OK;
}

avi_status avi_params_initialise(const avi_params *p, uint64_t seed, avi_precision precision, void *values)
{
    if (p->size > 0) memset(values, 0, (size_t)p->size * avi_real_size(precision));
    for (int i = 0; i < p->count; i++) AVI_TRY(initialise_block(&p->block[i], seed, precision, values));
    return AVI_OK;
}
