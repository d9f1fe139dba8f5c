#include "avi/data.h"
#include "source/glyph.h"

#include <stdio.h>

/* Rows when the keys leave the number open. */
enum { TRAIN_ROWS = 10000, TEST_ROWS = 2000 };

static avi_status strokes_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    (void)comm; /* nothing can fail on one rank alone */
    const int64_t asked = avi_config_get_int(config, "data", split == AVI_TRAIN ? "rows" : "test_rows");
    const int64_t rows = asked > 0 ? asked : (split == AVI_TRAIN ? TRAIN_ROWS : TEST_ROWS);
    s->shape = (avi_shape){.rows = rows,
                           .width = AVI_GLYPH_PIXELS,
                           .height = AVI_GLYPH_SIDE,
                           .columns = AVI_GLYPH_SIDE,
                           .type = AVI_U8,
                           .scale = 1.0 / 255};
    s->self = (void *)(uintptr_t)split;
    snprintf(s->label, sizeof s->label, "%lld drawn glyphs (%s)", (long long)rows,
             split == AVI_TRAIN ? "training" : "test");
    return AVI_OK;
}

static avi_status strokes_read_rows(avi_source *s, const int64_t *given, int64_t count, void *out)
{
    const avi_stream stream = avi_stream_make(s->seed, AVI_DRAW_DATA, (uint64_t)(uintptr_t)s->self);
    unsigned char *images = out;
    for (int64_t i = 0; i < count; i++) avi_glyph_draw(stream, (uint64_t)given[i], images + i * AVI_GLYPH_PIXELS);
    return AVI_OK;
}

static avi_status strokes_read(avi_source *s, int64_t first, int64_t count, void *out)
{
    for (int64_t i = 0; i < count; i++, first++)
        AVI_TRY(strokes_read_rows(s, &first, 1, (unsigned char *)out + i * AVI_GLYPH_PIXELS));
    return AVI_OK;
}

static const avi_key strokes_keys[] = {AVI_ROWS_KEYS_DRAWN};

static const avi_accepted strokes_accepts[] = {
    {"built-in images, for trying things out", "`data.source=strokes data.rows=20000 data.test_rows=2000`"},
};

const avi_source_ops avi_source_strokes = {
    .name = "strokes",
    .doc = "built-in 28 x 28 grey images of hand-drawn-looking digits, any number of rows, no file",
    .keys = strokes_keys,
    .key_count = (int)(sizeof strokes_keys / sizeof strokes_keys[0]),
    .exchangeable = true,
    .open = strokes_open,
    .read = strokes_read,
    .any_rank = true,
    .read_rows = strokes_read_rows,
    .accepts = strokes_accepts,
    .accept_count = (int)(sizeof strokes_accepts / sizeof strokes_accepts[0]),
};
