/* Calls of the library that the example does not make: mistakes and their codes, rows that differ from rank to rank,
 * decoding against the parameters. Prints "ok", or what is wrong. */
#include "avi/run.h"

#ifdef OWN_MPI
#include <mpi.h>
#endif

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("rank %d, line %d: " #condition " (%s)\n", avi_comm_rank(comm), __LINE__, avi_error_text());        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { D = 5, L = 2, ROWS = 60 };

static const char text[] = "[run]\nprecision = double\n[model]\nname = ppca\nlatent = 2\nsimulate_width = 5\n[data]\n"
                           "source = model\nrows = 200\n[inference]\nfunction = polynomial\ndegree = 1\n[objective]\n"
                           "draws = 0\n[optim]\nmethod = lbfgs\nbatch = 0\nsteps = 200\n[log]\nimages = 0\n";

static double value_at(int64_t i) { return sin(1.7 * (double)i) * 2; }

static void mistakes(avi_comm *comm)
{
    avi_run *run = NULL;
    const char *const wrong[] = {"model.latnt=3"}, *const plugin[] = {"run.plugins=nowhere.so"};
    MUST(avi_run_open_text(comm, "text", text, 1, wrong, &run) == AVI_ERR_CONFIG);
    MUST(!run && strstr(avi_error_text(), "did you mean latent"));
    MUST(avi_run_open_text(comm, "text", text, 1, plugin, &run) == AVI_ERR_CONFIG);
    MUST(strstr(avi_error_text(), "nowhere.so"));
    MUST(avi_run_open(comm, "nowhere.ini", 0, NULL, &run) == AVI_ERR_NOINPUT);
    avi_run_close(&run);
}

static void rows_of_ranks(avi_comm *comm, avi_run *run)
{
    static double x[ROWS * D], all[ROWS * L], part[ROWS * L], elbo[ROWS], again[ROWS], sd[ROWS * L];
    const int64_t own = 3 + 4 * avi_comm_rank(comm);
    for (int i = 0; i < ROWS * D; i++) x[i] = value_at(i);
    MUST(avi_run_encode(run, ROWS, x, all, sd) == AVI_OK);
    MUST(avi_run_encode(run, own, x, part, NULL) == AVI_OK); /* as many as this rank has */
    MUST(!memcmp(all, part, (size_t)(own * L) * sizeof *all));
    MUST(avi_run_encode(run, 0, x, part, NULL) == AVI_OK);
    const int64_t first_entry[] = {0, 2, 3};
    MUST(avi_run_encode_groups(run, 2, first_entry, x, part, NULL) == AVI_ERR_CONFIG);
    MUST(strstr(avi_error_text(), "is a fit of rows of one width; use avi_run_encode"));
    const avi_run_values first = {.elbo = elbo}, second = {.elbo = again};
    MUST(avi_run_evaluate(run, ROWS, x, &first) == AVI_OK && avi_run_evaluate(run, ROWS, x, &second) == AVI_OK);
    MUST(!memcmp(elbo, again, sizeof elbo));
    x[7 * D + 2] = NAN;
    MUST(avi_run_encode(run, ROWS, x, all, sd) == AVI_ERR_DATA && strstr(avi_error_text(), "row 7, column 2"));
}

/* E[x | z] = W z + b, with the blocks of the model. */
static void decoding(avi_comm *comm, avi_run *run)
{
    double w[D * L], mu[D], z[3 * L] = {0.5, -1, 2, 0, -0.3, 0.7}, x[3 * D];
    int64_t rows, cols;
    MUST(avi_run_block(run, "decoder.weight", &rows, &cols, NULL) == AVI_OK && rows * cols == D * L);
    MUST(avi_run_block(run, "decoder.weight", &rows, &cols, w) == AVI_OK && rows == D);
    MUST(avi_run_block(run, "decoder.bias", &rows, &cols, mu) == AVI_OK && rows * cols == D);
    MUST(avi_run_block(run, "encoder.weight", &rows, &cols, mu) == AVI_ERR_USAGE);
    MUST(avi_run_decode(run, 3, z, x) == AVI_OK);
    for (int n = 0; n < 3; n++)
        for (int d = 0; d < D; d++)
            MUST(fabs(x[n * D + d] - mu[d] - w[d * L] * z[n * L] - w[d * L + 1] * z[n * L + 1]) < 1e-12);
}

/* Images are numbers from 0 to 1, however the fit holds them (bytes here): the means of a polynomial of degree 1 are an
 * affine map of them. */
static void images(avi_comm *comm, const char *output)
{
    enum { PIXELS = 28 * 28 };
    static double x[PIXELS], weight[4 * PIXELS];
    double shift[4], mean[2], log_sd[2];
    int64_t rows, cols;
    avi_run *run = NULL;
    const char *const overrides[] = {output,         "model.name=vae",   "model.hidden=3",    "data.source=strokes",
                                     "data.rows=40", "data.test_rows=0", "objective.draws=1", "optim.method=adam",
                                     "optim.steps=3"};
    for (int i = 0; i < PIXELS; i++) x[i] = 0.5 + 0.5 * sin(0.3 * i);
    MUST(avi_run_open_text(comm, "text", text, 9, overrides, &run) == AVI_OK);
    MUST(avi_run_task(run) == AVI_OK && avi_run_load(run) == AVI_OK);
    MUST(avi_run_block(run, "polynomial.coefficients", &rows, &cols, weight) == AVI_OK && rows == 4 && cols == PIXELS);
    MUST(avi_run_block(run, "polynomial.constant", &rows, &cols, shift) == AVI_OK && rows * cols == 4);
    MUST(avi_run_encode(run, 1, x, mean, log_sd) == AVI_OK);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < PIXELS; i++) shift[k] += weight[k * PIXELS + i] * x[i];
        MUST(fabs(shift[k] - (k < 2 ? mean[k] : log_sd[k - 2])) < 1e-9);
    }
    x[5] = 3;
    MUST(avi_run_encode(run, 1, x, mean, log_sd) == AVI_ERR_DATA && strstr(avi_error_text(), "from 0 to 1"));
    avi_run_close(&run);
}

