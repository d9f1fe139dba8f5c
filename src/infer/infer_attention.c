/* A-VI by a transformer (Vaswani et al. 2017): over the rows of a window, the patches of an image (Dosovitskiy et al.
 * 2021) or the entries of a group. Blocks have their layer norm before attention and network (Xiong et al. 2020). */
#include "avi/infer.h"
#include "avi/nn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 /* entries that attend to each other: weights of a pair each */ };

typedef enum positions { POSITIONS_NONE, POSITIONS_LEARNED, POSITIONS_SINE } positions;

typedef struct attention {
    avi_transformer transformer;
    avi_convolution patches; /* entries of windows and images */
    int64_t entries;         /* of a row; 0: any number of them */
    positions positions;
    bool centre; /* nu from the entry in the middle, else from the mean of all */
} attention;

static const avi_key keys[] = {
    {"inference", "width", AVI_KEY_INT, "64", 1, 65536, NULL, "units",
     "values of an entry on its way through the blocks"},
    {"inference", "heads", AVI_KEY_INT, "4", 1, 1024, NULL, NULL, "heads of the attention; they divide the width"},
    {"inference", "blocks", AVI_KEY_INT, "2", 0, 100, NULL, NULL, "blocks of attention and network"},
    {"inference", "feed_forward", AVI_KEY_INT, "128", 1, 1e6, NULL, "units", "width of the network of a block"},
    {"inference", "activation", AVI_KEY_CHOICE, "gelu", 0, 0, AVI_ACTIVATION_CHOICES, NULL, "of these networks"},
    {"inference", "positions", AVI_KEY_CHOICE, "auto", 0, 0, "auto | learned | sine | none", NULL,
     "how entries know their place; auto: learned, and none for the entries of groups"},
    {"inference", "patch", AVI_KEY_INT, "7", 1, 65536, NULL, "pixels", "height and width of the patches of an image"},
    {"inference", "pool", AVI_KEY_CHOICE, "mean", 0, 0, "mean | centre", NULL,
     "what z sees of the entries: their mean, or of a window the row itself"},
};

static avi_status read_entries(const avi_infer *f, const avi_config *config, attention *n)
{
    const avi_view *view = &f->shape.view;
    const bool image = f->shape.layout == AVI_LAYOUT_IMAGE;
    const int64_t patch = image ? avi_config_get_int(config, "inference", "patch") : 1;
    if (!avi_patches_make(view, patch, &n->patches)) {
        int64_t fits = patch;
        while (fits > 1 && !avi_patches_make(view, fits, &n->patches)) fits--;
        return avi_config_fail(config, "inference", "patch",
                               "patches of this size do not divide images of %lld x %lld; use %lld",
                               (long long)view->height, (long long)view->width, (long long)fits);
    }
    n->entries = n->patches.height * n->patches.width;
    if (n->entries > MOST)
        return avi_config_fail(config, "inference", image ? "patch" : "domain",
                               "%lld entries would attend to each other, at most %d can; use %s", (long long)n->entries,
                               MOST, image ? "larger patches" : "a smaller window");
    return AVI_OK;
}

static avi_status read_places(const avi_infer *f, const avi_config *config, attention *n)
{
    const char *text = avi_config_get_string(config, "inference", "positions");
    const bool set = f->shape.layout == AVI_LAYOUT_SET;
    n->positions = set ? POSITIONS_NONE : POSITIONS_LEARNED;
    if (!strcmp(text, "none")) n->positions = POSITIONS_NONE;
    if (!strcmp(text, "sine")) n->positions = POSITIONS_SINE;
    if (set && (!strcmp(text, "sine") || !strcmp(text, "learned")))
        return avi_config_fail(config, "inference", "positions", "entries of a group have no order; use none");
    n->centre = !strcmp(avi_config_get_string(config, "inference", "pool"), "centre");
    if (n->centre && f->shape.layout != AVI_LAYOUT_SEQUENCE)
        return avi_config_fail(config, "inference", "pool",
                               "only a window has the row itself in its middle; use mean, or inference.domain = "
                               "window:8 for a series");
    return AVI_OK;
}

