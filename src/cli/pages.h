/* The manual page and the completion for bash, written from the tables of options and keys. */
#ifndef AVI_CLI_PAGES_H
#define AVI_CLI_PAGES_H

#include "avi/registry.h"

/* --reference=man: avi_mpi.1. Not collective. */
void avi_manual_page(const avi_registry *registry, const avi_config *config, FILE *out);
/* --reference=bash: a file for bash to source. Not collective. */
void avi_bash_completion(const avi_config *config, FILE *out);

#endif
