#include "source/glyph.h"

#include <math.h>
#include <string.h>

/* A glyph is a few strokes; a stroke is a smooth curve (Catmull-Rom) through its points, given in percent of the em
 * box: x to the right, y down, 0 .. 100. Two strokes that share a point meet in a corner there. */
enum { POINTS = 14, STROKES = 3, STROKE_POINTS = 14, PIECES = 5 };

typedef struct glyph {
    int points;
    signed char at[POINTS][2];
    int strokes;
    struct {
        int count;
        signed char point[STROKE_POINTS]; /* places in `at` */
    } stroke[STROKES];
} glyph;

/* clang-format off */
static const glyph glyphs[AVI_GLYPH_CLASSES] = {
    /* 0: a closed loop that overlaps a little, as a pen does */
    {9, {{56, 3}, {25, 15}, {14, 48}, {24, 84}, {50, 98}, {76, 84}, {87, 50}, {77, 17}, {48, 4}},
     1, {{9, {0, 1, 2, 3, 4, 5, 6, 7, 8}}}},
    /* 1: a short serif and a stem */
    {4, {{36, 22}, {53, 3}, {51, 50}, {49, 98}}, 2, {{2, {0, 1}}, {3, {1, 2, 3}}}},
    /* 2: a hook, a diagonal, a base line */
    {9, {{19, 24}, {32, 6}, {60, 3}, {79, 22}, {68, 48}, {43, 72}, {16, 96}, {50, 95}, {86, 93}},
     2, {{7, {0, 1, 2, 3, 4, 5, 6}}, {3, {6, 7, 8}}}},
    /* 3: two bows that meet in a corner */
    {10, {{20, 14}, {46, 2}, {74, 13}, {70, 36}, {42, 47}, {76, 57}, {83, 78}, {62, 96}, {36, 97}, {15, 84}},
     2, {{5, {0, 1, 2, 3, 4}}, {6, {4, 5, 6, 7, 8, 9}}}},
    /* 4: an angle and a stem */
    {6, {{57, 3}, {36, 34}, {13, 64}, {87, 62}, {66, 30}, {63, 98}},
     3, {{3, {0, 1, 2}}, {2, {2, 3}}, {2, {4, 5}}}},
    /* 5: a flag, a neck and a bow */
    {10, {{80, 4}, {31, 6}, {27, 24}, {25, 43}, {54, 38}, {80, 54}, {82, 76}, {62, 95}, {38, 97}, {16, 86}},
     3,
     {{2, {0, 1}}, {3, {1, 2, 3}}, {7, {3, 4, 5, 6, 7, 8, 9}}}},
    /* 6: a long curve that ends in a loop */
    {10, {{68, 3}, {40, 24}, {20, 56}, {24, 86}, {50, 98}, {77, 86}, {79, 64}, {57, 51}, {34, 57}, {21, 72}},
     1, {{10, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}}},
    /* 7: a bar and a leg */
    {6, {{14, 9}, {48, 7}, {85, 6}, {66, 36}, {50, 66}, {40, 98}}, 2, {{3, {0, 1, 2}}, {4, {2, 3, 4, 5}}}},
    /* 8: one curve that crosses itself */
    {13, {{70, 15}, {48, 3}, {26, 17}, {34, 38}, {62, 54}, {80, 74}, {70, 92}, {46, 98}, {24, 90}, {20, 72},
      {40, 51}, {68, 34}, {73, 13}},
     1,
     {{13, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}}},
    /* 9: a loop and a stem */
    {10, {{77, 22}, {54, 3}, {27, 14}, {20, 35}, {38, 52}, {63, 45}, {77, 22}, {76, 44}, {70, 72}, {60, 98}},
     2,
     {{7, {0, 1, 2, 3, 4, 5, 6}}, {4, {6, 7, 8, 9}}}},
};
/* clang-format on */

/* How one drawing differs from the glyph. Lengths in pixels. */
typedef struct hand {
    float point[POINTS][2]; /* on the image, jittered */
    float radius;           /* half the width of the line */
} hand;

/* Words of a row in order; each makes one number. */
typedef struct words {
    avi_stream stream;
    uint64_t row;
    uint32_t block, word[4];
    int used;
} words;

static uint32_t next_word(words *w)
{
    if (w->used == 4) {
        avi_words(w->stream, w->row, w->block++, w->word);
        w->used = 0;
    }
    return w->word[w->used++];
}

/* In (-1, 1), densest at 0: the difference of the two halves of a word, a triangular density of standard deviation
 * 0.41. */
static float next_bump(words *w)
{
    const uint32_t v = next_word(w);
    return ((float)(v & 0xffffu) - (float)(v >> 16)) * (1.0f / 65536.0f);
}

/* Where the em box goes: turned, slanted, stretched and moved, differently for each row; then every point trembles by
 * itself. */
