/* A-VI by a network of sets (Zaheer et al. 2017): every entry of a group goes through one network, their mean or sum
 * with log(1 + entries) through another. The order of the entries does not matter: the encoder of groups of
 * exchangeable observations (Agrawal & Domke 2021). Entries are the rows of a window or the pixels of an image too,
 * whose number is always the same. */
#include "avi/infer.h"
#include "avi/nn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct set {
    avi_network entry, pooled;
    bool sum;
    avi_convolution pixels; /* entries of windows and images */
    int64_t entries;        /* of them; 0: groups of any number of entries */
} set;

static const avi_key keys[] = {
    {"inference", "entry_hidden", AVI_KEY_INT_LIST, "32, 32", 1, 1e6, NULL, "units",
     "widths of the layers that each entry of a group goes through; the mean of the last one is taken over the group"},
    {"inference", "pool", AVI_KEY_CHOICE, "mean", 0, 0, "mean | sum", NULL, "over the entries"},
    AVI_NETWORK_KEYS("inference", "32", "widths of the hidden layers from that mean to z; empty: an affine function"),
};

/* The last width of entry_hidden is what the network of entries gives. */
static avi_status read_entry_network(const avi_config *config, avi_network *n)
{
    int64_t width[AVI_NETWORK_LAYERS];
    const int count = avi_config_get_int_list(config, "inference", "entry_hidden", width, AVI_NETWORK_LAYERS);
    if (count < 1 || count > AVI_NETWORK_LAYERS)
        return avi_config_fail(config, "inference", "entry_hidden", "%d layers; use 1 to %d numbers", count,
                               AVI_NETWORK_LAYERS);
    n->hidden = count - 1;
    for (int i = 0; i < n->hidden; i++) n->width[i] = width[i];
    n->outputs = width[n->hidden];
    n->residual = false; /* of the network of what is pooled */
    n->activate_output = true;
    return AVI_OK;
}

static avi_status create(avi_infer *f, const avi_config *config)
{
    set *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    if (f->shape.layout == AVI_LAYOUT_VECTOR)
        return avi_config_fail(
            config, "inference", "function",
            "set pools the entries of groups, and a row of these data is %lld plain values; use mlp, "
            "data of groups (data.group), or inference.domain = window:8 for a series",
            (long long)f->shape.view.width);
    const avi_view *view = &f->shape.view;
    const bool groups = f->shape.layout == AVI_LAYOUT_SET;
    avi_patches_make(view, 1, &n->pixels);
    n->entries = groups ? 0 : view->height * view->width;
    n->sum = !strcmp(avi_config_get_string(config, "inference", "pool"), "sum");
    AVI_TRY(avi_network_read(config, "inference", &n->pooled));
    n->entry = n->pooled;
    AVI_TRY(read_entry_network(config, &n->entry));
    AVI_TRY(avi_network_declare(&n->entry, "entry", groups ? f->inputs : avi_convolution_patch(&n->pixels),
                                n->entry.outputs, &f->phi));
    return avi_network_declare(&n->pooled, "encoder", n->entry.outputs + (groups ? 1 : 0), f->outputs, &f->phi);
}

/* log(1 + entries) of each group: (B, 1). */
static avi_node *sizes(avi_tape *t, int64_t rows, const int64_t *first)
{
    avi_node *size = avi_constant_new(t, rows, 1);
    for (int64_t b = 0; b < rows; b++)
        avi_vector_set(avi_tape_precision(t), size->value, b, log1p((double)(first[b + 1] - first[b])));
    return size;
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)table;
    const set *n = f->self;
    const int64_t *first = n->entries ? avi_segments_alike(t, rows, n->entries) : avi_segments(features);
    avi_node *seen = n->entries ? avi_patches(t, features, &n->pixels) : features;
    avi_node *entries = avi_network_forward(&n->entry, t, seen, phi);
    avi_node *pooled = n->sum ? avi_segment_sum(t, entries, rows, first) : avi_segment_mean(t, entries, rows, first);
    if (!n->entries) pooled = avi_concat(t, pooled, sizes(t, rows, first));
    return avi_network_forward(&n->pooled, t, pooled, phi + avi_network_blocks(&n->entry));
}

const avi_infer_ops avi_infer_set = {
    .name = "set",
    .doc = "A-VI of the entries of groups or windows: a network for each entry, their mean, a network of the mean",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "entry_hidden = 5, 4\nhidden = 6\n",
    .features = true,
    .entries = true,
    .create = create,
    .forward = forward,
};
