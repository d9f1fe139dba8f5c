/* The domains of which a diagnosis says what they leave. */
#include "diagnose/diagnose.h"
#include "diagnose/group_features.h"

#include <stdio.h>
#include <string.h>

static void add_domain(const avi_sample *s, avi_diagnosis *d, const char *name, avi_domain domain, bool means)
{
    for (int i = 0; i < d->domains; i++)
        if (!strcmp(d->domain[i].name, name)) return;
    const avi_model *m = s->f->s->model;
    avi_domain_floor *f = &d->domain[d->domains++];
    *f = (avi_domain_floor){.domain = domain, .means = means};
    snprintf(f->name, sizeof f->name, "%s", name);
    f->exists =
        m->ops->coupling == AVI_INDEPENDENT && !domain.only_next && domain.after >= s->data->lookahead && !means;
}

/* What functions see of groups: the means of their entries and their number, or the entries themselves. Own factors,
 * and steps on the ELBO of a group, look at the entries. */
static void list_of_groups(const avi_sample *s, avi_diagnosis *d)
{
    const avi_infer *f = s->f->s->infer;
    const bool entries = f->ops->entries || f->ops->local || f->named->refines;
    add_domain(s, d, "means", (avi_domain){0}, true);
    add_domain(s, d, "self", (avi_domain){0}, false);
    d->own = entries ? 1 : 0;
}

void avi_diagnosis_list_domains(const avi_sample *s, avi_diagnosis *d)
{
    const avi_session *run = s->f->s;
    const avi_domain *domain = &run->problem.domain;
    const char *own = avi_config_get_string(run->config, "inference", "domain");
    const bool sequence = s->chain || s->data->lookahead;
    char name[24];
    if (s->groups) {
        list_of_groups(s, d);
        return;
    }
    add_domain(s, d, "self", (avi_domain){0}, false);
    if (domain->only_next) add_domain(s, d, own, *domain, false);
    if (sequence || domain->only_next) add_domain(s, d, "next", (avi_domain){.after = 1}, false);
    for (int64_t r = 1; r <= AVI_SAMPLE_REACH && sequence; r *= 2) {
        snprintf(name, sizeof name, "window:%d", (int)r);
        add_domain(s, d, name, (avi_domain){.before = r, .after = r}, false);
    }
    if (avi_domain_rows(domain) > 1) add_domain(s, d, own, *domain, false);
    for (int i = 0; i < d->domains; i++)
        if (!strcmp(d->domain[i].name, own)) d->own = i;
}

bool avi_diagnosis_contains(const avi_domain_floor *a, const avi_domain_floor *b)
{
    const avi_domain *x = &a->domain, *y = &b->domain;
    if (a->means && !b->means) return false;
    if (y->only_next) return x->only_next || x->after >= 1;
    return !x->only_next && x->before >= y->before && x->after >= y->after;
}

int64_t avi_diagnosis_inputs(const avi_sample *s, const avi_domain_floor *f)
{
    return f->means ? avi_group_means(s->data->shape.width) : avi_domain_rows(&f->domain) * s->features;
}

void avi_diagnosis_look(const avi_sample *s, const avi_domain_floor *f, double *x)
{
    const avi_domain *domain = &f->domain;
    const int64_t inputs = avi_diagnosis_inputs(s, f), from = domain->only_next ? 1 : -domain->before,
                  all = 2 * s->reach + 1;
    for (int64_t m = 0; m < s->rows; m++)
        memcpy(x + m * inputs, s->seen + (m * all + s->reach + from) * s->features, (size_t)inputs * sizeof *x);
}