static void draw_hand(words *w, const glyph *g, hand *h)
{
    const float middle = 0.5f * (AVI_GLYPH_SIDE - 1);
    const float height = 18.5f * (1.0f + 0.14f * next_bump(w));
    const float width = 0.76f * height * (1.0f + 0.28f * next_bump(w));
    const float slant = 0.12f + 0.40f * next_bump(w), turn = 0.22f * next_bump(w);
    const float cosine = 1.0f / sqrtf(1.0f + turn * turn), sine = turn * cosine;
    const float right = middle + 1.8f * next_bump(w), down = middle + 1.8f * next_bump(w);
    const float bend = 0.22f * next_bump(w), tremble = 0.055f * (1.0f + 0.6f * next_bump(w));
    h->radius = 1.15f * (1.0f + 0.42f * next_bump(w));
    for (int i = 0; i < g->points; i++) {
        const float u = (float)g->at[i][0] * 0.01f - 0.5f + tremble * 1.5f * next_bump(w);
        const float v = (float)g->at[i][1] * 0.01f - 0.5f + tremble * 1.5f * next_bump(w);
        const float x = width * (u + bend * (v * v - 0.08f)) - slant * height * v, y = height * v;
        h->point[i][0] = right + cosine * x - sine * y;
        h->point[i][1] = down + sine * x + cosine * y;
    }
}

/* Lowers near[] (squared distance of each pixel to the ink's middle line) by a straight piece from a to b. Only pixels
 * that the line can reach are looked at. */
static void draw_piece(const float *a, const float *b, float reach, float *near)
{
    const float last = AVI_GLYPH_SIDE - 1;
    const float low_x = fmaxf(fminf(a[0], b[0]) - reach, 0), high_x = fminf(fmaxf(a[0], b[0]) + reach, last);
    const float low_y = fmaxf(fminf(a[1], b[1]) - reach, 0), high_y = fminf(fmaxf(a[1], b[1]) + reach, last);
    if (!(low_x <= high_x && low_y <= high_y)) return;
    const float dx = b[0] - a[0], dy = b[1] - a[1];
    const float inverse = 1.0f / (dx * dx + dy * dy + 1e-6f);
    for (int y = (int)low_y; y <= (int)high_y; y++) {
        float *line = near + y * AVI_GLYPH_SIDE;
        const float py = (float)y - a[1];
        for (int x = (int)low_x; x <= (int)high_x; x++) {
            const float px = (float)x - a[0];
            float t = (px * dx + py * dy) * inverse;
            t = t < 0 ? 0 : t;
            t = t > 1 ? 1 : t;
            const float qx = px - t * dx, qy = py - t * dy, d = qx * qx + qy * qy;
            line[x] = d < line[x] ? d : line[x];
        }
    }
}

/* The point of the curve between p1 and p2 at t in [0, 1] (Catmull and Rom 1974). */
static float catmull_rom(float p0, float p1, float p2, float p3, float t)
{
    return 0.5f * (2 * p1 + t * ((p2 - p0) + t * ((2 * p0 - 5 * p1 + 4 * p2 - p3) + t * (3 * p1 - p0 - 3 * p2 + p3))));
}

static void draw_stroke(const hand *h, const signed char *point, int count, float reach, float *near)
{
    for (int i = 0; i + 1 < count; i++) {
        const float *p1 = h->point[(int)point[i]], *p2 = h->point[(int)point[i + 1]];
        const float *p0 = i > 0 ? h->point[(int)point[i - 1]] : p1,
                    *p3 = i + 2 < count ? h->point[(int)point[i + 2]] : p2;
        float from[2] = {p1[0], p1[1]};
        for (int k = 1; k <= PIECES; k++) {
            const float t = (float)k / (float)PIECES;
            const float to[2] = {catmull_rom(p0[0], p1[0], p2[0], p3[0], t),
                                 catmull_rom(p0[1], p1[1], p2[1], p3[1], t)};
            draw_piece(from, to, reach, near);
            memcpy(from, to, sizeof from);
        }
    }
}

int avi_glyph_draw(avi_stream stream, uint64_t row, unsigned char *image)
{
    words w = {.stream = stream, .row = row, .used = 4};
    const int kind = (int)(((uint64_t)next_word(&w) * AVI_GLYPH_CLASSES) >> 32);
    const glyph *g = &glyphs[kind];
    hand h;
    draw_hand(&w, g, &h);

    const float edge = 1.3f, far = 1e6f; /* width of the grey edge, in pixels */
    float near[AVI_GLYPH_PIXELS];
    for (int i = 0; i < AVI_GLYPH_PIXELS; i++) near[i] = far;
    for (int s = 0; s < g->strokes; s++) draw_stroke(&h, g->stroke[s].point, g->stroke[s].count, h.radius + edge, near);
    for (int i = 0; i < AVI_GLYPH_PIXELS; i++) {
        float ink = 0.5f + (h.radius - sqrtf(near[i])) * (1.0f / edge);
        ink = ink < 0 ? 0 : ink;
        ink = ink > 1 ? 1 : ink;
        image[i] = (unsigned char)(int)(255.0f * ink + 0.5f);
    }
    return kind;
}
