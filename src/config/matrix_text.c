#include "config/matrix_text.h"
#include "config/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The number that begins at `at` and ends before what separates numbers. */
static bool read_number(const char *at, double *value)
{
    char word[512];
    const size_t length = strcspn(at, ", \t;");
    if (length >= sizeof word) return false;
    memcpy(word, at, length);
    word[length] = '\0';
    return avi_number_real(word, value);
}

/* Numbers from `text` into out, where not NULL; sets the size. False: what stands at *text is no number, or rows differ
 * in length. */
static bool scan(const char **text, int64_t *rows, int64_t *cols, double *out)
{
    int64_t n = 0, in_row = 0;
    *rows = *cols = 0;
    for (const char *at = *text + strspn(*text, " \t");;) {
        *text = at;
        if (*at == ';' || !*at) {
            if (in_row == 0 || (*cols && *cols != in_row)) return false;
            *cols = in_row;
            (*rows)++;
            in_row = 0;
            if (!*at || !at[1 + strspn(at + 1, " \t")]) return true;
            at += 1 + strspn(at + 1, " \t");
            continue;
        }
        double value;
        if (!read_number(at, &value)) return false;
        if (out) out[n] = value;
        n++;
        in_row++;
        at += strcspn(at, ", \t;");
        const bool comma = at[strspn(at, " \t")] == ',';
        if (!avi_list_next(&at) || (comma && *at == ';')) return false;
    }
}

avi_status avi_matrix_read(const avi_config *config, const char *key, int64_t *rows, int64_t *cols, double **values)
{
    const char *text = avi_config_get_string(config, "model", key), *at = text;
    *values = NULL;
    if (!scan(&at, rows, cols, NULL))
        return avi_config_fail(config, "model", key,
                               "not a matrix at character %lld; use rows of equal length, such as 1, 0.1; 0, 1",
                               (long long)(at - text + 1));
    const size_t bytes = (size_t)(*rows * *cols) * sizeof **values;
    *values = malloc(bytes);
    if (!*values) return avi_fail_memory(bytes, "a matrix of the model");
    at = text;
    scan(&at, rows, cols, *values);
    return AVI_OK;
}

static avi_status refuse_size(const avi_config *config, const char *key, int64_t rows, int64_t cols, int64_t want_rows,
                              int64_t want_cols, double **values)
{
    free(*values);
    *values = NULL;
    return avi_config_fail(config, "model", key, "a matrix of %lld by %lld; use %lld by %lld%s", (long long)rows,
                           (long long)cols, (long long)want_rows, (long long)want_cols,
                           want_rows == want_cols ? ", or one number for a multiple of the identity" : "");
}

avi_status avi_matrix_read_sized(const avi_config *config, const char *key, int64_t rows, int64_t cols, double **values)
{
    int64_t r, c;
    AVI_TRY(avi_matrix_read(config, key, &r, &c, values));
    if (r == rows && c == cols) return AVI_OK;
    if (r != 1 || c != 1 || rows != cols) return refuse_size(config, key, r, c, rows, cols, values);
    const double factor = **values;
    free(*values);
    *values = calloc((size_t)(rows * cols), sizeof **values);
    if (!*values) return avi_fail_memory((size_t)(rows * cols) * sizeof **values, "a matrix of the model");
    for (int64_t i = 0; i < rows; i++) (*values)[i * cols + i] = factor;
    return AVI_OK;
}

avi_status avi_variances_read(const avi_config *config, const char *key, int64_t n, double **log_sd)
{
    int64_t rows, cols;
    double *given;
    AVI_TRY(avi_matrix_read(config, key, &rows, &cols, &given));
    avi_status status = AVI_OK;
    *log_sd = malloc((size_t)n * sizeof **log_sd);
    if (!*log_sd)
        status = avi_fail_memory((size_t)n * sizeof **log_sd, "variances of the model");
    else if (rows != 1 || (cols != n && cols != 1))
        status = avi_config_fail(config, "model", key, "%lld values; use %lld variances, or one for all",
                                 (long long)(rows * cols), (long long)n);
    for (int64_t i = 0; status == AVI_OK && i < n; i++) {
        const double variance = given[cols == 1 ? 0 : i];
        if (variance <= 0)
            status = avi_config_fail(config, "model", key, "%g is not a variance; use numbers above 0", variance);
        (*log_sd)[i] = 0.5 * log(variance);
    }
    free(given);
    if (status == AVI_OK) return AVI_OK;
    free(*log_sd);
    *log_sd = NULL;
    return status;
}
