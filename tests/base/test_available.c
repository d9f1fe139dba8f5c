/* Memory that can be had, from files like those of the kernel below a folder of the test's own. */
#include "base/available.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/avi_available_XXXXXX";

static void put(const char *path, const char *text)
{
    char whole[4096];
    snprintf(whole, sizeof whole, "mkdir -p \"$(dirname '%s%s')\"", root, path);
    assert_int_equal(system(whole), 0);
    snprintf(whole, sizeof whole, "%s%s", root, path);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void expect(double bytes, const char *words)
{
    const char *by;
    const double found = avi_memory_available(root, &by);
    if (found != bytes || !strstr(by, words)) fail_msg("%.0f bytes (%s); %.0f (%s) expected", found, by, bytes, words);
}

static int begin(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
    char command[4096];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static void meminfo(void **state)
{
    (void)state;
    expect(HUGE_VAL, "machine"); /* nothing to read refuses nothing */
    put("/proc/meminfo", "MemTotal:       24000000 kB\nMemFree: 5 kB\nMemAvailable:    2000 kB\nSwapFree:  48 kB\n");
    expect(2048 * 1024.0, "machine");
}

/* Version 2: the least of the group and those above it; a group without a limit says "max". */
static void version_two(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemAvailable:    2000000 kB\nSwapFree:  0 kB\n");
    put("/proc/self/cgroup", "0::/slurm/job_7/step_0\n");
    put("/sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
    put("/sys/fs/cgroup/slurm/job_7/memory.max", "1000000\n");
    put("/sys/fs/cgroup/slurm/job_7/memory.current", "400000\n");
    put("/sys/fs/cgroup/slurm/job_7/memory.stat", "anon 100\ninactive_file 50000\nactive_file 9\n");
    expect(650000, "control group");
    put("/sys/fs/cgroup/slurm/memory.max", "500000\n"); /* the tighter one decides, wherever it is */
    put("/sys/fs/cgroup/slurm/memory.current", "450000\n");
    expect(50000, "control group");
}

/* Version 1: no limit is a huge number, and the controller may stand beside others. */
static void version_one(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemAvailable:    2000000 kB\n");
    put("/proc/self/cgroup", "5:cpuset:/a\n4:hugetlb,memory:/a/b\n1:name=systemd:/\n0::/\n");
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "7\n");
    expect(2000000 * 1024.0, "machine");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3000000\n");
    put("/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "2900000\n");
    put("/sys/fs/cgroup/memory/a/memory.stat", "inactive_file 1\ntotal_inactive_file 20000\n");
    expect(120000, "control group");
}

/* In a container the group's path may not be there: the limit is at the root of what is mounted. */
static void of_a_container(void **state)
{
    (void)state;
    put("/proc/meminfo", "MemAvailable:    2000000 kB\n");
    put("/proc/self/cgroup", "0::/docker/0123456789\n");
    put("/sys/fs/cgroup/memory.max", "8000\n");
    put("/sys/fs/cgroup/memory.current", "9000\n");
    expect(0, "control group");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(meminfo, begin, end),
        cmocka_unit_test_setup_teardown(version_two, begin, end),
        cmocka_unit_test_setup_teardown(version_one, begin, end),
        cmocka_unit_test_setup_teardown(of_a_container, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
