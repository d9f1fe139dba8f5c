#include "factors/fixed_theta.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPHERICAL_POINTS = 40, /* at least, of a rule for many dimensions */
    BLOCK_DRAWS = 32768,   /* rows times draws that go through the model together */
    BLOCK_VALUES = 1 << 22 /* of them, where rows are wide: 16 MB of a layer */
};

/* Rows of a block: as many as fill the kernels, within so much memory. */
static int64_t block_rows(const avi_session *s, int draws)
{
    const int64_t wide = BLOCK_VALUES / s->shape.width, most = wide < BLOCK_DRAWS ? wide : BLOCK_DRAWS;
    return most / draws + 1;
}

/* A quadrature where the model has a good one, else random rotations of the sphere's points. */
static avi_status make_rule(avi_fixed_theta *f)
{
    const avi_session *s = f->s;
    const int64_t l = s->model->latent;
    if (s->model->ops->quadratic || l == 1) {
        const int points = (int)avi_config_get_int(s->config, "objective", "points");
        f->exact = true;
        return avi_quadrature_create(s->model, AVI_THETA_POINT, points < 64 ? 64 : points, s->precision, &f->rule);
    }
    const int turns = (int)((SPHERICAL_POINTS + 2 * l - 1) / (2 * l));
    return avi_quadrature_spherical(l, turns, s->seed, &f->rule);
}

/* A vector of theta's mean and `more` values behind it, zero. */
static avi_status start_vector(const avi_session *s, const avi_state *st, int64_t more, void **out)
{
    const size_t real = avi_real_size(s->precision), values = (size_t)(s->layout.theta + more) + 16;
    *out = calloc(values, real);
    if (!*out) return avi_fail_memory(values * real, "the parameters of the gap");
    memcpy(*out, st->params, (size_t)s->layout.theta * real);
    return AVI_OK;
}

static void copy_values(const avi_session *s, const avi_state *st, int64_t from, int64_t count, void *to, int64_t at)
{
    if (count)
        memcpy(avi_vector_at(s->precision, to, at), avi_vector_at(s->precision, st->params, from),
               (size_t)count * avi_real_size(s->precision));
}

static avi_status pack(avi_fixed_theta *f, const avi_state *st)
{
    const avi_session *s = f->s;
    const int64_t phi = avi_parameter_layout_phi(&s->problem, &s->layout), theta = s->layout.theta;
    AVI_TRY(start_vector(s, st, s->infer->phi.size, &f->params_function));
    copy_values(s, st, phi, s->infer->phi.size, f->params_function, theta);
    AVI_TRY(start_vector(s, st, f->own->phi.size, &f->params_own));
    /* The family's shared parameters, behind those of the function in the run, are all of phi of the own factors. */
    for (int k = 0; k < f->family->count; k++) {
        const avi_block *to = &f->own->phi.block[f->family->first + k],
                        *from = &s->infer->phi.block[s->family->first + k];
        copy_values(s, st, phi + from->offset, to->rows * to->cols, f->params_own, theta + to->offset);
    }
    return AVI_OK;
}

static void make_problems(avi_fixed_theta *f, int draws)
{
    const avi_session *s = f->s;
    avi_problem p = s->problem;
    p.global_gaussian = false;
    p.global_family = NULL;
    p.moments_rule = NULL;
    p.notebook = false;
    p.shared = false;
    p.gradient = AVI_GRADIENT_PATHWISE;
    p.objective = s->objective;
    f->refine = f->weigh_own = f->weigh_function = p;
    f->refine.kl_sampled = false;
    f->refine.infer = f->weigh_own.infer = f->own;
    f->refine.family = f->weigh_own.family = f->family;
    f->refine.rule = f->rule;
    f->refine.draws = f->rule->count;
    f->weigh_own.rule = f->weigh_function.rule = NULL;
    f->weigh_own.draws = f->weigh_function.draws = draws;
    f->weigh_own.kl_sampled = f->weigh_function.kl_sampled = true;
    f->weigh_full = f->weigh_own;
    if (f->full) {
        f->weigh_full.infer = f->own_full;
        f->weigh_full.family = f->full;
    }
    f->weigh_function.theta_seen = f->params_function; /* also where a draw of q(theta) is the point */
    f->refine.block_rows = block_rows(s, f->rule->count);
    f->weigh_own.block_rows = f->weigh_function.block_rows = f->weigh_full.block_rows = block_rows(s, draws);
}

avi_status avi_fixed_theta_create(const avi_session *s, const avi_state *st, int draws, avi_fixed_theta *f)
{
    *f = (avi_fixed_theta){.s = s};
    AVI_TRY(avi_family_create(s->config, s->model->latent, &f->family));
    AVI_TRY(avi_infer_create_local(s->config, &s->infer->shape, f->family->width, s->model->latent, &f->own));
    AVI_TRY(avi_family_declare(f->family, &f->own->phi));
    if (f->family->ops->independent && s->model->latent > 1) {
        AVI_TRY(avi_family_create_full(s->config, s->model->latent, &f->full));
        AVI_TRY(avi_infer_create_local(s->config, &s->infer->shape, f->full->width, s->model->latent, &f->own_full));
    }
    AVI_TRY(make_rule(f));
    AVI_TRY(pack(f, st));
    make_problems(f, draws);
    return AVI_OK;
}

void avi_fixed_theta_free(avi_fixed_theta *f)
{
    avi_infer_destroy(&f->own);
    avi_family_destroy(&f->family);
    avi_infer_destroy(&f->own_full);
    avi_family_destroy(&f->full);
    avi_quadrature_destroy(&f->rule);
    free(f->params_own);
    free(f->params_function);
    *f = (avi_fixed_theta){0};
}
