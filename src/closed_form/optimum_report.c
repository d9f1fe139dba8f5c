/* What an answer says: fields of /exact, and a table. */
#include "closed_form/optimum.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

avi_status avi_optimum_scalar(avi_optimum *a, const char *name, double value, const char *units,
                              const char *description)
{
    avi_status status = AVI_OK;
    double *copy = avi_optimum_memory(a, 1, &status);
    char *path = avi_fields_text(&a->fields, "/exact/%s", name), *text = avi_fields_text(&a->fields, "%s", description);
    AVI_TRY(status);
    if (!path || !text) return avi_fail_memory(512, "exact answers");
    *copy = value;
    return avi_fields_add(
        &a->fields,
        (avi_field){.path = path, .type = AVI_F64, .data = copy, .description = text, .units = units, .axes = ""});
}

static bool has_loss(const avi_optimum *a) { return a->s->model->ops->loss_offset != NULL; }

static double loss_of(const avi_optimum *a, double elbo)
{
    return -elbo + a->s->model->ops->loss_offset(a->s->model, a->s->partition.rows);
}

static const char LOSS_UNITS[] = "nats, the paper's constants left out";

/* elbo_NAME, gap_NAME, loss_NAME. */
static avi_status add_numbers(avi_optimum *a, const char *name, double gap, const char *what)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "elbo_%s", name);
    snprintf(text, sizeof text, "ELBO of %s, q(theta) at its own optimum beside it", what);
    AVI_TRY(avi_optimum_scalar(a, path, a->elbo - gap, "nats", text));
    snprintf(path, sizeof path, "gap_%s", name);
    snprintf(text, sizeof text, "ELBO of the F-VI optimum - ELBO of %s", what);
    AVI_TRY(avi_optimum_scalar(a, path, gap, "nats", text));
    if (!has_loss(a)) return AVI_OK;
    snprintf(path, sizeof path, "loss_%s", name);
    snprintf(text, sizeof text, "loss of %s in the unit of Margossian & Blei's code", what);
    return avi_optimum_scalar(a, path, loss_of(a, a->elbo - gap), LOSS_UNITS, text);
}

static avi_status add_coefficients(avi_optimum *a, const avi_best_polynomial *c, const char *what)
{
    char *path = avi_fields_text(&a->fields, "/exact/coefficients_%s", c->name);
    char *text = avi_fields_text(&a->fields, "means of %s: weights of the first rows of /exact/monomials", what);
    if (!c->coefficient || !a->monomial) return AVI_OK;
    if (!path || !text) return avi_fail_memory(512, "exact answers");
    return avi_fields_add(&a->fields, (avi_field){.path = path,
                                                  .type = AVI_F64,
                                                  .rank = 2,
                                                  .dims = {c->features, a->latent},
                                                  .data = c->coefficient,
                                                  .description = text,
                                                  .units = "",
                                                  .axes = "monomial, dimension"});
}

/* What the coefficients multiply. */
static avi_status add_monomials(avi_optimum *a)
{
    if (!a->monomial) return AVI_OK;
    AVI_TRY(
        avi_fields_add(&a->fields, (avi_field){.path = "/exact/monomials",
                                               .type = AVI_I64,
                                               .rank = 2,
                                               .dims = {a->monomials, a->width},
                                               .data = a->monomial,
                                               .description = "exponents of each monomial in the values of the domain, "
                                                              "each less domain_mean and divided by domain_sd",
                                               .units = "",
                                               .axes = "monomial, domain_value"}));
    avi_field f = {.path = "/exact/domain_mean",
                   .type = AVI_F64,
                   .rank = 1,
                   .dims = {a->width},
                   .data = a->domain_mean,
                   .description = "mean of each value of the domain over all rows",
                   .units = "",
                   .axes = "domain_value"};
    AVI_TRY(avi_fields_add(&a->fields, f));
    f.path = "/exact/domain_sd";
    f.data = a->domain_sd;
    f.description = "standard deviation of each value of the domain over all rows; 1 where it never changes";
    return avi_fields_add(&a->fields, f);
}

static avi_status add_class(avi_optimum *a, const avi_best_polynomial *c)
{
    char what[160], name[64];
    const char *domain = avi_config_get_string(a->s->config, "inference", "domain");
    if (c->left_out) return AVI_OK;
    if (!strcmp(c->name, "constant"))
        snprintf(what, sizeof what, "the best constant inference function");
    else
        snprintf(what, sizeof what, "the best polynomial of %s in the domain %s (mean and log sd)", c->name, domain);
    AVI_TRY(add_numbers(a, c->name, c->gap, what));
    AVI_TRY(add_coefficients(a, c, what));
    if (c->gap_means == c->gap) return AVI_OK;
    snprintf(name, sizeof name, "gap_means_%s", c->name);
    return avi_optimum_scalar(a, name, c->gap_means, "nats",
                              "the part of that gap that is left with the optimal variance in every row");
}

static avi_status add_rows(avi_optimum *a)
{
    const int64_t rows = a->s->partition.rows;
    avi_field f = {.path = "/exact/mean",
                   .type = AVI_F64,
                   .rank = 2,
                   .dims = {rows, a->latent},
                   .data = a->mean + a->latent,
                   .distributed = true,
                   .description = "mean of q(z_n) at the F-VI optimum, rows in the order of the data as given",
                   .units = "",
                   .axes = "row, dimension"};
    AVI_TRY(avi_fields_add(&a->fields, f));
    f.path = "/exact/log_sd";
    f.data = a->log_sd;
    f.description = "log standard deviation of q(z_n) at the F-VI optimum, rows in the order of the data as given";
    return avi_fields_add(&a->fields, f);
}

