/* Values: types, defaults, lists, tables in force, overrides, ${NAME}, paths, the nearest name. */
#include "test_config.h"

#include <float.h>
#include <math.h>
#include <unistd.h>

static const avi_key always[] = {
    {"run", "task", AVI_KEY_CHOICE, "fit", 0, 0, "fit | exact | evaluate", NULL, "What to do."},
    {"run", "seed", AVI_KEY_INT, "1", 0, 9.3e18, NULL, NULL, "Seed of all random numbers."},
    {"run", "output", AVI_KEY_STRING, "runs/a", 0, 0, NULL, NULL, "Folder of the results."},
    {"run", "note", AVI_KEY_STRING, "", 0, 0, NULL, NULL, "Any text."},
    {"run", "time_limit", AVI_KEY_REAL, "0", 0, 1e6, NULL, "minutes", "Stops before it."},
    {"run", "reproducible", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL, "The same bits on any number of ranks."},
    {"data", "path", AVI_KEY_PATH, "", 0, 0, NULL, NULL, "File of the data."},
    {"model", "name", AVI_KEY_CHOICE, "vae", 0, 0, "vae | hmm | saw", NULL, "The model."},
    {"inference", "function", AVI_KEY_CHOICE, "mlp", 0, 0, "mlp | polynomial", NULL, "The inference function."},
    {"optim", "learning_rate", AVI_KEY_REAL, "1e-3", DBL_MIN, INFINITY, NULL, NULL, "Step size."},
    {"optim", "offset", AVI_KEY_REAL, "0", 0, 0, NULL, NULL, "Any number."},
    {"optim", "batch", AVI_KEY_INT, "1_024", 0, 1e9, NULL, "rows", "Rows of a step."},
    {"optim", "shift", AVI_KEY_INT, "0", 0, 0, NULL, NULL, "Any integer."},
};
static const avi_key vae[] = {
    {"model", "latent", AVI_KEY_INT, "20", 1, 1000, NULL, NULL, "Dimensions of z."},
    {"model", "likelihood", AVI_KEY_CHOICE, "bernoulli", 0, 0, "bernoulli | gaussian", NULL, "p(x | z)."},
};
static const avi_key gaussian[] = {
    {"model", "noise_sd", AVI_KEY_REAL, "0.1", 0, 100, NULL, NULL, "Standard deviation of x."},
};
static const avi_key chain[] = {
    {"model", "latent", AVI_KEY_INT, "2", 1, 3, NULL, NULL, "Dimensions of the state."},
    {"model", "tau", AVI_KEY_REAL, "1", 0, 10, NULL, NULL, "Scale of a step."},
};
static const avi_key mlp[] = {
    {"inference", "hidden", AVI_KEY_INT_LIST, "400", 1, 100000, NULL, "units", "Widths of the hidden layers."},
    {"inference", "skips", AVI_KEY_INT_LIST, "", 0, 100, NULL, NULL, "Layers that are passed over."},
};
#define ROWS(keys) (int)(sizeof(keys) / sizeof(keys)[0])
const avi_key_table test_tables[] = {
    {always, ROWS(always), NULL, NULL, NULL, false, NULL},
    {vae, ROWS(vae), "model", "name", "vae", false, NULL},
    {gaussian, ROWS(gaussian), "model", "likelihood", "gaussian", false, NULL},
    {chain, ROWS(chain), "model", "name", "hmm | saw", false, NULL},
    {mlp, ROWS(mlp), "inference", "function", "mlp", false, NULL},
};
const int test_table_count = ROWS(test_tables);
avi_comm *test_world;

avi_config *test_create(void)
{
    avi_config *config = NULL;
    avi_error_clear();
    if (avi_config_create(test_tables, test_table_count, &config) != AVI_OK) fail_msg("%s", avi_error_text());
    return config;
}

avi_status test_parse(avi_config *config, const char *text, const char *const *overrides)
{
    int count = 0;
    while (overrides && overrides[count]) ++count;
    avi_error_clear();
    return avi_config_parse(config, "x/test.ini", text, count, overrides);
}

static avi_config *good(const char *text, const char *const *overrides)
{
    avi_config *config = test_create();
    if (test_parse(config, text, overrides) != AVI_OK) fail_msg("%s", avi_error_text());
    return config;
}

void test_refused(const char *text, const char *const *overrides, const char *expected)
{
    avi_config *config = test_create();
    assert_int_equal(test_parse(config, text, overrides), AVI_ERR_CONFIG);
    assert_string_equal(avi_error_text(), expected);
    avi_config_destroy(&config);
    assert_null(config);
    avi_error_clear();
}

