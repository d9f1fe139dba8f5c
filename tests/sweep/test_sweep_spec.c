/* What --sweep understands, what it refuses, how runs are numbered and named, and that a configuration derived for a
 * run is that of the same override. */
#include "avi/config.h"
#include "sweep/sweep_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static avi_sweep_spec parse(const char *text)
{
    avi_sweep_spec s;
    avi_error_clear();
    if (avi_sweep_spec_parse(text, 0, NULL, &s) != AVI_OK) fail_msg("%s", avi_error_text());
    return s;
}

static void expect_values(const char *text, int count, const char *const *value)
{
    avi_sweep_spec s = parse(text);
    assert_int_equal(s.keys, 1);
    assert_int_equal(s.key[0].count, count);
    assert_int_equal(s.runs, count);
    for (int i = 0; i < count; i++) assert_string_equal(s.key[0].value[i], value[i]);
    avi_sweep_spec_free(&s);
}

static void test_values(void **state)
{
    (void)state;
    expect_values("a.b=1|4|16", 3, (const char *[]){"1", "4", "16"});
    expect_values(" a.b = x y | z ", 2, (const char *[]){"x y", "z"});
    expect_values("a.b=1..5", 5, (const char *[]){"1", "2", "3", "4", "5"});
    expect_values("a.b=5..3", 3, (const char *[]){"5", "4", "3"});
    expect_values("a.b=-1..1", 3, (const char *[]){"-1", "0", "1"});
    expect_values("a.b=0.1..0.5..0.1", 5, (const char *[]){"0.1", "0.2", "0.3", "0.4", "0.5"});
    expect_values("a.b=1..6..2", 3, (const char *[]){"1", "3", "5"});
    expect_values("a.b=10..0..-5|7", 4, (const char *[]){"10", "5", "0", "7"});
    expect_values("a.b=1e-3|1.", 2, (const char *[]){"1e-3", "1."});
    expect_values("a.b=../data/x|1..x|..", 3, (const char *[]){"../data/x", "1..x", ".."});
    expect_values("a.b=7", 1, (const char *[]){"7"});
    expect_values("a.b=|64,64", 2, (const char *[]){"", "64,64"});
    expect_values(";a.b=window:1|next=2;", 2, (const char *[]){"window:1", "next=2"});
}

static void test_product(void **state)
{
    (void)state;
    avi_sweep_spec s = parse("inference.hidden=1|4|16; run.seed=1..5");
    char text[200], name[AVI_SWEEP_NAME];
    assert_int_equal(s.keys, 2);
    assert_int_equal(s.runs, 15);
    for (int64_t run = 0; run < 15; run++) {
        assert_string_equal(avi_sweep_spec_value(&s, run, 0), ((const char *[]){"1", "4", "16"})[run / 5]);
        assert_int_equal(atoi(avi_sweep_spec_value(&s, run, 1)), run % 5 + 1);
    }
    avi_sweep_spec_label(&s, 7, text, sizeof text);
    assert_string_equal(text, "inference.hidden=4 run.seed=3");
    avi_sweep_spec_name(&s, 7, name);
    assert_string_equal(name, "007_inference.hidden=4,run.seed=3");
    avi_sweep_spec_label(&s, 7, text, 12);
    assert_int_equal(strlen(text), 11);
    avi_sweep_spec_free(&s);
}

/* Folder names hold nothing that a shell, a file system or a reader of the table could trip over. */
static void test_names(void **state)
{
    (void)state;
    char name[AVI_SWEEP_NAME], longest[1000] = "a.b=", same[1000];
    avi_sweep_spec s = parse("data.path=/a b/../c*d.h5|x; inference.hidden=256, 128");
    avi_sweep_spec_name(&s, 0, name);
    assert_string_equal(name, "000_data.path=-ab-..-c-d.h5,inference.hidden=256-128");
    avi_sweep_spec_free(&s);
    memset(longest + 4, 'v', 900);
    snprintf(same, sizeof same, "%s|%sw", longest, "x");
    s = parse(same);
    avi_sweep_spec_name(&s, 0, name);
    assert_int_equal(strlen(name), AVI_SWEEP_NAME - 1);
    avi_sweep_spec_free(&s);
}

