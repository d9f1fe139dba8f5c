/* Every refusal, with the whole message a person reads. */
#include "test_config.h"

#include <unistd.h>

static void refuses_unknown_names(void **state)
{
    (void)state;
    test_refused("[optim]\nlerning_rate = 1\n", NULL,
                 "x/test.ini:2: [optim] lerning_rate: unknown key; did you mean learning_rate?");
    test_refused("[run]\nbatch = 1\n", NULL, "x/test.ini:2: [run] batch: unknown key; did you mean [optim] batch?");
    test_refused("[optim]\nSomething = 1\n", NULL,
                 "x/test.ini:2: [optim] Something: unknown key; [optim] has learning_rate, offset, batch, shift");
    /* One line for the section, none for its keys. */
    test_refused("\n[optm]\nbatch = x\nfoo = 1\n", NULL, "x/test.ini:2: [optm]: unknown section; did you mean optim?");
    test_refused("[weather]\n", NULL,
                 "x/test.ini:1: [weather]: unknown section; sections are run, data, model, inference, optim");
    test_refused("seed = 1\n[run]\n", NULL, "x/test.ini:1: [] seed: in no section; put it below a line such as [run]");
    /* Keys of tables that are not in force are near names too. */
    test_refused("[model]\ntauu = 1\n", NULL, "x/test.ini:2: [model] tauu: unknown key; did you mean tau?");
}

static void refuses_wrong_types(void **state)
{
    (void)state;
    test_refused("[run]\nseed = 1.5\n", NULL,
                 "x/test.ini:2: [run] seed: '1.5' is not an integer; give an integer, at least 0");
    test_refused("[run]\nseed =\n", NULL, "x/test.ini:2: [run] seed: no value; give an integer, at least 0");
    test_refused("[run]\nseed = 1e19\n", NULL,
                 "x/test.ini:2: [run] seed: '1e19' is not an integer; give an integer, at least 0");
    test_refused("[run]\nseed = 99999999999999999999\n", NULL,
                 "x/test.ini:2: [run] seed: '99999999999999999999' is not an integer; give an integer, at least 0");
    static const char *const no_integers[] = {"0x10", "1__0", "_1", "1_", "1 2",  "inf",
                                              "nan",  "--1",  "1e", "+",  "1e-1", "one"};
    for (size_t i = 0; i < sizeof no_integers / sizeof *no_integers; ++i) {
        char text[64], expected[128];
        snprintf(text, sizeof text, "[optim]\nshift = %s", no_integers[i]);
        snprintf(expected, sizeof expected, "x/test.ini:2: [optim] shift: '%s' is not an integer; give an integer",
                 no_integers[i]);
        test_refused(text, NULL, expected);
    }
    static const char *const no_reals[] = {"1e400", "-1e999", "1e-999", "inf", "nan", "0x1p3",
                                           "1,5",   "1.5.2",  ".",      "1e+", "1 2"};
    for (size_t i = 0; i < sizeof no_reals / sizeof *no_reals; ++i) {
        char text[64], expected[128];
        snprintf(text, sizeof text, "[optim]\noffset = %s", no_reals[i]);
        snprintf(expected, sizeof expected,
                 "x/test.ini:2: [optim] offset: '%s' is not a finite number; give a number such as 0.5 or 1e-3",
                 no_reals[i]);
        test_refused(text, NULL, expected);
    }
    test_refused("[run]\nreproducible = maybe\n", NULL,
                 "x/test.ini:2: [run] reproducible: 'maybe' is neither yes nor no; give yes or no");
    test_refused(
        "[run]\ntask = fitt\n", NULL,
        "x/test.ini:2: [run] task: 'fitt' is not among the choices; did you mean fit? choices: fit | exact | evaluate");
    test_refused("[run]\ntask = Fit | exact\n", NULL,
                 "x/test.ini:2: [run] task: 'Fit | exact' is not among the choices; choices: fit | exact | evaluate");
    test_refused("[run]\ntask = \n", NULL, "x/test.ini:2: [run] task: no value; choices: fit | exact | evaluate");
    static const char *const no_lists[] = {"8,,8", ",8", "8,", "8 , , 8", ","};
    for (size_t i = 0; i < sizeof no_lists / sizeof *no_lists; ++i) {
        char text[64], expected[160];
        snprintf(text, sizeof text, "[inference]\nhidden = %s", no_lists[i]);
        snprintf(
            expected, sizeof expected,
            "x/test.ini:2: [inference] hidden: '%s' has a comma without a number; give integers separated by commas, "
            "each 1 .. 100000 (units)",
            no_lists[i]);
        test_refused(text, NULL, expected);
    }
    test_refused("[inference]\nhidden = 4, x\n", NULL,
                 "x/test.ini:2: [inference] hidden: 'x' is not an integer; give integers separated by commas, each 1 "
                 ".. 100000 (units)");
}

