/* The output folder, its checkpoints and metrics.csv at any number of ranks. */
#include "store_support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static void folder_and_texts(void **state)
{
    (void)state;
    avi_folder *folder;
    char *text;
    assert_int_equal(avi_folder_open(world, in("one/two/three"), &folder), AVI_OK);
    assert_string_equal(avi_folder_path(folder), in("one/two/three"));
    assert_true(exists(in("one/two/three/lock")));
    assert_int_equal(avi_folder_read_text(folder, world, "config.ini", &text), AVI_OK);
    assert_null(text);
    assert_int_equal(avi_folder_write_text(folder, world, "config.ini", "[run]\n"), AVI_OK);
    assert_int_equal(avi_folder_write_text(folder, world, "config.ini", "[model]\nname = vae\n"), AVI_OK);
    assert_int_equal(avi_folder_read_text(folder, world, "config.ini", &text), AVI_OK);
    assert_string_equal(text, "[model]\nname = vae\n");
    free(text);
    assert_false(exists(in("one/two/three/config.ini.tmp")));
    REFUSED(avi_folder_write_text(folder, world, "../escape", ""), AVI_ERR_CANTCREATE,
            "not the name of a file in this folder");
    REFUSED(avi_folder_write_text(folder, world, "a/../../escape", ""), AVI_ERR_CANTCREATE, "not the name");
    REFUSED(avi_folder_read_text(folder, world, "/etc/passwd", &text), AVI_ERR_CANTCREATE, "not the name");
    REFUSED(avi_folder_read_text(folder, world, "lock", &text), AVI_ERR_CANTCREATE, "not the name");
    REFUSED(avi_folder_write_text(folder, world, "", ""), AVI_ERR_CANTCREATE, "not the name");
    assert_false(exists(in("one/two/escape")));
    meet();
    avi_folder_close(&folder);
    assert_null(folder);
    meet();
    assert_false(exists(in("one/two/three/lock")));
    meet();
    if (is_root()) fclose(fopen(in("plain"), "w"));
    meet();
    REFUSED(avi_folder_open(world, in("plain"), &folder), AVI_ERR_CANTCREATE, "is a file, not a folder");
    REFUSED(avi_folder_open(world, in("plain/x"), &folder), AVI_ERR_CANTCREATE, "cannot make the folder");
}

static avi_status checkpoint(avi_folder *folder, int64_t step, int keep)
{
    const int64_t first = avi_slab_first(1000, avi_comm_size(world), avi_comm_rank(world));
    const int64_t count = avi_slab_first(1000, avi_comm_size(world), avi_comm_rank(world) + 1) - first;
    static double data[1000];
    for (int64_t k = 0; k < count; k++) data[k] = (double)(step + first + k);
    const avi_field f = {
        .path = "/state", .type = AVI_F64, .rank = 1, .dims = {1000}, .distributed = true, .data = data};
    return avi_checkpoint_write(folder, world, step, keep, &f, 1, NULL, 0);
}

static void expect_found(avi_folder *folder, const char *name)
{
    char *path;
    assert_int_equal(avi_checkpoint_find(folder, world, &path), AVI_OK);
    if (!name) {
        assert_null(path);
    } else {
        assert_non_null(path);
        assert_string_equal(strrchr(path, '/') + 1, name);
    }
    free(path);
    meet();
}

static void checkpoints(void **state)
{
    (void)state;
    avi_folder *folder;
    char *text;
    assert_int_equal(avi_folder_open(world, in("run"), &folder), AVI_OK);
    expect_found(folder, NULL);
    for (int step = 10; step <= 40; step += 10) assert_int_equal(checkpoint(folder, step, 3), AVI_OK);
    assert_false(exists(in("run/checkpoint/step_000000010.h5")));
    assert_true(exists(in("run/checkpoint/step_000000020.h5")));
    expect_found(folder, "step_000000040.h5");
    assert_int_equal(avi_folder_read_text(folder, world, "checkpoint/latest", &text), AVI_OK);
    assert_string_equal(text, "step_000000040.h5\n");
    free(text);
    flip(in("run/checkpoint/step_000000040.h5"), -100, 1); /* the data are last in the file */
    expect_found(folder, "step_000000030.h5");
    flip(in("run/checkpoint/step_000000030.h5"), 100, 40); /* metadata */
    expect_found(folder, "step_000000020.h5");
    assert_string_equal(avi_error_text(), ""); /* passing over is not a failure */
    if (is_root()) assert_int_equal(truncate(in("run/checkpoint/step_000000020.h5"), 5000), 0);
    meet();
    REFUSED(avi_checkpoint_find(folder, world, &text), AVI_ERR_DATA, "none of its 3 checkpoints is complete");
    /* The run went back to 15: what was after it must not come up again; what a killed writer left goes. */
    if (is_root()) fclose(fopen(in("run/checkpoint/step_000000016.h5.tmp"), "w"));
    meet();
    assert_int_equal(checkpoint(folder, 15, 1), AVI_OK);
    expect_found(folder, "step_000000015.h5");
    assert_false(exists(in("run/checkpoint/step_000000040.h5")));
    assert_false(exists(in("run/checkpoint/step_000000016.h5.tmp")));
    meet();
    assert_int_equal(avi_checkpoint_clear(folder, world), AVI_OK);
    expect_found(folder, NULL);
    assert_false(exists(in("run/checkpoint/latest")));
    meet();
    REFUSED(checkpoint(folder, -1, 1), AVI_ERR_INTERNAL, "checkpoint of step -1");
    avi_folder_close(&folder);
    meet();
}

