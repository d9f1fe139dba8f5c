/* The bytes of a fuzzer's input, one after the other, and what must hold of the program whatever they are. */
#ifndef AVI_TESTS_FUZZ_INPUT_H
#define AVI_TESTS_FUZZ_INPUT_H

#include "avi/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct bytes {
    const uint8_t *data;
    size_t size, at;
} bytes;

/* 0 behind the end. */
static inline unsigned next(bytes *b) { return b->at < b->size ? b->data[b->at++] : 0; }

static inline void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz: %s: %s\n", what, avi_error_text());
    abort();
}

#endif