static void refuses_values_out_of_range(void **state)
{
    (void)state;
    test_refused("[optim]\nbatch = -1\n", NULL,
                 "x/test.ini:2: [optim] batch: '-1' is out of range; give an integer, 0 .. 1000000000 (rows)");
    test_refused("[optim]\nlearning_rate = 0\n", NULL,
                 "x/test.ini:2: [optim] learning_rate: '0' is out of range; give a number, above 0");
    test_refused("[run]\ntime_limit = 1000001\n", NULL,
                 "x/test.ini:2: [run] time_limit: '1000001' is out of range; give a number, 0 .. 1000000 (minutes)");
    test_refused("[inference]\nhidden = 4 0\n", NULL,
                 "x/test.ini:2: [inference] hidden: '0' is out of range; give integers separated by commas, each 1 .. "
                 "100000 (units)");
    /* The table in force decides: 20 serves the vae, not the hmm. */
    test_refused("[model]\nname = hmm\nlatent = 20\n", NULL,
                 "x/test.ini:3: [model] latent: '20' is out of range; give an integer, 1 .. 3");
    /* A wrong model name is one mistake: its keys are not held against another model. */
    test_refused(
        "[model]\nlatent = 5000\nname = hmn\n", NULL,
        "x/test.ini:3: [model] name: 'hmn' is not among the choices; did you mean hmm? choices: vae | hmm | saw");
}

static void refuses_lines_that_say_nothing(void **state)
{
    (void)state;
    test_refused("[run]\nseed\n", NULL, "x/test.ini:2: neither [section] nor key = value; comments start with ;");
    test_refused("[run]\n= 3\n", NULL, "x/test.ini:2: no key before =; write key = value");
    test_refused("[run\nseed = x\n", NULL, "x/test.ini:1: a section without its ]; write [name]");
    test_refused("[run] seed = 3\n", NULL, "x/test.ini:1: text behind a section's ]; keys go on lines of their own");
    test_refused("[run]\nseed = 3\n\nseed = 3", NULL,
                 "x/test.ini:4: [run] seed: given twice, first in line 2; leave one");
    test_refused("[run]\nseed = 3\n[data]\n[run]\nseed = 4", NULL,
                 "x/test.ini:5: [run] seed: given twice, first in line 2; leave one");
}

static void refuses_overrides(void **state)
{
    (void)state;
    test_refused("", (const char *[]){"optim.bach=1", NULL},
                 "command line: [optim] bach: unknown key; did you mean batch?");
    test_refused("", (const char *[]){"optm.batch=1", NULL},
                 "command line: [optm] batch: unknown section; did you mean optim?");
    test_refused("", (const char *[]){"seed=3", NULL},
                 "command line: 'seed=3' is not an override; write run.seed=value");
    test_refused("", (const char *[]){"run.seed", NULL},
                 "command line: 'run.seed' is not an override; write section.key=value");
    test_refused("", (const char *[]){"", "=", NULL},
                 "command line: '' is not an override; write section.key=value\n"
                 "command line: '=' is not an override; write section.key=value");
    test_refused("", (const char *[]){"run.seed=-1", NULL},
                 "command line: [run] seed: '-1' is out of range; give an integer, at least 0");
    test_refused("", (const char *[]){"run.output=a ;b", NULL},
                 "command line: [run] output: holds a ; at its start or behind a blank, which starts a comment; leave "
                 "the blank or the ; out");
    test_refused("", (const char *[]){"run.output=a\nseed = 3", NULL},
                 "command line: [run] output: holds the control byte 0x0a; give printable text");
}

