#include "base/blas.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What only one BLAS or another has. Each is looked for among the libraries of the process, since which of them does
 * the work may be chosen after the build: liblapack and ScaLAPACK bring a libblas of their own, which can be another
 * one. In a program that is linked statically a function is found where it is referred to by name, so those of OpenBLAS
 * are. */
#if defined(AVI_OPENBLAS)
char *openblas_get_config(void);
char *openblas_get_corename(void);
void openblas_set_num_threads(int threads);
#endif
#if !defined(AVI_BLAS_NAME)
#define AVI_BLAS_NAME "unknown"
#endif

typedef void anything(void);

static anything *find(const char *name)
{
    static void *process;
    if (!process) process = dlopen(NULL, RTLD_LAZY);
    void *address = process ? dlsym(process, name) : NULL;
    anything *function = NULL;
    memcpy(&function, &address, sizeof function); /* ISO C has no conversion of an object's address to a function's */
    return function;
}

void avi_blas_one_thread(void)
{
    static const char *const names[] = {"openblas_set_num_threads", "MKL_Set_Num_Threads", "flexiblas_set_num_threads",
                                        "omp_set_num_threads" /* oneDNN's */, NULL};
#if defined(AVI_OPENBLAS)
    openblas_set_num_threads(1);
#endif
    for (int i = 0; names[i]; i++) {
        anything *set = find(names[i]);
        if (set) ((void (*)(int))set)(1);
    }
    anything *blis = find("bli_thread_set_num_threads");
    if (blis) ((void (*)(int64_t))blis)(1);
}

#if defined(AVI_OPENBLAS)
/* The kernels that OpenBLAS takes for an x86 processor it does not know. */
static int is_fallback(const char *core)
{
    static const char *const old[] = {"Prescott", "Core2", "Nehalem", "Generic", "generic", NULL};
    for (int i = 0; old[i]; i++)
        if (!strcmp(core, old[i])) return 1;
    return 0;
}
#endif

void avi_blas_choose_kernels(char **argv)
{
#if defined(AVI_OPENBLAS) && defined(__x86_64__) && defined(__GNUC__)
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
    if (!probe) return avi_fail_memory(WORK_SPACE, "the work space of the BLAS");
    free(probe);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, a, N, 0, c, N);
    return AVI_OK;
}

#if !defined(AVI_OPENBLAS)
/* What a BLAS other than OpenBLAS says about itself; else what CMake found. */
static void describe(char *text, size_t size)
{
    anything *blis = find("bli_info_get_version_str"), *mkl = find("mkl_get_version_string");
    anything *flexi = find("flexiblas_get_version"), *backend = find("flexiblas_current_backend");
    if (flexi) {
        int major = 0, minor = 0, patch = 0;
        char name[64] = "unknown";
        ((void (*)(int *, int *, int *))flexi)(&major, &minor, &patch);
        if (backend) (void)((int (*)(char *, size_t))backend)(name, sizeof name);
        (void)snprintf(text, size, "FlexiBLAS %d.%d.%d (backend %s)", major, minor, patch, name);
    } else if (mkl) {
        char name[198] = "";
        ((void (*)(char *, int))mkl)(name, (int)sizeof name);
        (void)snprintf(text, size, "MKL: %s", name);
    } else if (blis) {
        (void)snprintf(text, size, "BLIS %s", ((const char *(*)(void))blis)());
    } else {
        (void)snprintf(text, size, "%s", AVI_BLAS_NAME);
    }
}

#endif

const char *avi_blas_library(void)
{
    static char text[256]; /* the same at every call */
#if defined(AVI_OPENBLAS)
    snprintf(text, sizeof text, "%s (kernels %s)", openblas_get_config(), openblas_get_corename());
#else
    describe(text, sizeof text);
#endif
    return text;
}