static avi_status create(avi_infer *f, const avi_config *config)
{
    attention *n = f->self = calloc(1, sizeof *n);
    if (!n) return avi_fail_memory(sizeof *n, "the inference function");
    avi_transformer *of = &n->transformer;
    *of =
        (avi_transformer){.blocks = avi_config_get_int(config, "inference", "blocks"),
                          .width = avi_config_get_int(config, "inference", "width"),
                          .heads = avi_config_get_int(config, "inference", "heads"),
                          .hidden = avi_config_get_int(config, "inference", "feed_forward"),
                          .activation = avi_activation_find(avi_config_get_string(config, "inference", "activation"))};
    if (f->shape.layout == AVI_LAYOUT_VECTOR)
        return avi_config_fail(config, "inference", "function",
                               "a row is %lld plain values, which do not attend to each other; use data.height where a "
                               "row of a table is an image, inference.domain = window:8 for a series, or mlp",
                               (long long)f->shape.view.width);
    if (of->width % of->heads)
        return avi_config_fail(config, "inference", "heads",
                               "they do not divide a width of %lld; use 1, or "
                               "inference.width = %lld",
                               (long long)of->width, (long long)((of->width / of->heads + 1) * of->heads));
    if (f->shape.layout != AVI_LAYOUT_SET) AVI_TRY(read_entries(f, config, n));
    AVI_TRY(read_places(f, config, n));
    const int64_t inputs = n->entries ? avi_convolution_patch(&n->patches) : f->inputs;
    AVI_TRY(avi_transformer_declare(of, "attention", inputs, &f->phi));
    AVI_TRY(avi_params_add_affine(&f->phi, "encoder", of->width, f->outputs));
    if (n->positions != POSITIONS_LEARNED) return AVI_OK;
    AVI_TRY(avi_params_add(&f->phi, "attention.position", n->entries, of->width, AVI_INIT_NORMAL, 0.02, NULL));
    return avi_params_describe(&f->phi, "attention.position", "attention_entry, attention_embed_output",
                               "what is added to an entry at each place");
}

/* sin and cos of the place over wavelengths from 2 pi to 10000 2 pi: (entries, width). */
static avi_node *waves(const attention *n, avi_tape *t)
{
    const int64_t width = n->transformer.width;
    avi_node *made = avi_constant_new(t, n->entries, width);
    for (int64_t e = 0; e < n->entries; e++)
        for (int64_t k = 0; k < width; k++) {
            const double angle = (double)e * pow(10000, -(double)(k - k % 2) / (double)width);
            avi_vector_set(avi_tape_precision(t), made->value, e * width + k, k % 2 ? cos(angle) : sin(angle));
        }
    return made;
}

/* Groups of any number of entries: those without any have a mean of 0. */
static avi_node *of_groups(const attention *n, avi_tape *t, int64_t rows, avi_node *entries, avi_node **phi,
                           avi_node **output)
{
    const int64_t *first = avi_segments(entries);
    avi_node *h = avi_transformer_forward(&n->transformer, t, entries, NULL, rows, first, phi);
    return avi_affine(t, avi_segment_mean(t, h, rows, first), output[0], output[1], AVI_IDENTITY);
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)table;
    const attention *n = f->self;
    const int64_t width = n->transformer.width;
    avi_node **output = phi + avi_transformer_blocks(&n->transformer), *place = NULL;
    if (!n->entries) return of_groups(n, t, rows, features, phi, output);
    if (n->positions == POSITIONS_LEARNED) place = output[2];
    if (n->positions == POSITIONS_SINE) place = waves(n, t);
    avi_node *h = avi_transformer_forward(&n->transformer, t, avi_patches(t, features, &n->patches), place, rows,
                                          avi_segments_alike(t, rows, n->entries), phi);
    avi_node *seen =
        n->centre ? avi_slice(t, avi_reshape(t, h, rows, n->entries * width), (n->entries - 1) / 2 * width, width)
                  : avi_draw_mean(t, h, n->entries, NULL);
    return avi_affine(t, seen, output[0], output[1], AVI_IDENTITY);
}

const avi_infer_ops avi_infer_attention = {
    .name = "attention",
    .doc = "A-VI by a transformer over the rows of a window, the patches of an image or the entries of a group",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "width = 4\nheads = 2\nblocks = 1\nfeed_forward = 3\npatch = 14\n",
    .features = true,
    .entries = true,
    .create = create,
    .forward = forward,
};
