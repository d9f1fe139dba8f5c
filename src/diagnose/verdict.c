/* What the floors mean, in words. */
#include "diagnose/diagnose.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A factor of a chain depends on all rows, so that no window is exact however little it leaves, unless the rows do not
 * touch each other at all: then nothing but rounding is left. */
static const double NOTHING = 1e-8;

enum { NUMBER = 32 };

static const char *rows_of(const avi_diagnosis *d) { return d->groups ? "groups" : "rows"; }

static double per_row(const avi_diagnosis *d, double nats) { return nats / (double)d->all; }

/* Nats per row as text; what rounding leaves of nothing is 0. */
static const char *number(const avi_diagnosis *d, double nats, int digits, char text[NUMBER])
{
    const double value = per_row(d, nats);
    snprintf(text, NUMBER, "%.*g", digits, fabs(value) < NOTHING ? 0 : value);
    return text;
}

static bool closes(const avi_diagnosis *d, const avi_domain_floor *f)
{
    return f->exists || (f->known && per_row(d, f->floor) <= (d->chain ? NOTHING : d->tolerance));
}

/* The first domain that closes the gap; NULL: none. */
static const avi_domain_floor *closing(const avi_diagnosis *d)
{
    for (int i = 0; i < d->domains; i++)
        if (closes(d, &d->domain[i])) return &d->domain[i];
    return NULL;
}

/* The one that leaves least. */
static const avi_domain_floor *widest(const avi_diagnosis *d)
{
    const avi_domain_floor *best = &d->domain[d->own];
    for (int i = 0; i < d->domains; i++)
        if (d->domain[i].known && d->domain[i].floor < best->floor) best = &d->domain[i];
    return best;
}

/* Nats per row that remain for certain: what equal inputs lose, or the floor less two standard errors. */
static double remains(const avi_diagnosis *d, const avi_domain_floor *f)
{
    return per_row(d, fmax(0, fmax(d->tied, f->known ? f->floor - 2 * f->error : 0)));
}

static void append(avi_diagnosis *d, const char *text)
{
    const size_t used = strlen(d->verdict);
    snprintf(d->verdict + used, sizeof d->verdict - used, "%s", text);
}

static void append_witness(avi_diagnosis *d, const avi_domain_floor *own)
{
    char text[320], near[64] = "the same input";
    const avi_witness *w = &d->witness[0];
    if (w->distance > 0) snprintf(near, sizeof near, "nearly the same input (%.2g sd apart)", w->distance);
    snprintf(text, sizeof text,
             ": %s %" PRId64 " and %" PRId64 " have %s and optimal factors that differ by %.3g sd; at least %.4g nats "
             "per row remain",
             rows_of(d), w->row[0], w->row[1], near, w->difference, remains(d, own));
    append(d, text);
}

static void judge_closable(avi_diagnosis *d, const avi_domain_floor *own)
{
    char text[320], a[NUMBER], b[NUMBER];
    snprintf(d->verdict, sizeof d->verdict, "closable with domain %s: ", own->name);
    if (own->exists && d->groups)
        append(d, "an optimal factor depends on the entries of its group alone, so that a function exists; ");
    else if (own->exists)
        append(d, d->domain[d->own].domain.after ? "an optimal factor depends on what this domain shows alone, so that "
                                                   "a function exists; "
                                                 : "an optimal factor depends on its row alone, so that a function "
                                                   "exists; ");
    snprintf(text, sizeof text, "%s, fitted to the factors of %" PRId64 " %s, leaves %s +- %s nats per row",
             own->nearest ? "one that jumps where optimal factors do" : "a smooth one", d->rows, rows_of(d),
             number(d, own->floor, 4, a), number(d, own->error, 2, b));
    append(d, text);
}