static void refuse(const char *text, int count, const char *const *words)
{
    static const char *const override[] = {"optim.steps=4"};
    avi_sweep_spec s;
    avi_error_clear();
    assert_int_equal(avi_sweep_spec_parse(text, 1, override, &s), AVI_ERR_USAGE);
    for (int i = 0; i < count; i++)
        if (!strstr(avi_error_text(), words[i])) fail_msg("'%s': no '%s' in: %s", text, words[i], avi_error_text());
    avi_sweep_spec_free(&s);
    avi_error_clear();
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("", 1, (const char *[]){"nothing to sweep over"});
    refuse(" ; ;", 1, (const char *[]){"nothing to sweep over"});
    refuse("run.seed", 1, (const char *[]){"'run.seed': no values"});
    refuse("seed=1|2", 1, (const char *[]){"'seed': not a key"});
    refuse(".seed=1", 1, (const char *[]){"not a key"});
    refuse("run.=1", 1, (const char *[]){"not a key"});
    refuse("r n.s=1", 1, (const char *[]){"not a key"});
    refuse("run.seed=1|2|1", 1, (const char *[]){"run.seed: the value '1' is given twice"});
    refuse("run.seed=1..3|2", 1, (const char *[]){"the value '2' is given twice"});
    refuse("run.seed=1;run.seed=2", 1, (const char *[]){"run.seed: given twice"});
    refuse("run.seed=1..5..0", 1, (const char *[]){"a step of 0 never gets from 1 to 5; use 1..5..1"});
    refuse("run.seed=1..5..-1", 1, (const char *[]){"use 1..5..1"});
    refuse("run.seed=1..9999|10000..19999|20000..29999", 1, (const char *[]){"run.seed: more than 10000 values"});
    refuse("run.seed=1..1e9", 1, (const char *[]){"at most 10000"});
    refuse("run.seed=1..101; a.b=1..101", 1, (const char *[]){"more than 10000 runs"});
    refuse("optim.steps=3|5", 1,
           (const char *[]){"optim.steps: swept, and given on the command line as optim.steps=4"});
    refuse("data.path=${HOME}", 1, (const char *[]){"not expanded here"});
    refuse("run.output=a|b; run.time_limit=3; checkpoint.resume=no", 3,
           (const char *[]){"run.output: belongs", "run.time_limit: belongs", "checkpoint.resume: belongs"});
    refuse("x=1; run.seed=1|1; run.output=3", 3,
           (const char *[]){"'x': not a key", "given twice", "run.output: belongs"}); /* all at once */
}

/* ---- derived configurations ---- */

static const avi_key keys[] = {
    {"a", "n", AVI_KEY_INT, "1", 0, 100, NULL, NULL, "a number"},
    {"a", "s", AVI_KEY_STRING, "", 0, 0, NULL, NULL, "a text"},
    {"a", "p", AVI_KEY_PATH, "", 0, 0, NULL, NULL, "a path"},
};
static const avi_key_table table = {.keys = keys, .count = 3};

static avi_config *new_config(void)
{
    avi_config *c = NULL;
    assert_int_equal(avi_config_create(&table, 1, &c), AVI_OK);
    return c;
}

static void test_derive(void **state)
{
    (void)state;
    static const char *const first[] = {"a.n=5", "a.s=${AVI_TEST_NAME}"}, *const more[] = {"a . n = 7"},
                             *const bad[] = {"a.n=x"};
    setenv("AVI_TEST_NAME", "before", 1);
    avi_config *base = new_config(), *c = new_config();
    assert_int_equal(avi_config_parse(base, "/somewhere/f.ini", "[a]\nn = 3\np = d.h5\n", 2, first), AVI_OK);
    setenv("AVI_TEST_NAME", "after", 1); /* the environment counts as it was read */
    assert_int_equal(avi_config_derive(c, base, 1, more), AVI_OK);
    assert_int_equal(avi_config_get_int(c, "a", "n"), 7);
    assert_string_equal(avi_config_get_string(c, "a", "s"), "before");
    assert_string_equal(avi_config_get_string(c, "a", "p"), "/somewhere/d.h5");
    assert_string_equal(avi_config_text(c), avi_config_text(base));
    assert_int_equal(avi_config_derive(c, base, 0, NULL), AVI_OK);
    assert_int_equal(avi_config_get_int(c, "a", "n"), 5);
    assert_int_equal(avi_config_derive(c, base, 1, bad), AVI_ERR_CONFIG);
    assert_non_null(strstr(avi_error_text(), "command line: [a] n: 'x' is not an integer"));
    avi_error_clear();
    /* A base that was refused serves when the mistake is replaced. */
    assert_int_equal(avi_config_parse(base, "f.ini", "[a]\nn = 1000\n", 0, NULL), AVI_ERR_CONFIG);
    avi_error_clear();
    assert_int_equal(avi_config_derive(c, base, 1, more), AVI_OK);
    assert_int_equal(avi_config_get_int(c, "a", "n"), 7);
    avi_config_destroy(&base);
    avi_config_destroy(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_product),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_derive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
