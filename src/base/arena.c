/* A bump allocator: a list of blocks while the need is being learnt, one block afterwards. */
#include "avi/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum { ALIGN = 64 }; /* bytes: a cache line, and enough for every vector register */

typedef struct block {
    struct block *older; /* owned */
    size_t size, used;   /* bytes at `memory` */
    char *memory;        /* (size), owned, 64-byte aligned */
} block;

struct avi_arena {
    block *newest; /* where allocations come from; NULL when memory was short at a reset */
    size_t in_use; /* bytes since the last reset, rounded up to ALIGN each */
    size_t peak;
};

static size_t round_up(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static block *push_block(avi_arena *arena, size_t size)
{
    block *b = malloc(sizeof *b);
    char *memory = b ? aligned_alloc(ALIGN, size) : NULL;
    if (!memory) {
        free(b);
        return NULL;
    }
    *b = (block){.older = arena->newest, .size = size, .used = 0, .memory = memory};
    arena->newest = b;
    return b;
}

static void free_blocks(avi_arena *arena)
{
    while (arena->newest) {
        block *b = arena->newest;
        arena->newest = b->older;
        free(b->memory);
        free(b);
    }
}

avi_arena *avi_arena_create(size_t first_bytes)
{
    if (first_bytes > SIZE_MAX / 4) return NULL;
    avi_arena *arena = calloc(1, sizeof *arena);
    if (!arena) return NULL;
    if (!push_block(arena, round_up(first_bytes > 0 ? first_bytes : 1))) avi_arena_destroy(&arena);
    return arena;
}

void avi_arena_destroy(avi_arena **arena)
{
    if (!arena || !*arena) return;
    free_blocks(*arena);
    free(*arena);
    *arena = NULL;
}

void *avi_arena_alloc(avi_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 4) return NULL;
    const size_t need = round_up(bytes > 0 ? bytes : 1);
    block *b = arena->newest;
    if (!b || b->size - b->used < need) {
        /* As much again as is in use: few blocks however small the first was. */
        b = push_block(arena, need > arena->in_use ? need : arena->in_use);
        if (!b) b = push_block(arena, need);
        if (!b) return NULL;
    }
    void *memory = b->memory + b->used;
    b->used += need;
    arena->in_use += need;
    if (arena->in_use > arena->peak) arena->peak = arena->in_use;
    return memory;
}

void avi_arena_reset(avi_arena *arena)
{
    if (arena->newest && arena->newest->older) {
        /* Freed first, so that the merged block does not come on top. Should it fail, the next allocation tries again.
         */
        free_blocks(arena);
        (void)push_block(arena, arena->peak);
    }
    if (arena->newest) arena->newest->used = 0;
    arena->in_use = 0;
}

size_t avi_arena_peak(const avi_arena *arena) { return arena->peak; }
