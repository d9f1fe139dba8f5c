/* Compiled for the oldest processor of its kind (CMakeLists.txt), since it runs before anything is known about this
 * one. */
#include "base/processor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

enum { BAD_CONFIGURATION = 78, PATH_BYTES = 4096 };

#if defined(__x86_64__)

/* The question takes a literal, so each name is asked for by a line of its own. */
static bool has(const char *name)
{
#define ASK(literal)                                                                                                   \
    if (!strcmp(name, literal)) return __builtin_cpu_supports(literal) != 0
    ASK("sse3");
    ASK("ssse3");
    ASK("sse4.1");
    ASK("sse4.2");
    ASK("popcnt");
    ASK("avx");
    ASK("avx2");
    ASK("fma");
    ASK("bmi");
    ASK("bmi2");
    ASK("avx512f");
    ASK("avx512cd");
    ASK("avx512bw");
    ASK("avx512dq");
    ASK("avx512vl");
    ASK("avx512ifma");
    ASK("avx512vbmi");
    ASK("avx512vbmi2");
    ASK("avx512vnni");
    ASK("avx512bitalg");
    ASK("avx512vpopcntdq");
#if defined(__clang__) || __GNUC__ >= 11
    ASK("avx512bf16");
#endif
#undef ASK
    return false;
}

/* The levels of the x86-64 psABI: what each is called by people and by -march, and the sets that it needs. */
static const struct {
    const char *words, *march, *needs[8];
} levels[] = {
    {"AVX-512", "x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "avx2", NULL}},
    {"AVX2", "x86-64-v3", {"avx2", "fma", "bmi", "bmi2", NULL}},
    {"SSE4.2", "x86-64-v2", {"sse4.2", "popcnt", "ssse3", NULL}},
    {"SSE2", "x86-64", {NULL}},
};

#elif defined(__aarch64__) && defined(__linux__)

static bool has(const char *name)
{
    const unsigned long one = getauxval(AT_HWCAP), two = getauxval(AT_HWCAP2);
    if (!strcmp(name, "atomics")) return (one & HWCAP_ATOMICS) != 0;
    if (!strcmp(name, "dotprod")) return (one & HWCAP_ASIMDDP) != 0;
    if (!strcmp(name, "fp16")) return (one & HWCAP_ASIMDHP) != 0;
    if (!strcmp(name, "sve")) return (one & HWCAP_SVE) != 0;
    if (!strcmp(name, "sve2")) return (two & HWCAP2_SVE2) != 0;
    return false;
}

static const struct {
    const char *words, *march, *needs[8];
} levels[] = {
    {"SVE2", "armv9-a", {"sve2", "sve", "dotprod", "atomics", NULL}},
    {"SVE", "armv8.2-a+sve", {"sve", "atomics", NULL}},
    {"Neon with atomics", "armv8.1-a", {"atomics", NULL}},
    {"Neon", "armv8-a", {NULL}},
};

#else

/* Nothing is known about other processors: what they were built for is believed. */
static bool has(const char *name) { return name != NULL; }

static const struct {
    const char *words, *march, *needs[8];
} levels[] = {{"its instructions", "native", {NULL}}};

#endif

static bool is_among(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (!strcmp(*names, name)) return true;
    return false;
}

/* The highest level whose sets are all there: in the list, or (list NULL) in this processor. The last level needs none.
 */
static size_t level_of(const char *const *list)
{
    size_t level = 0;
    for (;; level++) {
        bool all = true;
        for (const char *const *need = levels[level].needs; *need; need++)
            if (list ? !is_among(list, *need) : !has(*need)) all = false;
        if (all) return level;
    }
}

void avi_processor_message(const char *const *built_for, char *text, size_t size)
{
    char missing[512] = "", node[256] = "this node";
    size_t used = 0;
    text[0] = 0;
    for (const char *const *name = built_for; *name; name++)
        if (!has(*name) && used < sizeof missing) {
            const int n = snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", *name);
            used += n > 0 ? (size_t)n : 0;
        }
    if (!used) return;
    if (gethostname(node, sizeof node - 1) != 0) (void)snprintf(node, sizeof node, "this node");
    const size_t built = level_of(built_for), here = level_of(NULL);
    (void)snprintf(
        text, size,
        "avi_mpi: error: the program was built for %s; this node (%s) has %s and lacks %s. Build it on a node "
        "of this kind, or for all of them with: jobs/build.sh -DAVI_ARCH=%s",
        levels[built].words, node, levels[here].words, missing, levels[here].march);
}

/* Whether another rank of this node says it. */
static bool is_told_by_another(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "PMI_LOCAL_RANK",
                                        "SLURM_LOCALID", NULL};
    for (int i = 0; names[i]; i++) {
        const char *value = getenv(names[i]);
        if (value) return strcmp(value, "0") != 0;
    }
    return false;
}

bool avi_processor_has_level(const char *level)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i].march, level) != 0) continue;
        for (size_t below = i; below < sizeof levels / sizeof levels[0]; below++) /* each level has those below it */
            for (const char *const *need = levels[below].needs; *need; need++)
                if (!has(*need)) return false;
        return true;
    }
    return false;
}

void avi_processor_start_best(const char *names, char **argv)
{
    char own[PATH_BYTES], list[512], better[PATH_BYTES + sizeof list];
    const ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (!names[0] || length <= 0 || strlen(names) >= sizeof list) return;
    own[length] = '\0';
    memcpy(list, names, strlen(names) + 1);
    for (char *end = list + strlen(list); end != list;) {
        char *level = end;
        while (level > list && level[-1] != ' ') level--;
        if (avi_processor_has_level(level)) {
            (void)snprintf(better, sizeof better, "%s-%s", own, level);
            (void)execv(better, argv);
            if (!is_told_by_another())
                (void)fprintf(stderr,
                              "avi_mpi: warning: %s cannot be started (%s), so instructions of %s are not used. "
                              "Install it beside %s.\n",
                              better, strerror(errno), level, own);
        }
        end = level > list ? level - 1 : list;
        *end = '\0';
    }
}

int avi_processor_check(void)
{
    char text[1024];
    avi_processor_message(avi_built_for, text, sizeof text);
    if (!text[0]) return 0;
    if (!is_told_by_another()) (void)fprintf(stderr, "%s\n", text);
    return BAD_CONFIGURATION;
}
