/* Hand-drawn-looking digits as grey images. Private to the data floor. */
#ifndef AVI_SOURCE_GLYPH_H
#define AVI_SOURCE_GLYPH_H

#include "avi/rng.h"

enum { AVI_GLYPH_SIDE = 28, AVI_GLYPH_PIXELS = AVI_GLYPH_SIDE * AVI_GLYPH_SIDE, AVI_GLYPH_CLASSES = 10 };

/* Draws the image of a row: a pure function of (stream, row). image is (28, 28), 0 = paper, 255 = ink. Returns the
 * class, 0 .. 9. Only additions, products, quotients and square roots of IEEE floats, so that the bytes are the same on
 * every machine. */
int avi_glyph_draw(avi_stream stream, uint64_t row, unsigned char *image);

#endif
