/* Whether the processor at hand has the instructions that the program was built for. */
#ifndef AVI_BASE_PROCESSOR_H
#define AVI_BASE_PROCESSOR_H

#include <stddef.h>

/* The instruction sets that the compiler was allowed to use, by the names that it asks a processor with ("avx2"); NULL
 * ends the list. Data alone: it can be read on any processor. */
extern const char *const avi_built_for[];

/* Writes the message about instructions in `built_for` that this processor lacks: what the program was built for, what
 * the node has, and how to build for both. Empty when nothing is missing. `text` holds `size` bytes. Not collective. */
void avi_processor_message(const char *const *built_for, char *text, size_t size);

/* To be called first in main, before any other function of the library runs: a vector instruction that the processor
 * does not have ends a process by SIGILL, without a word. Returns 0; or 78 after a message on standard error, once for
 * each node where the launcher tells which rank is the node's first. Not collective. */
int avi_processor_check(void);

#endif
