/* Products whose bits do not depend on the rows beside them, for reproducible sums. A tile's gradient is rounded by
 * itself, and still a rank wants its tiles in one block, for the sake of GEMM. The gradient of a weight is as large as
 * the weight however few rows there are: avi_affine hands it over as the two factors of a product, from which it is
 * multiplied, rounded and added up without being written down (avi_products_fixed_point). */
#ifndef AVI_PRODUCTS_PRODUCTS_H
#define AVI_PRODUCTS_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one tile owes to a weight (out, in): g' x. */
typedef struct avi_product {
    const void *g, *x; /* (rows, out), (rows, in) */
    int64_t rows, out, in;
} avi_product;

/* Y (rows, out) = X W' + b, b (out) or NULL; dX (rows, in) = G W, or added to dX; w (out, in). A row's bits do not
 * depend on the rows beside it. scratch: avi_rows_scratch bytes, aligned to 64. */
void avi_rows_forward_f32(int64_t rows, int64_t out, int64_t in, const void *w, const void *bias, const void *x,
                          void *y, void *scratch);
void avi_rows_forward_f64(int64_t rows, int64_t out, int64_t in, const void *w, const void *bias, const void *x,
                          void *y, void *scratch);
void avi_rows_backward_f32(int64_t rows, int64_t out, int64_t in, const void *w, const void *g, bool add, void *dx,
                           void *scratch);
void avi_rows_backward_f64(int64_t rows, int64_t out, int64_t in, const void *w, const void *g, bool add, void *dx,
                           void *scratch);
size_t avi_rows_scratch_f32(int64_t out, int64_t in);
size_t avi_rows_scratch_f64(int64_t out, int64_t in);

/* sum (out, in) = (add: +=) round(2^shift (1 + 2^-52) g' x), one rounding for each of count <= AVI_PRODUCTS products,
 * all of the same weight: the factor makes ties impossible, so that the order of additions cannot decide them. Returns
 * how many of the products may hold a value of 2^AVI_PRODUCT_BITS or more, or one that is not finite, after which `sum`
 * is of no use; *largest is raised to a bound of the magnitude of the others. A product's bits, bound and verdict
 * depend on it alone. scratch: avi_products_scratch bytes, aligned to 64. */
enum { AVI_PRODUCTS = 16, AVI_PRODUCT_BITS = 47 };
int64_t avi_products_fixed_point_f32(int64_t *sum, bool add, int count, const avi_product *p, int shift,
                                     double *largest, void *scratch);
int64_t avi_products_fixed_point_f64(int64_t *sum, bool add, int count, const avi_product *p, int shift,
                                     double *largest, void *scratch);
/* rows: of all products together. */
size_t avi_products_scratch_f32(int64_t rows, int64_t in);
size_t avi_products_scratch_f64(int64_t rows, int64_t in);

#endif