void avi_diagnosis_judge(avi_diagnosis *d)
{
    char text[200];
    const avi_domain_floor *own = &d->domain[d->own], *wider = closing(d), *best = widest(d);
    if (closes(d, own)) {
        judge_closable(d, own);
        return;
    }
    if (!(remains(d, own) > (d->chain ? NOTHING : d->tolerance))) {
        snprintf(d->verdict, sizeof d->verdict,
                 "not decided for domain %s: %.4g +- %.2g nats per row seem to remain; raise diagnose.rows", own->name,
                 per_row(d, own->floor), per_row(d, own->error));
        return;
    }
    if (wider)
        snprintf(d->verdict, sizeof d->verdict, "closable with domain %s, not with %s", wider->name, own->name);
    else
        snprintf(d->verdict, sizeof d->verdict, "not closable with domain %s", own->name);
    if (d->witnesses) append_witness(d, own);
    if (wider && own->means) append(d, "; use an inference function that sees the entries, set or attention");
    if (wider || best == own) return;
    snprintf(text, sizeof text, "; no domain is exact, and %s leaves %.2g", best->name, per_row(d, best->floor));
    append(d, text);
}

/* ---- on the screen ---- */

static void print_floors(const avi_diagnosis *d)
{
    char a[NUMBER], b[NUMBER];
    printf("    floors     ");
    for (int i = 0, n = 0; i < d->domains; i++)
        if (d->domain[i].known)
            printf("%s%s %s +- %s", n++ ? ", " : "", d->domain[i].name, number(d, d->domain[i].floor, 4, a),
                   number(d, d->domain[i].error, 2, b));
    printf(" nats per row, the least that a %sfunction of the domain leaves; from %" PRId64 " of %" PRId64 " %s\n",
           d->domain[d->own].nearest ? "" : "smooth ", d->rows, d->all, rows_of(d));
    if (d->groups)
        printf("    domains    means: means of the columns and number of entries, which is all that most functions see "
               "of a group; self: the entries, which set and attention see. The floor of self is that of a function of "
               "means, covariances and number of entries: a function of the entries may leave less\n");
}

static void print_new_rows(const avi_diagnosis *d)
{
    const avi_domain_floor *own = &d->domain[d->own];
    char a[NUMBER];
    if (!(own->left_out > 0) || per_row(d, own->left_out) <= d->tolerance) return;
    printf("    new rows   lose %s nats per row by a function of domain %s that was fitted to these %" PRId64
           " %s and has not seen them\n",
           number(d, own->left_out, 4, a), own->name, d->rows, rows_of(d));
}

/* Whether a larger inference function or a larger domain would help. */
static void print_advice(const avi_diagnosis *d)
{
    const avi_domain_floor *own = &d->domain[d->own], *best = widest(d);
    const double gap = per_row(d, d->gap), floor = own->exists ? 0 : per_row(d, own->floor);
    char a[NUMBER], b[NUMBER];
    printf("    function   the one that was fitted loses %s +- %s nats per row; ", number(d, d->gap, 4, a),
           number(d, d->gap_error, 2, b));
    if (gap - floor <= d->tolerance || gap - floor <= 0.02 * gap)
        printf("a larger inference function would not help, ");
    else
        printf("a larger inference function, or a longer fit, could recover up to %.4g, ", gap - floor);
    if (own->exists && d->groups)
        printf("it sees all entries\n");
    else if (own->exists)
        printf("a larger domain would not help\n");
    else if (d->groups && per_row(d, own->floor - best->floor) > d->tolerance)
        printf("a function of the entries (set, attention) another %.4g\n", per_row(d, own->floor - best->floor));
    else if (per_row(d, own->floor - best->floor) > d->tolerance)
        printf("domain %s another %.4g\n", best->name, per_row(d, own->floor - best->floor));
    else
        printf("no domain that was tried would help\n");
    if (per_row(d, d->gain) > d->tolerance)
        printf(
            "    correction fitted to the factors of the sample, it takes %.4g nats per row off rows that it has not "
            "seen\n",
            per_row(d, d->gain));
}

void avi_diagnosis_print(const avi_diagnosis *d)
{
    printf("  diagnose     %s\n", d->verdict);
    print_floors(d);
    print_new_rows(d);
    if (d->has_function) print_advice(d);
    if (d->converged < d->rows)
        printf("    refined    %" PRId64 " of %" PRId64 " rows converged; raise gap.passes for the others\n",
               d->converged, d->rows);
}