static atomic_bool enough;

/* What a fit that goes on does, a thousand times a second: a newer checkpoint, and the older one removed. */
static void *go_on(void *unused)
{
    char path[2][512];
    (void)unused;
    for (int step = 1; !enough; step++) {
        for (int k = 0; k < 2; k++)
            snprintf(path[k], sizeof path[k], "%s/on/checkpoint/step_%09d.h5", place, step - 1 + k);
        if (link(path[0], path[1]) != 0 || unlink(path[0]) != 0) return (void *)"the checkpoints do not go on";
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

static void checkpoint_of_a_fit_that_goes_on(void **state)
{
    (void)state;
    avi_folder *folder;
    pthread_t writer;
    void *failed = NULL;
    assert_int_equal(avi_folder_open(world, in("on"), &folder), AVI_OK);
    assert_int_equal(checkpoint(folder, 0, 1), AVI_OK);
    if (is_root()) assert_int_equal(pthread_create(&writer, NULL, go_on, NULL), 0);
    avi_status status = AVI_OK;
    for (int i = 0; i < 200 && status == AVI_OK; i++) {
        char *path = NULL;
        status = avi_checkpoint_newest(world, in("on"), &path);
        if (status == AVI_OK && !path) status = AVI_ERR_NOINPUT;
        free(path);
    }
    enough = true;
    if (is_root()) pthread_join(writer, &failed);
    assert_null(failed);
    assert_string_equal(avi_error_text(), "");
    assert_int_equal(status, AVI_OK);
    avi_folder_close(&folder);
    meet();
}

static void expect_metrics(avi_folder *folder, const char *expected)
{
    char *text;
    assert_int_equal(avi_folder_read_text(folder, world, "metrics.csv", &text), AVI_OK);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void metrics_begin_anew(void **state)
{
    (void)state;
    avi_folder *folder;
    avi_metrics *m;
    assert_int_equal(avi_folder_open(world, in("csv"), &folder), AVI_OK);
    assert_int_equal(avi_metrics_open(folder, world, "step,elbo", &m), AVI_OK); /* nothing there yet */
    assert_int_equal(avi_metrics_line(m, "10,-3.5"), AVI_OK);
    assert_int_equal(avi_metrics_line(m, "20,-2.5"), AVI_OK);
    assert_int_equal(avi_metrics_line(m, "120,-1.5"), AVI_OK);
    meet();
    expect_metrics(folder, "step,elbo\n10,-3.5\n20,-2.5\n120,-1.5\n"); /* there before the file is closed */
    avi_metrics_close(&m);
    assert_null(m);
    if (is_root()) { /* what a kill may leave */
        FILE *f = fopen(in("csv/metrics.csv"), "a");
        assert_non_null(f);
        fputs("garbage\n5", f);
        fclose(f);
    }
    meet();
    assert_int_equal(avi_metrics_open(folder, world, "step,elbo", &m), AVI_OK);
    expect_metrics(folder, "step,elbo\n");
    avi_metrics_close(&m);
    meet();
    avi_folder_close(&folder);
    meet();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(folder_and_texts, clear_error),
        cmocka_unit_test_setup(checkpoints, clear_error),
        cmocka_unit_test_setup(checkpoint_of_a_fit_that_goes_on, clear_error),
        cmocka_unit_test_setup(metrics_begin_anew, clear_error),
    };
    if (!begin_tests(&argc, &argv)) return 70;
    return end_tests(cmocka_run_group_tests(tests, NULL, NULL));
}
