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
    if (__builtin_cpu_supports("avx512bf16"))
        kernels = "Cooperlake"; /* its sgemm is half as fast again as SkylakeX's at 64 rows, equal at 512 */
    else if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw"))
        kernels = "SkylakeX";
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels = "Haswell";
    /* The variable now set is also what ends the recursion. When exec fails, the program runs on, slower. The path is
     * looked up, because a program started as /proc/self/exe would be called "exe" in lists of processes. */
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (!kernels || n <= 0 || setenv("OPENBLAS_CORETYPE", kernels, 1) != 0) return;
    path[n] = 0;
    execv(path, argv);
#else
    (void)argv;
#endif
}

enum { WORK_SPACE = 160 << 20, /* bytes: OpenBLAS takes 128 MiB of addresses a thread */ N = 64 };

avi_status avi_blas_reserve(void)
{
    static float a[N * N], c[N * N]; /* zeros */
    void *probe = malloc(WORK_SPACE);
    if (!probe) return avi_fail_memory(WORK_SPACE, "the work space of OpenBLAS");
    free(probe);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, a, N, 0, c, N);
    return AVI_OK;
}

const char *avi_blas_library(void)
{
    static char text[256]; /* the same at every call */
    snprintf(text, sizeof text, "%s (kernels %s)", openblas_get_config(), openblas_get_corename());
    return text;
}
