/* A bump allocator for one tile's work: allocation is an addition, release is a reset, nothing is freed one by one.
 * After the first tiles have shown how much is needed the arena is one block and malloc is never called again.
 * Not collective, not shared between threads. */
#ifndef AVI_ARENA_H
#define AVI_ARENA_H

#include <stddef.h>

typedef struct avi_arena avi_arena;

/* Owner: caller, avi_arena_destroy. NULL when memory is short. */
avi_arena *avi_arena_create(size_t first_bytes);
void avi_arena_destroy(avi_arena **arena);
/* 64-byte aligned, not zeroed, valid until the next reset. NULL when memory is short. */
void *avi_arena_alloc(avi_arena *arena, size_t bytes);
/* Forgets all allocations; merges blocks into one when there were several. */
void avi_arena_reset(avi_arena *arena);
/* Most bytes ever in use between two resets. */
size_t avi_arena_peak(const avi_arena *arena);

#endif
