/* Memory shared by the ranks of a node: what others wrote before a meeting is there after it; what cannot be had is
 * NULL on all ranks and leaves nothing behind. */
#include "avi/comm.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static avi_comm *world;

/* Files of this process that have a name. */
static int files(void)
{
    DIR *folder = opendir("/dev/shm");
    char name[64];
    int count = 0;
    const int length = snprintf(name, sizeof name, "avi_mpi.%ld.", (long)getpid());
    for (const struct dirent *f; folder && (f = readdir(folder));)
        count += strncmp(f->d_name, name, (size_t)length) == 0;
    if (folder) closedir(folder);
    return count;
}

/* Every rank writes its part, meets, reads the others' and a common value that one rank writes in turn: many rounds, so
 * that a meeting that lets someone through shows. */
static void parts_are_seen_after_a_meeting(void **state)
{
    (void)state;
    enum { VALUES = 1000, ROUNDS = 300 };
    const int rank = avi_comm_rank(world), size = avi_comm_size(world);
    avi_shared *s = NULL;
    assert_int_equal(avi_shared_create(world, VALUES * sizeof(int), sizeof(int), &s), AVI_OK);
    if (size == 1) {
        assert_null(s);
        return;
    }
    assert_non_null(s);
    int *own = avi_shared_of(s, rank), *total = avi_shared_total(s), wrong = 0;
    for (int i = 0; i < VALUES; i++) wrong += own[i] != 0;
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < VALUES; i++) own[i] = round * 1000 + rank;
        if (round % size == rank) *total = round;
        avi_shared_barrier(s);
        wrong += *total != round;
        for (int r = 0; r < size; r++)
            for (int i = 0; i < VALUES; i += 333) wrong += ((int *)avi_shared_of(s, r))[i] != round * 1000 + r;
        avi_shared_barrier(s);
    }
    assert_int_equal(wrong, 0);
    avi_shared_destroy(&s);
    assert_null(s);
}

static void two_at_once_are_apart(void **state)
{
    (void)state;
    avi_shared *a = NULL, *b = NULL;
    assert_int_equal(avi_shared_create(world, 8, 8, &a), AVI_OK);
    assert_int_equal(avi_shared_create(world, 8, 8, &b), AVI_OK);
    if (avi_comm_size(world) > 1) {
        *(int *)avi_shared_of(a, avi_comm_rank(world)) = 1;
        assert_int_equal(*(int *)avi_shared_of(b, avi_comm_rank(world)), 0);
    }
    avi_shared_destroy(&a);
    avi_shared_destroy(&b);
}

static void what_does_not_fit_is_null(void **state)
{
    (void)state;
    avi_shared *s = NULL;
    assert_int_equal(avi_shared_create(world, (size_t)1 << 45, 8, &s), AVI_OK);
    assert_null(s);
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    assert_int_equal(files(), 0);
}

int main(int argc, char **argv)
{
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts_are_seen_after_a_meeting),
                                       cmocka_unit_test(two_at_once_are_apart),
                                       cmocka_unit_test(what_does_not_fit_is_null)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    avi_comm_finish(&world);
    return failed;
}
