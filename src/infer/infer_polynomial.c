/* nu = polynomial of the domain's values: degree 1 closes the gap of linear Gaussian models exactly (Margossian & Blei
 * 2024, section 3). */
#include "avi/infer.h"

#include <stdlib.h>

static const avi_key keys[] = {
    {"inference", "degree", AVI_KEY_INT, "1", 1, 32, NULL, NULL,
     "total degree of the polynomial in the values of the domain"},
};

static avi_status create(avi_infer *f, const avi_config *config)
{
    int *degree = f->self = malloc(sizeof *degree);
    if (!degree) return avi_fail_memory(sizeof *degree, "the inference function");
    *degree = (int)avi_config_get_int(config, "inference", "degree");
    const int64_t features = avi_polynomial_width(f->inputs, *degree);
    if (*degree > 1 && (f->inputs > 64 || features > 1000000))
        return avi_config_fail(config, "inference", "degree",
                               "%lld monomials of %lld values; use degree 1 or function = mlp", (long long)features,
                               (long long)f->inputs);
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
    return avi_affine(t, avi_polynomial(t, features, *(const int *)f->self), phi[0], phi[1], AVI_IDENTITY);
}

const avi_infer_ops avi_infer_polynomial = {
    .name = "polynomial",
    .doc = "A-VI by a polynomial of the data, any degree",
    .keys = keys,
    .key_count = 1,
    .features = true,
    .create = create,
    .forward = forward,
};
