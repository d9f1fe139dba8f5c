/* nu = polynomial of the domain's values: degree 1 closes the gap of linear Gaussian models exactly (Margossian & Blei
 * 2024, section 3). */
#include "avi/infer.h"

#include <math.h>
#include <stdlib.h>

static const avi_key keys[] = {
    {"inference", "degree", AVI_KEY_INT, "1", 1, 32, NULL, NULL,
     "total degree of the polynomial in the values of the domain"},
    {"inference", "project", AVI_KEY_INT, "0", 0, 65536, NULL, "values",
     "the polynomial is one in so many linear combinations of the values of the domain, which are learned with it "
     "(principal components are some); 0: in the values themselves"},
};

typedef struct polynomial {
    int degree;
    int64_t project; /* linear combinations; 0: the values themselves */
} polynomial;

static avi_status declare_projection(avi_infer *f, int64_t count)
{
    AVI_TRY(avi_params_add(&f->phi, "polynomial.projection", count, f->inputs, AVI_INIT_UNIFORM,
                           sqrt(3 / (double)f->inputs), NULL));
    return avi_params_describe(&f->phi, "polynomial.projection", "combination, domain_value",
                               "linear combinations of the domain's values that the polynomial is in");
}

static avi_status create(avi_infer *f, const avi_config *config)
{
    polynomial *p = f->self = malloc(sizeof *p);
    if (!p) return avi_fail_memory(sizeof *p, "the inference function");
    p->degree = (int)avi_config_get_int(config, "inference", "degree");
    p->project = avi_config_get_int(config, "inference", "project");
    const int64_t seen = p->project ? p->project : f->inputs, features = avi_polynomial_width(seen, p->degree);
    if (p->degree > 1 && (seen > 64 || features > 1000000))
        return avi_config_fail(config, "inference", "degree",
                               "%lld monomials of %lld values; use degree 1, inference.project = 20 or function = mlp",
                               (long long)features, (long long)seen);
    if (p->project) AVI_TRY(declare_projection(f, p->project));
    AVI_TRY(avi_params_add(&f->phi, "polynomial.coefficients", f->outputs, features, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(avi_params_add(&f->phi, "polynomial.constant", 1, f->outputs, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(avi_params_describe(&f->phi, "polynomial.coefficients", "variational_parameter, monomial",
                                "coefficients of the monomials of the domain, for each variational parameter"));
    return avi_params_describe(&f->phi, "polynomial.constant", "variational_parameter",
                               "constant term of each variational parameter");
}

static avi_node *forward(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                         avi_node **phi)
{
    (void)rows;
    (void)table;
    const polynomial *p = f->self;
    if (p->project) features = avi_affine(t, features, *phi++, NULL, AVI_IDENTITY);
    return avi_affine(t, avi_polynomial(t, features, p->degree), phi[0], phi[1], AVI_IDENTITY);
}

const avi_infer_ops avi_infer_polynomial = {
    .name = "polynomial",
    .doc = "A-VI by a polynomial of the data, any degree",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .features = true,
    .plain = true,
    .create = create,
    .forward = forward,
};
