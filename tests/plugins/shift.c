/* A shared object with a plug-in of every kind, for loaded.py. x ~ N(theta + reach z, 1), z ~ N(0, 1), with the rows
 * x_n = 2 sin(n): the optimum of the ELBO is that of the evidence, prod N(x_n; theta, 1 + reach^2).
 *
 * Compiled with one of these it is a mistake: ABI (another number), OTHER_SIZE, NO_MARK, NO_ENTRY, TAKEN (a name that
 * is built in), KEYS (a key that is there already), ADD (0: fails with a message, 1: without), CREATE (the same of the
 * model, 2: returns what is no status), UNDEFINED (a function that nobody has). */
#include "avi/plugin.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef ABI
#undef AVI_ABI
#define AVI_ABI ABI
#endif
#ifdef OTHER_SIZE
#undef AVI_ABI_SIZE
#define AVI_ABI_SIZE(type) (uint32_t)(sizeof(type) + (!strcmp(#type, "avi_model_ops") ? 8 : 0)),
#endif
#ifdef NO_MARK
#undef AVI_PLUGIN_MARK
#define AVI_PLUGIN_MARK "another"
#endif

/* ---- the model ---- */

static const avi_key model_keys[] = {
    {"model", "reach", AVI_KEY_REAL, "1", 0, 100, NULL, NULL, "what z adds to x"},
#ifdef KEYS
    {"model", "global", AVI_KEY_REAL, "1", 0, 100, NULL, NULL, "a key that every model has"},
#endif
};

static avi_status create_model(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)m, (void)config, (void)shape;
#if defined(CREATE) && CREATE == 0
    return avi_config_fail(config, "model", "reach", "shift cannot be made today; use 2");
#elif defined(CREATE) && CREATE == 1
    return AVI_ERR_CONFIG;
#elif defined(CREATE)
    return (avi_status)99;
#else
    double *reach = m->self = malloc(sizeof *reach);
    if (!reach) return avi_fail_memory(sizeof *reach, "shift");
    *reach = avi_config_get_real(config, "model", "reach");
    return avi_params_add(&m->theta, "theta", 1, 1, AVI_INIT_CONSTANT, 0, NULL);
#endif
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    return avi_normal_lpdf_sd(t, b->x, avi_add(t, avi_scale(t, z, *(const double *)m->self, 0), theta[0]), 1);
}

static const avi_model_ops model = {
#ifdef TAKEN
    .name = "vae",
#else
    .name = "shift",
#endif
    .doc = "x ~ N(theta + reach z, 1)",
    .keys = model_keys,
    .key_count = (int)(sizeof model_keys / sizeof model_keys[0]),
    .create = create_model,
    .log_likelihood = log_likelihood,
    .quadratic = 2,
};

/* ---- inference function: nu = (a x + b, log sd) ---- */

static avi_status create_infer(avi_infer *f, const avi_config *config)
{
    (void)config;
    return avi_params_add_affine(&f->phi, "slope", f->inputs, f->outputs);
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)f, (void)rows, (void)table;
    return avi_affine(t, features, phi[0], phi[1], AVI_IDENTITY);
}

static const avi_infer_ops infer = {
    .name = "slope", .doc = "affine in x", .features = true, .create = create_infer, .forward = forward};

/* ---- family: the Gaussian again ---- */

static avi_status create_family(avi_family *f, const avi_config *config)
{
    (void)config;
    f->width = 2 * f->latent;
    return AVI_OK;
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **log_q)
{
    (void)f, (void)own;
    avi_node *z = avi_gaussian_draw(t, nu, eps);
    if (log_q) *log_q = avi_gaussian_logq(t, nu, z);
    return z;
}

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    (void)f;
    return avi_gaussian_entropy(t, nu);
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    memcpy(log_sd, nu + f->latent, (size_t)f->latent * sizeof *nu);
}

static const avi_family_ops family = {.name = "normal",
                                      .doc = "a Gaussian with independent dimensions",
                                      .independent = true,
                                      .create = create_family,
                                      .draw = draw,
                                      .entropy = entropy,
                                      .moments = moments};

/* ---- objective: the ELBO again ---- */

static avi_node *value(const avi_objective *o, avi_tape *t, const avi_terms *terms)
{
    (void)o;
    return avi_add(t, terms->loglik, avi_scale(t, terms->minus_kl, terms->kl_weight, 0));
}

static const avi_objective_ops objective = {.name = "bound", .doc = "the ELBO", .value = value};

/* ---- source: x_n = 2 sin(n) ---- */

static const avi_key source_keys[] = {AVI_ROWS_KEYS_DRAWN};

static avi_status open_source(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split)
{
    (void)comm;
    s->shape = (avi_shape){.rows = avi_config_get_int(config, "data", split == AVI_TRAIN ? "rows" : "test_rows"),
                           .width = 1,
                           .height = 1,
                           .columns = 1,
                           .type = AVI_F64,
                           .scale = 1};
    snprintf(s->label, sizeof s->label, "a wave");
    return AVI_OK;
}

static avi_status read_source(avi_source *s, int64_t first, int64_t count, void *out)
{
    (void)s;
    for (int64_t i = 0; i < count; i++) ((double *)out)[i] = 2 * sin((double)(first + i));
    return AVI_OK;
}

static const avi_source_ops source = {.name = "wave",
                                      .doc = "x_n = 2 sin(n)",
                                      .keys = source_keys,
                                      .key_count = (int)(sizeof source_keys / sizeof source_keys[0]),
                                      .exchangeable = true,
                                      .open = open_source,
                                      .read = read_source,
                                      .any_rank = true};

#ifdef UNDEFINED
extern avi_status avi_no_such_function(void);
#endif

#ifndef NO_ENTRY
static avi_status add(avi_registry *registry)
{
#if defined(ADD) && ADD == 0
    return avi_fail(AVI_ERR_INTERNAL, "shift has no licence");
#elif defined(ADD)
    return AVI_ERR_DATA;
#elif defined(UNDEFINED)
    AVI_TRY(avi_no_such_function());
#endif
    AVI_TRY(avi_model_register(registry, &model));
    AVI_TRY(avi_infer_register(registry, &infer));
    AVI_TRY(avi_family_register(registry, &family));
    AVI_TRY(avi_objective_register(registry, &objective));
    return avi_source_register(registry, &source);
}
AVI_PLUGIN(add)
#else
extern AVI_API const avi_model_ops *shown[];
const avi_model_ops *shown[] = {&model};
const void *const others[] = {&infer, &family, &objective, &source};
#endif