static avi_status add_theta(avi_optimum *a)
{
    if (!a->thetas) return AVI_OK;
    const bool gaussian = a->s->problem.global_gaussian;
    AVI_TRY(avi_optimum_scalar(a, "theta_mean", a->theta_mean, "",
                               gaussian ? "mean of q(theta) at the F-VI optimum" : "theta at the F-VI optimum"));
    if (!gaussian) return AVI_OK;
    return avi_optimum_scalar(a, "theta_sd", 1 / sqrt(a->theta_precision), "",
                              "standard deviation of q(theta) at the F-VI optimum");
}

avi_status avi_optimum_fields(avi_optimum *a, const avi_fit_comparison *fit)
{
    AVI_TRY(add_rows(a));
    AVI_TRY(add_theta(a));
    AVI_TRY(
        avi_optimum_scalar(a, "elbo", a->elbo, "nats", "ELBO of the F-VI optimum, all normalizing constants included"));
    AVI_TRY(avi_optimum_scalar(a, "log_evidence", a->log_evidence, "nats", a->evidence));
    AVI_TRY(avi_optimum_scalar(a, "approximation_gap", a->log_evidence - a->elbo, "nats",
                               "log_evidence - elbo: what independent factors cost"));
    if (has_loss(a))
        AVI_TRY(avi_optimum_scalar(a, "loss", loss_of(a, a->elbo), LOSS_UNITS,
                                   "loss of the F-VI optimum in the unit of Margossian & Blei's code"));
    for (int c = 0; c < a->classes; c++) AVI_TRY(add_class(a, &a->class[c]));
    AVI_TRY(add_monomials(a));
    if (!fit) return AVI_OK;
    AVI_TRY(add_numbers(a, "fit", fit->gap, fit->estimated ? "the fit, by its last evaluation" : "the fit"));
    AVI_TRY(avi_optimum_scalar(a, "evidence_gap_fit", fit->evidence_gap, "nats", "log_evidence - the ELBO of the fit"));
    return avi_optimum_scalar(a, "gap_fit_error", fit->error, "nats",
                              "standard error of gap_fit by the draws of the last evaluation; 0 where there are none");
}

/* ---- the table ---- */

/* gap NAN: not an ELBO. */
static void print_line(const avi_optimum *a, const char *name, double elbo, double gap, const char *note)
{
    printf("  %-34s %18.6f %14.6f", name, elbo, elbo / (double)a->s->partition.rows);
    if (isnan(gap))
        printf(" %14s", "");
    else
        printf(fabs(gap) < 5e-7 || fabs(gap) >= 1e-3 ? " %14.6f" : " %14.3e", gap);
    if (has_loss(a) && !isnan(gap)) printf(" %14.4f", loss_of(a, elbo));
    printf("%s%s\n", *note ? "  " : "", note);
}

static void print_classes(const avi_optimum *a)
{
    for (int c = 0; c < a->classes; c++) {
        const avi_best_polynomial *k = &a->class[c];
        char name[64];
        int n = snprintf(name, sizeof name, "best %s", k->name);
        for (int i = 0; i < n; i++)
            if (name[i] == '_') name[i] = ' ';
        if (k->features > 1) snprintf(name + n, sizeof name - (size_t)n, ", %" PRId64 " coefficients", k->features);
        if (k->left_out)
            printf("  %-34s %18s  (%s)\n", name, "-", k->left_out);
        else
            print_line(a, name, a->elbo - k->gap, k->gap, "");
    }
}

void avi_optimum_print(const avi_optimum *a, const avi_fit_comparison *fit)
{
    const avi_session *s = a->s;
    if (avi_comm_rank(s->comm) || s->options->verbosity == 0) return;
    printf("\nExact answers: model %s, %" PRId64 " rows, domain %s\n", s->model->ops->name, s->partition.rows,
           avi_config_get_string(s->config, "inference", "domain"));
    printf("  %-34s %18s %14s %14s%s\n", "", "nats", "nats per row", "gap to F-VI",
           has_loss(a) ? "   paper's loss" : "");
    print_line(a, "log p(x)", a->log_evidence, NAN, "");
    print_line(a, "F-VI optimum, ELBO", a->elbo, 0, "");
    print_classes(a);
    if (fit) print_line(a, "this fit, ELBO", fit->elbo, fit->gap, fit->estimated ? "estimated" : "");
    if (a->thetas && s->problem.global_gaussian)
        printf("  theta: mean %.8g, sd %.6g\n", a->theta_mean, 1 / sqrt(a->theta_precision));
    else if (a->thetas)
        printf("  theta: %.8g\n", a->theta_mean);
    printf("  log p(x): %s; %.6g nats above the F-VI optimum (approximation gap)\n", a->evidence,
           a->log_evidence - a->elbo);
    if (fit && s->family->ops->draw_after)
        printf("  this fit ties neighbours together: its ELBO is %.6g nats below log p(x)\n", fit->evidence_gap);
    if (fit && avi_optimum_given_theta(s))
        printf("  this fit has factors given theta: its ELBO is %.6g nats below log p(x)\n", fit->evidence_gap);
    fflush(stdout);
}