static void has_defaults(void **state)
{
    (void)state;
    avi_config *c = good("", NULL);
    int64_t list[4] = {-1, -1, -1, -1};
    assert_string_equal(avi_config_get_string(c, "run", "task"), "fit");
    assert_int_equal(avi_config_get_int(c, "optim", "batch"), 1024);
    assert_true(avi_config_get_real(c, "optim", "learning_rate") == 1e-3);
    assert_false(avi_config_get_bool(c, "run", "reproducible"));
    assert_int_equal(avi_config_get_int(c, "model", "latent"), 20);
    assert_int_equal(avi_config_get_int_list(c, "inference", "hidden", list, 4), 1);
    assert_int_equal(list[0], 400);
    assert_int_equal(avi_config_get_int_list(c, "inference", "skips", list, 4), 0);
    assert_string_equal(avi_config_get_string(c, "data", "path"), "");
    assert_false(avi_config_is_given(c, "run", "seed"));
    avi_config_destroy(&c);
}

static void reads_types(void **state)
{
    (void)state;
    avi_config *c = good("\xEF\xBB\xBF; a comment\r\n"
                         "[run]\r\n"
                         "  seed = 9223372036854775807 ; the largest\r\n"
                         "\ttask=exact;no comment here? yes: the next line shows\r\n",
                         (const char *[]){"run.task=exact", NULL});
    assert_true(avi_config_get_int(c, "run", "seed") == INT64_MAX);
    assert_true(avi_config_is_given(c, "run", "seed"));
    avi_config_destroy(&c);

    c = good("# other comments\n[optim]\nbatch = 1e6\nshift : -1_000_000\nlearning_rate=.5\noffset = -1.5E+3\n"
             "[run]\nreproducible = TRUE\noutput = a;b = c ; a comment\nnote=\n[inference]\nhidden = 256,128 , "
             "64\t7\nskips = 0",
             NULL);
    int64_t list[2] = {0, 0};
    assert_int_equal(avi_config_get_int(c, "optim", "batch"), 1000000);
    assert_int_equal(avi_config_get_int(c, "optim", "shift"), -1000000);
    assert_true(avi_config_get_real(c, "optim", "learning_rate") == 0.5);
    assert_true(avi_config_get_real(c, "optim", "offset") == -1500.0);
    assert_true(avi_config_get_bool(c, "run", "reproducible"));
    assert_string_equal(avi_config_get_string(c, "run", "output"), "a;b = c");
    assert_string_equal(avi_config_get_string(c, "run", "note"), "");
    assert_int_equal(avi_config_get_int_list(c, "inference", "hidden", list, 2), 4);
    assert_int_equal(list[0], 256);
    assert_int_equal(list[1], 128);
    avi_config_destroy(&c);
}

/* No hidden layer is a choice too: the range is for each element. */
static void reads_empty_lists(void **state)
{
    (void)state;
    avi_config *c = good("[inference]\nhidden =\n", NULL);
    assert_int_equal(avi_config_get_int_list(c, "inference", "hidden", NULL, 0), 0);
    assert_true(avi_config_is_given(c, "inference", "hidden"));
    avi_config_destroy(&c);
    c = good("", (const char *[]){"inference.hidden=", NULL});
    assert_int_equal(avi_config_get_int_list(c, "inference", "hidden", NULL, 0), 0);
    avi_config_destroy(&c);
}

static void the_last_override_wins(void **state)
{
    (void)state;
    avi_config *c =
        good("[run]\nseed = 1\n", (const char *[]){"run.seed=2", "run.note=a", "run . seed = 3", "run.note=", NULL});
    assert_int_equal(avi_config_get_int(c, "run", "seed"), 3);
    assert_string_equal(avi_config_get_string(c, "run", "note"), "");
    avi_config_destroy(&c);
}

static void overrides_win(void **state)
{
    (void)state;
    /* What the override replaces is not read: its mistakes and variables do not matter. */
    avi_config *c = good("[optim]\nbatch = none\n[run]\noutput = ${AVI_TEST_UNSET}\n",
                         (const char *[]){"optim.batch=64", " run . output = o=p.q ", "model.name=saw", NULL});
    assert_int_equal(avi_config_get_int(c, "optim", "batch"), 64);
    assert_string_equal(avi_config_get_string(c, "run", "output"), "o=p.q");
    assert_int_equal(avi_config_get_int(c, "model", "latent"), 2); /* the chain's */
    avi_config_destroy(&c);
}

