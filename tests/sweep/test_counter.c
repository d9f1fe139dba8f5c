/* The shared counter: every number is given to exactly one rank, and a look sees what others have added. */
#include "base/comm_mpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TAKEN = 500 };

static avi_comm *world;

static void each_once(bool shared)
{
    avi_shared_counter *t;
    int64_t last = -1, mine[TAKEN * 8 + 1] = {0};
    const int ranks = avi_comm_size(world);
    assert_true(ranks <= 8);
    assert_int_equal(avi_shared_counter_make(world, shared, &t), AVI_OK);
    for (int i = 0; i < TAKEN; i++) {
        const int64_t n = avi_shared_counter_take(t, 1);
        assert_true(n > last && n < (int64_t)TAKEN * ranks);
        mine[n]++;
        last = n;
    }
    avi_shared_counter_destroy(&t);
    assert_null(t);
    assert_int_equal(avi_comm_sum_int64(world, mine, TAKEN * 8), AVI_OK);
    for (int i = 0; i < TAKEN * ranks; i++) assert_int_equal(mine[i], 1);
}

static void look(bool shared)
{
    avi_shared_counter *t;
    int64_t seen = 0;
    assert_int_equal(avi_shared_counter_make(world, shared, &t), AVI_OK);
    assert_int_equal(avi_shared_counter_read(t), 0);
    assert_int_equal(avi_comm_barrier(world), AVI_OK);
    const int last = avi_comm_size(world) - 1;
    if (avi_comm_rank(world) == last) assert_int_equal(avi_shared_counter_take(t, (int64_t)1 << 40), 0);
    const double from = avi_seconds();
    while ((seen = avi_shared_counter_read(t)) == 0 && avi_seconds() - from < 20) {
    }
    assert_true(seen == (int64_t)1 << 40);
    avi_shared_counter_destroy(&t);
}

static void test_each_once(void **state)
{
    (void)state;
    each_once(true);
    each_once(false);
}

static void test_look(void **state)
{
    (void)state;
    look(true);
    look(false);
}

static void test_create(void **state)
{
    (void)state;
    avi_shared_counter *t;
    assert_int_equal(avi_shared_counter_create(world, &t), AVI_OK);
    avi_shared_counter_destroy(&t);
}

int main(int argc, char **argv)
{
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_once), cmocka_unit_test(test_look),
                                       cmocka_unit_test(test_create)};
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    avi_comm_finish(&world);
    return failed;
}
