/* Whether the processor at hand has the instructions that the program was built for. */
#ifndef AVI_BASE_PROCESSOR_H
#define AVI_BASE_PROCESSOR_H

#include <stdbool.h>
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

/* Whether this processor has all that gcc's and clang's -march=`level` uses, for the levels that are known: x86-64-v2,
 * -v3 and -v4, and armv8.1-a, armv8.2-a+sve and armv9-a. False for other names. Not collective. */
bool avi_processor_has_level(const char *level);

/* For a program that was built several times (-DAVI_ARCH with a list): replaces this process by the program beside it
 * that was built for the last of the `levels` that this processor has, as avi_mpi-LEVEL; the rest of the list is tried
 * when that is not there, after a warning. `levels` has blanks between its names and may be empty; `argv` is main's.
 * Returns where this program itself is the one to run. To be called before avi_processor_check. Not collective. */
void avi_processor_start_best(const char *levels, char **argv);

#endif