static void knows_tables_in_force(void **state)
{
    (void)state;
    avi_config *c =
        good("[model]\nname = hmm\nlatent = 3\ntau = 2\nlikelihood = anything\nnoise_sd = x\n[inference]\nhidden = 5\n",
             (const char *[]){"inference.function=polynomial", "inference.skips=1", NULL});
    assert_int_equal(avi_config_get_int(c, "model", "latent"), 3);
    assert_true(avi_config_get_real(c, "model", "tau") == 2);
    char *unused = avi_config_unused(c);
    assert_string_equal(unused, "model.likelihood (line 5), model.noise_sd (line 6), inference.hidden (line 8), "
                                "inference.skips (command line)");
    free(unused);
    avi_config_destroy(&c);

    /* A condition on a key that is itself conditional. */
    c = good("[model]\nnoise_sd = 3\nlikelihood = gaussian\n", NULL);
    assert_true(avi_config_get_real(c, "model", "noise_sd") == 3);
    unused = avi_config_unused(c);
    assert_string_equal(unused, "");
    free(unused);
    /* The same object again: nothing of the first text is left. */
    assert_int_equal(test_parse(c, "[model]\nlatent = 7", NULL), AVI_OK);
    assert_string_equal(avi_config_get_string(c, "model", "likelihood"), "bernoulli");
    assert_int_equal(avi_config_get_int(c, "model", "latent"), 7);
    assert_false(avi_config_is_given(c, "model", "noise_sd"));
    avi_config_destroy(&c);
}

static void expands_variables_and_paths(void **state)
{
    (void)state;
    char here[4096], expected[5000];
    assert_non_null(getcwd(here, sizeof here));
    setenv("AVI_TEST_A", "mid", 1);
    setenv("AVI_TEST_B", "/abs//x/./y", 1);
    setenv("AVI_TEST_SEED", " 7 ", 1);
    avi_config *c = good("[run]\nseed=${AVI_TEST_SEED}\noutput = a-${AVI_TEST_A}-$${AVI_TEST_A}-$x-$$\n[data]\npath = "
                         "d/../${AVI_TEST_A}.h5",
                         NULL);
    assert_int_equal(avi_config_get_int(c, "run", "seed"), 7);
    assert_string_equal(avi_config_get_string(c, "run", "output"), "a-mid-${AVI_TEST_A}-$x-$$");
    snprintf(expected, sizeof expected, "%s/x/d/../mid.h5", here);
    assert_string_equal(avi_config_get_string(c, "data", "path"), expected);
    assert_string_equal(
        avi_config_text(c) + 5,
        "\nseed=${AVI_TEST_SEED}\noutput = a-${AVI_TEST_A}-$${AVI_TEST_A}-$x-$$\n[data]\npath = d/../${AVI_TEST_A}.h5");
    avi_config_destroy(&c);

    c = good("[data]\npath = ${AVI_TEST_B}", NULL);
    assert_string_equal(avi_config_get_string(c, "data", "path"), "/abs/x/y");
    avi_config_destroy(&c);
    c = good("[data]\npath = wrong", (const char *[]){"data.path=./f", NULL});
    snprintf(expected, sizeof expected, "%s/f", here);
    assert_string_equal(avi_config_get_string(c, "data", "path"), expected);
    avi_config_destroy(&c);
}

static void finds_the_closest(void **state)
{
    (void)state;
    static const char *const names[] = {"learning_rate", "batch", "epochs", "tile", "adam", "mlp", NULL};
    assert_string_equal(avi_closest("lerning_rate", names, -1), "learning_rate");
    assert_string_equal(avi_closest("learnign_rate", names, -1), "learning_rate"); /* a swap is one step */
    assert_string_equal(avi_closest("BATCH", names, -1), "batch");
    assert_string_equal(avi_closest("epoch", names, 6), "epochs");
    assert_string_equal(avi_closest("adma", names, 6), "adam");
    assert_null(avi_closest("epochs", names, 1));
    assert_null(avi_closest("conjugate_gradient", names, -1));
    assert_null(avi_closest("", names, -1));
    assert_null(avi_closest("x", names, -1));
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(avi_closest(longer, names, -1));
    assert_null(avi_closest("any", names + 6, -1));
}

static const struct CMUnitTest test_values[] = {
    cmocka_unit_test(has_defaults),
    cmocka_unit_test(reads_types),
    cmocka_unit_test(reads_empty_lists),
    cmocka_unit_test(overrides_win),
    cmocka_unit_test(the_last_override_wins),
    cmocka_unit_test(knows_tables_in_force),
    cmocka_unit_test(expands_variables_and_paths),
    cmocka_unit_test(finds_the_closest),
};

int main(int argc, char **argv)
{
    if (avi_comm_start(&argc, &argv, &test_world) != AVI_OK) return 1;
    int failed = _cmocka_run_group_tests("reads", test_reads, test_reads_count, NULL, NULL);
    if (avi_comm_rank(test_world) == 0) { /* without message passing: once is enough */
        failed += cmocka_run_group_tests(test_values, NULL, NULL);
        failed += _cmocka_run_group_tests("mistakes", test_mistakes, test_mistakes_count, NULL, NULL);
        failed += _cmocka_run_group_tests("texts", test_texts, test_texts_count, NULL, NULL);
    }
    avi_comm_finish(&test_world);
    return failed != 0;
}