static void refuses_variables(void **state)
{
    (void)state;
    unsetenv("AVI_TEST_UNSET");
    setenv("AVI_TEST_LINES", "a\nb", 1);
    test_refused("[run]\noutput = ${AVI_TEST_UNSET}\n", NULL,
                 "x/test.ini:2: [run] output: the environment variable AVI_TEST_UNSET is not set; set it, or write the "
                 "value here");
    test_refused("[run]\noutput = ${HOME\n", NULL,
                 "x/test.ini:2: [run] output: ${ without the name of an environment variable and }; write ${NAME}, or "
                 "$${ for a plain ${");
    test_refused("[run]\noutput = ${1}\n", NULL,
                 "x/test.ini:2: [run] output: ${ without the name of an environment variable and }; write ${NAME}, or "
                 "$${ for a plain ${");
    test_refused("[run]\noutput = ${AVI_TEST_LINES}\n", NULL,
                 "x/test.ini:2: [run] output: holds the control byte 0x0a; give printable text");
    char *large = malloc(70000);
    assert_non_null(large);
    memset(large, 'x', 69999);
    large[69999] = '\0';
    setenv("AVI_TEST_LARGE", large, 1);
    free(large);
    test_refused("[run]\noutput = ${AVI_TEST_LARGE}\n", NULL,
                 "x/test.ini:2: [run] output: longer than 65536 bytes; give a shorter value");
    unsetenv("AVI_TEST_LARGE");
}

static void tells_all_mistakes_by_line(void **state)
{
    (void)state;
    test_refused("[run]\nseed = x\nsed = 3\n[optim\nbatch = 1\n[optim]\nbatch = -1\nno sense\n",
                 (const char *[]){"run.task=no", "x.y=1", NULL},
                 "x/test.ini:2: [run] seed: 'x' is not an integer; give an integer, at least 0\n"
                 "x/test.ini:3: [run] sed: unknown key; did you mean seed?\n"
                 "x/test.ini:4: a section without its ]; write [name]\n"
                 "x/test.ini:7: [optim] batch: '-1' is out of range; give an integer, 0 .. 1000000000 (rows)\n"
                 "x/test.ini:8: neither [section] nor key = value; comments start with ;\n"
                 "command line: [x] y: unknown section; sections are run, data, model, inference, optim\n"
                 "command line: [run] task: 'no' is not among the choices; choices: fit | exact | evaluate");
}

/* Very many mistakes still fit into one message, and quickly. */
static void counts_what_it_cannot_tell(void **state)
{
    (void)state;
    enum { LINES = 100000 };
    char *text = malloc(6 + LINES * 7 + 1);
    assert_non_null(text);
    strcpy(text, "[run]\n");
    for (int i = 0; i < LINES; ++i) memcpy(text + 6 + i * 7, "qqqq=1\n", 7);
    text[6 + LINES * 7] = '\0';
    avi_config *c = test_create();
    assert_int_equal(test_parse(c, text, NULL), AVI_ERR_CONFIG);
    const char *message = avi_error_text();
    int told = 1;
    for (const char *at = message; (at = strchr(at, '\n')) != NULL; ++at) ++told;
    char end[64];
    snprintf(end, sizeof end, "\n... and %d more mistakes", LINES - (told - 1));
    assert_true(strlen(message) < 8192 && told > 20);
    assert_string_equal(message + strlen(message) - strlen(end), end);
    free(text);
    avi_config_destroy(&c);
}

/* Names and values from outside cannot drive a terminal or fill it. */
static void quotes_bad_bytes(void **state)
{
    (void)state;
    test_refused(
        "[run]\n\x1b[2J = 1\n", NULL,
        "x/test.ini:2: [run] \\x1b[2J: unknown key; [run] has task, seed, output, note, time_limit, reproducible");
    test_refused("[run]\nseed = \x01\x7f\n", NULL,
                 "x/test.ini:2: [run] seed: holds the control byte 0x01; give printable text");
    test_refused("[run]\nseed = 1\r2\n", NULL,
                 "x/test.ini:2: [run] seed: holds the control byte 0x0d; give printable text");
    char text[2000], expected[300] = "x/test.ini:2: [run] seed: '";
    strcpy(text, "[run]\nseed = ");
    memset(text + 13, '9', 1500);
    text[1513] = '\0';
    memset(expected + strlen(expected), '9', 80);
    strcat(expected, "...' is not an integer; give an integer, at least 0");
    test_refused(text, NULL, expected);
    memset(text + 6, 'k', 1500); /* a line without =, and a key that no buffer holds */
    test_refused(text, NULL, "x/test.ini:2: neither [section] nor key = value; comments start with ;");
    text[1512] = '=';
    test_refused(text, NULL, "x/test.ini:2: the name of the key is too long; write key = value");
}

