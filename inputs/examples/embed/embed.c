/* A program of its own that fits a model, and looks at rows that the fit has not seen.
 *
 *     embed FILE.ini ROWS.txt [section.key=value ...]
 *
 * fits what FILE.ini says (a fit that is done is not done again), and prints for each row of ROWS.txt (numbers between
 * blanks, one row per line) the mean and standard deviation of q(z), the ELBO, and log p(x) by importance weighting. */
#include "avi/run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* All numbers of a text file. Owner of *x: caller. */
static avi_status read_numbers(const char *path, double **x, int64_t *count)
{
    FILE *file = fopen(path, "r");
    int64_t room = 0;
    double number;
    int got;
    *x = NULL;
    *count = 0;
    if (!file) return avi_fail(AVI_ERR_NOINPUT, "%s: cannot be read; use a text file with a row per line", path);
    while ((got = fscanf(file, "%lf", &number)) == 1) {
        if (*count == room) {
            room = 2 * room + 1024;
            double *more = realloc(*x, (size_t)room * sizeof *more);
            if (!more) break;
            *x = more;
        }
        (*x)[(*count)++] = number;
    }
    fclose(file);
    return got == EOF ? AVI_OK : avi_fail(AVI_ERR_DATA, "%s: value %lld is no number", path, (long long)*count + 1);
}

static avi_status print_rows(avi_run *run, const avi_run_about *about, int64_t rows, const double *x)
{
    const int64_t latent = about->latent;
    double *room = malloc((size_t)(rows * (2 * latent + 4)) * sizeof *room);
    if (!room) return avi_fail_memory((size_t)(rows * (2 * latent + 4)) * sizeof *room, "the rows");
    double *mean = room, *log_sd = mean + rows * latent, *elbo = log_sd + rows * latent, *error = elbo + rows,
           *log_p = error + rows, *khat = log_p + rows;
    const avi_run_values values = {.elbo = elbo, .elbo_error = error, .log_p = log_p, .khat = khat};
    avi_status status = avi_run_encode(run, rows, x, mean, log_sd);
    if (status == AVI_OK) status = avi_run_evaluate(run, rows, x, &values);
    for (int64_t r = 0; r < rows && status == AVI_OK; r++) {
        printf("row %lld: z", (long long)r);
        for (int64_t l = 0; l < latent; l++) printf(" %.6f +- %.6f", mean[r * latent + l], exp(log_sd[r * latent + l]));
        printf("  ELBO %.6f +- %.6f  log p(x) %.6f  k-hat %.3f\n", elbo[r], error[r], log_p[r], khat[r]);
    }
    free(room);
    return status;
}

static avi_status fit_and_look(avi_comm *comm, const char *path, const char *rows_path, int count,
                               const char *const *overrides)
{
    avi_run *run = NULL;
    avi_run_about about;
    double *x = NULL;
    int64_t values = 0;
    avi_status status = avi_run_open(comm, path, count, overrides, &run);
    if (status == AVI_OK) status = avi_run_task(run);
    if (status == AVI_OK) status = avi_run_load(run);
    if (status == AVI_OK) status = avi_run_about_of(run, &about);
    /* What follows is of one rank; the others learn how it went. */
    if (status == AVI_OK && avi_comm_rank(comm) == 0) {
        status = read_numbers(rows_path, &x, &values);
        if (status == AVI_OK && values % about.width)
            status = avi_fail(AVI_ERR_DATA, "%s: %lld values are no rows of %lld", rows_path, (long long)values,
                              (long long)about.width);
        if (status == AVI_OK) status = print_rows(run, &about, values / about.width, x);
    }
    status = avi_agree(comm, status);
    free(x);
    avi_run_close(&run);
    return status;
}

int main(int argc, char **argv)
{
    avi_comm *comm = NULL;
    if (avi_comm_start(&argc, &argv, &comm) != AVI_OK) {
        fprintf(stderr, "embed: %s\n", avi_error_text());
        return 1;
    }
    avi_status status = AVI_ERR_USAGE;
    if (argc < 3)
        (void)avi_fail(status, "usage: embed FILE.ini ROWS.txt [section.key=value ...]");
    else
        status = fit_and_look(comm, argv[1], argv[2], argc - 3, (const char *const *)argv + 3);
    if (status != AVI_OK && avi_comm_rank(comm) == 0) fprintf(stderr, "embed: %s\n", avi_error_text());
    avi_comm_finish(&comm);
    return (int)status;
}
