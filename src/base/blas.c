#include "base/blas.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernels that OpenBLAS takes for an x86 processor it does not know. */
static int is_fallback(const char *core)
{
    static const char *const old[] = {"Prescott", "Core2", "Nehalem", "Generic", "generic", NULL};
    for (int i = 0; old[i]; i++)
        if (!strcmp(core, old[i])) return 1;
    return 0;
}

void avi_blas_choose_kernels(char **argv)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (getenv("OPENBLAS_CORETYPE") || !is_fallback(openblas_get_corename())) return;
    const char *kernels = NULL;
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        kernels = "SkylakeX";
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels = "Haswell";
    /* The variable now set is also what ends the recursion. When exec fails, the program runs on, slower. */
    if (kernels && setenv("OPENBLAS_CORETYPE", kernels, 1) == 0) execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

const char *avi_blas_library(void)
{
    static char text[256]; /* the same at every call */
    snprintf(text, sizeof text, "%s (kernels %s)", openblas_get_config(), openblas_get_corename());
    return text;
}
