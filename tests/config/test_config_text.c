/* Texts: the effective configuration reads back as the same run; checksum, difference, help, reference. */
#include "test_config.h"

#include <unistd.h>

static avi_config *parse(const char *text, const char *const *overrides)
{
    avi_config *c = test_create();
    if (test_parse(c, text, overrides) != AVI_OK) fail_msg("%s", avi_error_text());
    return c;
}

static void writes_the_effective_text(void **state)
{
    (void)state;
    avi_config *c = parse("[model]\nname = saw ; comment\n[data]\npath = /d/x.h5\n[optim]\nbatch=1e3\n",
                          (const char *[]){"run.seed=5", "run.note=$${A} b", "model.likelihood=unused", NULL});
    char *text = avi_config_effective(c);
    assert_string_equal(text, "[run]\n"
                              "task = fit ; default\n"
                              "seed = 5 ; command line\n"
                              "output = runs/a ; default\n"
                              "note = $${A} b ; command line\n"
                              "time_limit = 0 ; default\n"
                              "reproducible = no ; default\n"
                              "\n[data]\n"
                              "path = /d/x.h5 ; x/test.ini:4\n"
                              "\n[model]\n"
                              "name = saw ; x/test.ini:2\n"
                              "latent = 2 ; default\n"
                              "tau = 1 ; default\n"
                              "\n[inference]\n"
                              "function = mlp ; default\n"
                              "hidden = 400 ; default\n"
                              "skips =  ; default\n"
                              "\n[optim]\n"
                              "learning_rate = 0.001 ; default\n"
                              "offset = 0 ; default\n"
                              "batch = 1000 ; x/test.ini:6\n"
                              "shift = 0 ; default\n");
    free(text);
    avi_config_destroy(&c);
}

/* Values that are hard to write: the effective text gives them back, also from another folder. */
static void reads_its_effective_text_back(void **state)
{
    (void)state;
    char longer[3000], override[3100];
    memset(longer, 'p', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    snprintf(override, sizeof override, "data.path=%s", longer);
    setenv("AVI_TEST_ODD", "${HOME} $${ = [x] #y a;b $", 1);
    avi_config *c =
        parse("[run]\nnote = ${AVI_TEST_ODD}\noutput = # [z] = : \xC3\xA9 \xFF\n[optim]\n"
              "learning_rate = 0.1000000000000000055511151231257827\noffset = -4.9406564584124654e-324\n"
              "shift = -9223372036854775808\n[inference]\nskips = 0 100\n[model]\nlikelihood=gaussian\nnoise_sd=0.3\n",
              (const char *[]){override, NULL});
    assert_string_equal(avi_config_get_string(c, "run", "note"), "${HOME} $${ = [x] #y a;b $");
    char *text = avi_config_effective(c);
    avi_config *again = test_create();
    avi_error_clear();
    if (avi_config_parse(again, "/elsewhere/config.ini", text, 0, NULL) != AVI_OK) fail_msg("%s", avi_error_text());
    assert_true(avi_config_hash(again, NULL) == avi_config_hash(c, NULL));
    assert_string_equal(avi_config_get_string(again, "run", "note"), "${HOME} $${ = [x] #y a;b $");
    assert_string_equal(avi_config_get_string(again, "run", "output"), "# [z] = : \xC3\xA9 \xFF");
    assert_string_equal(avi_config_get_string(again, "data", "path"), avi_config_get_string(c, "data", "path"));
    assert_true(avi_config_get_real(again, "optim", "learning_rate") == 0.1);
    assert_true(avi_config_get_real(again, "optim", "offset") == -4.9406564584124654e-324);
    assert_true(avi_config_get_int(again, "optim", "shift") == INT64_MIN);
    char *difference = avi_config_difference(again, text, NULL);
    assert_string_equal(difference, "");
    free(difference);
    free(text);
    avi_config_destroy(&c);
    avi_config_destroy(&again);
}

static uint64_t hash_of(const char *text, const char *const *except)
{
    avi_config *c = parse(text, NULL);
    const uint64_t hash = avi_config_hash(c, except);
    avi_config_destroy(&c);
    return hash;
}

static void hashes_values_in_force(void **state)
{
    (void)state;
    const uint64_t plain = hash_of("", NULL);
    assert_true(plain == hash_of("[run]\nseed = 1\n", NULL)); /* given or default: the same value */
    assert_true(plain == hash_of("[optim]\nbatch = 1_024.0e0\n", NULL));
    assert_true(plain == hash_of("[model]\ntau = 3\n", NULL)); /* not in force */
    assert_true(plain != hash_of("[run]\nseed = 2\n", NULL));
    assert_true(hash_of("[run]\noutput = a\nnote = b\n", NULL) != hash_of("[run]\noutput = b\nnote = a\n", NULL));
    const char *const seed[] = {"run.seed", NULL}, *const all[] = {"ru.*", "run.*", "x.seed", NULL};
    assert_true(hash_of("[run]\nseed = 2\n", seed) == hash_of("", seed));
    assert_true(hash_of("[run]\nseed = 2\n", seed) == plain); /* what is left out counts as what is at its default */
    assert_true(hash_of("[run]\nseed = 2\ntask = exact\n", seed) != hash_of("", seed));
    assert_true(hash_of("[run]\nseed = 2\ntask = exact\n", all) == hash_of("", all));
    assert_true(hash_of("[optim]\nshift = 2\n", all) != hash_of("", all));
}

static void tells_the_difference(void **state)
{
    (void)state;
    avi_config *old = parse("[run]\nseed = 2\n[model]\nlatent = 30\n[data]\npath = /a\n", NULL);
    char *there = avi_config_effective(old);
    avi_config *c = parse("[run]\nnote = $${x}\n[optim]\nbatch=2", NULL);
    const char *const except[] = {"data.*", "optim.batch", NULL};
    char *text = avi_config_difference(c, there, except);
    assert_string_equal(text, "[run] seed: '1' here, '2' there\n"
                              "[run] note: '${x}' here, '' there\n"
                              "[model] latent: '20' here, '30' there\n");
    free(text);
    free(there);
    /* A key that the other program did not know yet was at its default; and the other text may be damaged. */
    text = avi_config_difference(c, "[run]\nnote = $${x}\nnonsense\n[optim]\nbatch = 2 ; default\nlearning_rate = 1e-3",
                                 NULL);
    assert_string_equal(text, "");
    free(text);
    avi_config_destroy(&old);
    avi_config_destroy(&c);
}

/* What `print` writes. Owner: caller. */
static char *printed(void (*print)(const avi_config *, FILE *), const avi_config *c)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    print(c, file);
    const long size = ftell(file);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    rewind(file);
    assert_int_equal(fread(text, 1, (size_t)size, file), size);
    fclose(file);
    return text;
}