static void tells_where_a_later_mistake_stands(void **state)
{
    (void)state;
    avi_config *c = test_create();
    assert_int_equal(test_parse(c, "[optim]\n\nbatch = 1e3\n", (const char *[]){"run.seed=4", NULL}), AVI_OK);
    assert_int_equal(avi_config_fail(c, "optim", "batch", "the data have %d rows; at most %d serves", 10, 10),
                     AVI_ERR_CONFIG);
    assert_string_equal(avi_error_text(),
                        "x/test.ini:3: [optim] batch = 1000: the data have 10 rows; at most 10 serves");
    avi_error_clear();
    avi_config_fail(c, "run", "seed", "no");
    assert_string_equal(avi_error_text(), "command line: [run] seed = 4: no");
    avi_error_clear();
    avi_config_fail(c, "run", "task", "no");
    assert_string_equal(avi_error_text(), "default: [run] task = fit: no");
    avi_config_destroy(&c);
}

static void refuse_table(avi_key_table *tables, int count, const char *expected)
{
    avi_config *c = NULL;
    avi_error_clear();
    assert_int_equal(avi_config_create(tables, count, &c), AVI_ERR_INTERNAL);
    assert_null(c);
    assert_string_equal(avi_error_text(), expected);
    avi_error_clear();
}

static void refuses_wrong_tables(void **state)
{
    (void)state;
    avi_key a = {"a", "k", AVI_KEY_INT, "1", 0, 0, NULL, NULL, "A."};
    avi_key choice = {"a", "c", AVI_KEY_CHOICE, "x", 0, 0, "x | y", NULL, "C."};
    avi_key_table same[] = {{&a, 1, NULL, NULL, NULL, false, NULL}, {&a, 1, NULL, NULL, NULL, false, NULL}};
    refuse_table(same, 2, "table of keys: [a] k: declared by two tables that are in force at once");
    avi_key_table overlap[] = {{&choice, 1, NULL, NULL, NULL, false, NULL},
                               {&a, 1, "a", "c", "x | y", false, NULL},
                               {&a, 1, "a", "c", "z | y", false, NULL}};
    refuse_table(overlap, 3, "table of keys: [a] k: declared by two tables that are in force at once");
    avi_key_table nobody[] = {{&a, 1, "a", "c", "x", false, NULL}};
    refuse_table(nobody, 1, "table of keys: [a] k: its table is in force by a key that no table declares");
    a.fallback = "x";
    refuse_table(same, 1, "table of keys: [a] k: default: 'x' is not an integer; give an integer");
    a.min = 2, a.max = 1;
    refuse_table(same, 1, "table of keys: [a] k: min is above max");
    a.min = 0, a.fallback = NULL;
    refuse_table(same, 1, "table of keys: [a] k: no default");
    choice.choices = NULL;
    refuse_table(overlap, 1, "table of keys: [a] c: a choice without choices");
}

const struct CMUnitTest test_mistakes[] = {
    cmocka_unit_test(refuses_unknown_names),
    cmocka_unit_test(refuses_wrong_types),
    cmocka_unit_test(refuses_values_out_of_range),
    cmocka_unit_test(refuses_lines_that_say_nothing),
    cmocka_unit_test(refuses_overrides),
    cmocka_unit_test(refuses_variables),
    cmocka_unit_test(tells_all_mistakes_by_line),
    cmocka_unit_test(counts_what_it_cannot_tell),
    cmocka_unit_test(quotes_bad_bytes),
    cmocka_unit_test(tells_where_a_later_mistake_stands),
    cmocka_unit_test(refuses_wrong_tables),
};
const size_t test_mistakes_count = sizeof test_mistakes / sizeof *test_mistakes;