int main(int argc, char **argv)
{
    avi_comm *comm = NULL;
    avi_run *run = NULL;
    avi_run_about about;
    double unused;
    if (argc < 2) return 1;
#ifdef OWN_MPI
    MPI_Comm mine = MPI_COMM_NULL;
    if (avi_comm_join(&mine, &comm) != AVI_ERR_INTERNAL || MPI_Init(&argc, &argv) != MPI_SUCCESS) return 1;
    MPI_Comm_dup(MPI_COMM_WORLD, &mine);
    if (avi_comm_join(&mine, &comm) != AVI_OK) return 1;
#else
    if (avi_comm_start(&argc, &argv, &comm) != AVI_OK) return 1;
#endif
    mistakes(comm);
    char output[1024];
    const char *const overrides[] = {output};
    snprintf(output, sizeof output, "run.output=%s", argv[1]);
    MUST(avi_run_open_text(comm, "text", text, 1, overrides, &run) == AVI_OK);
    MUST(avi_run_encode(run, 1, &unused, &unused, NULL) == AVI_ERR_INTERNAL);
    MUST(avi_run_load(run) == AVI_ERR_NOINPUT);
    MUST(avi_run_task(run) == AVI_OK && avi_run_load(run) == AVI_OK && avi_run_about_of(run, &about) == AVI_OK);
    MUST(about.rows == 200 && about.width == D && about.latent == L && about.steps > 0 && isfinite(about.elbo_train));
    rows_of_ranks(comm, run);
    decoding(comm, run);
    MUST(avi_run_load(run) == AVI_OK); /* once more */
    avi_run_close(&run);
    snprintf(output, sizeof output, "run.output=%s_images", argv[1]);
    images(comm, output);
    if (avi_comm_rank(comm) == 0) printf("ok\n");
#ifdef OWN_MPI
    avi_comm_leave(&comm);
    MPI_Comm_free(&mine);
    MPI_Finalize();
#else
    avi_comm_finish(&comm);
#endif
    return 0;
}
