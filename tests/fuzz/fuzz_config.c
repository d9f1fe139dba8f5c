/* Any bytes as a configuration: the text up to a line "%%" is the file, the lines behind it are overrides. Whatever is
 * accepted must read back from its effective text to the same values. */
#include "config/config_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const avi_key always[] = {
    {"run", "task", AVI_KEY_CHOICE, "fit", 0, 0, "fit | exact", NULL, "What to do."},
    {"run", "seed", AVI_KEY_INT, "1", 0, 9.3e18, NULL, NULL, "Seed."},
    {"run", "output", AVI_KEY_STRING, "runs/a", 0, 0, NULL, NULL, "Folder."},
    {"run", "reproducible", AVI_KEY_BOOL, "no", 0, 0, NULL, NULL, "Same bits."},
    {"data", "path", AVI_KEY_PATH, "", 0, 0, NULL, NULL, "File."},
    {"model", "name", AVI_KEY_CHOICE, "vae", 0, 0, "vae | hmm", NULL, "Model."},
    {"optim", "learning_rate", AVI_KEY_REAL, "1e-3", 1e-308, 10, NULL, NULL, "Step size."},
    {"optim", "shift", AVI_KEY_REAL, "0", 0, 0, NULL, NULL, "Any number."},
};
static const avi_key vae[] = {
    {"model", "hidden", AVI_KEY_INT_LIST, "400", 1, 100000, NULL, "units", "Widths."},
    {"model", "skips", AVI_KEY_INT_LIST, "", 0, 100, NULL, NULL, "Layers."},
};
static const avi_key hmm[] = {{"model", "tau", AVI_KEY_REAL, "1", 0, 10, NULL, NULL, "Scale."}};
static const avi_key_table tables[] = {{always, 8, NULL, NULL, NULL, false, NULL},
                                       {vae, 2, "model", "name", "vae", false, NULL},
                                       {hmm, 1, "model", "name", "hmm", false, NULL}};

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "fuzz_config: %s: %s\n", what, avi_error_text());
    abort();
}

static void read_back(const avi_config *config)
{
    avi_config *again = NULL;
    char *text = avi_config_effective(config);
    char *unused = avi_config_unused(config);
    must(text && unused, "no memory");
    must(avi_config_create(tables, 3, &again) == AVI_OK, "create");
    must(avi_config_parse(again, "again.ini", text, 0, NULL) == AVI_OK, "the effective text is refused");
    char *difference = avi_config_difference(again, text, NULL);
    must(difference && !*difference, "the effective text differs");
    must(avi_config_hash(again, NULL) == avi_config_hash(config, NULL), "another checksum");
    free(difference);
    free(unused);
    free(text);
    avi_config_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 8 };
    const char *overrides[MOST];
    int count = 0;
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    char *more = strstr(text, "\n%%\n");
    size_t text_bytes = size;
    if (more) {
        text_bytes = (size_t)(more - text);
        *more = '\0';
        for (char *line = strtok(more + 4, "\n"); line && count < MOST; line = strtok(NULL, "\n"))
            overrides[count++] = line;
    }

    avi_config *config = NULL;
    avi_source source;
    avi_error_clear();
    must(avi_config_create(tables, 3, &config) == AVI_OK, "create");
    must(avi_source_create("fuzz/a.ini", text, text_bytes, count, overrides, &source) == AVI_OK, "source");
    const avi_status status = avi_config_take(config, &source);
    must(status == AVI_OK || status == AVI_ERR_CONFIG, "another status than OK or CONFIG");
    must((status == AVI_OK) == !*avi_error_text(), "a message without a mistake, or the other way round");
    char *difference = avi_config_difference(config, text, NULL); /* any text may stand in a damaged checkpoint */
    free(difference);
    if (status == AVI_OK) read_back(config);
    avi_config_destroy(&config);
    free(text);
    return 0;
}
