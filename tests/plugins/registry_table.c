/* Prints what every model of the registry can do, as its table says, one JSON object per line: what tests in Python ask
 * in place of names. `registry_table functions` does so for inference functions. Plug-ins of AVI_TEST_PLUGINS are in
 * it. */
#include "avi/infer.h"
#include "avi/model.h"
#include "registry_support.h"

#include <string.h>

static void must(avi_status status)
{
    if (status == AVI_OK) return;
    fprintf(stderr, "registry_table: %s\n", avi_error_text());
    exit(1);
}

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) *text == '\n' ? fputs("\\n", stdout) : (void)putchar(*text);
    putchar('"');
}

static void print_model(const avi_model_ops *ops)
{
    static const char *const support[] = {"real", "unit", "binary", "binary", "count", "binary", "binary"};
    static const char *const coupling[] = {"independent", "chain", "dense"};
    char text[1024];
    avi_config *config = test_config_new();
    avi_model *m = NULL;
    snprintf(text, sizeof text, "[model]\nname = %s\n%s", ops->name, ops->small ? ops->small : "");
    must(avi_config_parse(config, "registry_table", text, 0, NULL));
    const int64_t width = ops->simulated_width ? ops->simulated_width(config) : avi_model_simulates(ops) ? 1 : 6;
    const avi_shape shape = {.rows = 100, .width = width, .height = 1, .columns = width, .type = AVI_F64, .scale = 1};
    must(avi_model_create(config, &shape, &m));
    const avi_support of_column = ops->support ? ops->support(m, 0) : AVI_SUPPORT_REAL;
    printf("{\"name\": \"%s\", \"width\": %lld, \"latent\": %lld, \"coupling\": \"%s\", \"lookahead\": %d, ", ops->name,
           (long long)width, (long long)m->latent, coupling[ops->coupling], ops->lookahead);
    printf("\"support\": \"%s\", \"simulates\": %s, \"reconstructs\": %s, \"closed_form\": %s, \"small\": ",
           support[of_column < AVI_SUPPORT_LEVELS ? of_column : AVI_SUPPORT_LEVELS],
           avi_model_simulates(ops) ? "true" : "false", ops->reconstruct ? "true" : "false",
           avi_registry_find(test_registry(), AVI_KIND_CLOSED_FORM, ops->name) ? "true" : "false");
    print_text(ops->small ? ops->small : "");
    printf(", \"ragged\": ");
    print_text(ops->small_ragged ? ops->small_ragged : "");
    printf("}\n");
    avi_model_destroy(&m);
    avi_config_destroy(&config);
}

static void print_function(const avi_infer_ops *ops)
{
    printf("{\"name\": \"%s\", \"features\": %s, \"small\": ", ops->name, ops->features ? "true" : "false");
    print_text(ops->small ? ops->small : "");
    printf("}\n");
}

int main(int argc, char **argv)
{
    const bool functions = argc > 1 && !strcmp(argv[1], "functions");
    for (int i = 0; functions && i < avi_registry_count(test_registry(), AVI_KIND_INFER); i++)
        print_function(avi_registry_at(test_registry(), AVI_KIND_INFER, i));
    if (functions) return 0;
    for (int i = 0; i < avi_registry_count(test_registry(), AVI_KIND_MODEL); i++)
        print_model(avi_registry_at(test_registry(), AVI_KIND_MODEL, i));
    return 0;
}