static void help_model(const avi_config *c, FILE *out) { assert_int_equal(avi_config_help(c, "model", out), AVI_OK); }
static void help_optim(const avi_config *c, FILE *out) { avi_config_help(c, "optim", out); }
static void help_wrong(const avi_config *c, FILE *out)
{
    assert_int_equal(avi_config_help(c, "modl", out), AVI_ERR_USAGE);
}
static void help_all(const avi_config *c, FILE *out) { avi_config_help(c, NULL, out); }

static void helps(void **state)
{
    (void)state;
    avi_config *c = test_create();
    char *text = printed(help_model, c);
    assert_string_equal(text, "[model]\n"
                              "  name = vae                     (choice: vae | hmm | saw)\n"
                              "      The model.\n"
                              "\n  ; with [model] name = vae\n"
                              "  latent = 20                    (integer, 1 .. 1000)\n"
                              "      Dimensions of z.\n"
                              "  likelihood = bernoulli         (choice: bernoulli | gaussian)\n"
                              "      p(x | z).\n"
                              "\n  ; with [model] likelihood = gaussian\n"
                              "  noise_sd = 0.1                 (real, 0 .. 100)\n"
                              "      Standard deviation of x.\n"
                              "\n  ; with [model] name = hmm | saw\n"
                              "  latent = 2                     (integer, 1 .. 3)\n"
                              "      Dimensions of the state.\n"
                              "  tau = 1                        (real, 0 .. 10)\n"
                              "      Scale of a step.\n");
    free(text);
    text = printed(help_optim, c);
    assert_non_null(strstr(text, "learning_rate = 1e-3           (real, above 0)\n"));
    assert_non_null(strstr(text, "batch = 1_024                  (integer, 0 .. 1000000000, rows)\n"));
    free(text);
    text = printed(help_wrong, c);
    assert_string_equal(text,
                        "[modl]: unknown section; did you mean model?\nsections: run data model inference optim\n");
    free(text);
    text = printed(help_all, c);
    for (int t = 0; t < test_table_count; ++t)
        for (int k = 0; k < test_tables[t].count; ++k) {
            assert_non_null(strstr(text, test_tables[t].keys[k].name));
            assert_non_null(strstr(text, test_tables[t].keys[k].doc));
        }
    free(text);
    avi_config_destroy(&c);
}

/* The reference shows defaults whatever was read, and reads as the default run. */
static void writes_a_reference(void **state)
{
    (void)state;
    avi_config *c = parse("[model]\nname = hmm\n[run]\nseed = 8", NULL);
    char *text = printed(avi_config_reference, c);
    assert_non_null(strstr(text, "\n; Seed of all random numbers. (integer, at least 0)\nseed = 1\n"));
    assert_non_null(
        strstr(text, "\n; with [model] name = vae\n; Dimensions of z. (integer, 1 .. 1000)\nlatent = 20\n"));
    assert_non_null(strstr(
        text, "\n; with [model] name = hmm | saw\n; Dimensions of the state. (integer, 1 .. 3)\n; latent = 2\n"));
    assert_non_null(strstr(text, "\nskips =\n"));
    avi_config_destroy(&c);
    c = parse(text, NULL);
    assert_true(avi_config_hash(c, NULL) == hash_of("", NULL));
    char *unused = avi_config_unused(c);
    assert_string_equal(unused, "");
    free(unused);
    free(text);
    avi_config_destroy(&c);
}

const struct CMUnitTest test_texts[] = {
    cmocka_unit_test(writes_the_effective_text),
    cmocka_unit_test(reads_its_effective_text_back),
    cmocka_unit_test(hashes_values_in_force),
    cmocka_unit_test(tells_the_difference),
    cmocka_unit_test(helps),
    cmocka_unit_test(writes_a_reference),
};
const size_t test_texts_count = sizeof test_texts / sizeof *test_texts;
