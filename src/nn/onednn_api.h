/* What oneDNN 2 and 3 have under different names: descriptions of memory, which are values in 2 and objects in 3, and
 * of convolutions. Functions return NULL or false where oneDNN refuses. */
#ifndef AVI_NN_ONEDNN_API_H
#define AVI_NN_ONEDNN_API_H

#include <dnnl.h>
#include <stdbool.h>
#include <stddef.h>

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t onednn_layout;
typedef const_dnnl_memory_desc_t onednn_layout_of; /* borrowed */
#define ONEDNN_LAYOUT(l) (l)

static inline bool onednn_layout_make(onednn_layout *l, const dnnl_dim_t *size, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(l, 4, size, dnnl_f32, tag) == dnnl_success;
}

static inline void onednn_layout_free(onednn_layout *l) { dnnl_memory_desc_destroy(*l); }

#else

typedef dnnl_memory_desc_t onednn_layout;
typedef const dnnl_memory_desc_t *onednn_layout_of; /* borrowed */
#define ONEDNN_LAYOUT(l) (&(l))

static inline bool onednn_layout_make(onednn_layout *l, const dnnl_dim_t *size, dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(l, 4, size, dnnl_f32, tag) == dnnl_success;
}

static inline void onednn_layout_free(onednn_layout *l) { (void)l; }

#endif

/* A convolution: what lies where, and how far patches are apart. */
typedef struct onednn_convolution {
    dnnl_engine_t engine;
    onednn_layout image, weight, small;
    dnnl_dims_t stride, left, right;
} onednn_convolution;

/* Forward (hint NULL), by the image and by the weights. Owner: caller, dnnl_primitive_desc_destroy. */
static inline dnnl_primitive_desc_t onednn_forward(onednn_convolution *c)
{
    dnnl_primitive_desc_t made = NULL;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dims_t dense = {0};
    const bool fits = dnnl_convolution_forward_primitive_desc_create(
                          &made, c->engine, dnnl_forward_training, dnnl_convolution_direct, c->image, c->weight, NULL,
                          c->small, c->stride, dense, c->left, c->right, NULL) == dnnl_success;
#else
    dnnl_convolution_desc_t d;
    const bool fits =
        dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, dnnl_convolution_direct, &c->image, &c->weight,
                                           NULL, &c->small, c->stride, c->left, c->right) == dnnl_success &&
        dnnl_primitive_desc_create(&made, &d, NULL, c->engine, NULL) == dnnl_success;
#endif
    return fits ? made : NULL;
}

static inline dnnl_primitive_desc_t onednn_by_image(onednn_convolution *c, const_dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t made = NULL;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dims_t dense = {0};
    const bool fits = dnnl_convolution_backward_data_primitive_desc_create(
                          &made, c->engine, dnnl_convolution_direct, c->image, c->weight, c->small, c->stride, dense,
                          c->left, c->right, hint, NULL) == dnnl_success;
#else
    dnnl_convolution_desc_t d;
    const bool fits =
        dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &c->image, &c->weight, &c->small,
                                                 c->stride, c->left, c->right) == dnnl_success &&
        dnnl_primitive_desc_create(&made, &d, NULL, c->engine, hint) == dnnl_success;
#endif
    return fits ? made : NULL;
}

static inline dnnl_primitive_desc_t onednn_by_weight(onednn_convolution *c, const_dnnl_primitive_desc_t hint)
{
    dnnl_primitive_desc_t made = NULL;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_dims_t dense = {0};
    const bool fits = dnnl_convolution_backward_weights_primitive_desc_create(
                          &made, c->engine, dnnl_convolution_direct, c->image, c->weight, NULL, c->small, c->stride,
                          dense, c->left, c->right, hint, NULL) == dnnl_success;
#else
    dnnl_convolution_desc_t d;
    const bool fits =
        dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &c->image, &c->weight, NULL, &c->small,
                                                    c->stride, c->left, c->right) == dnnl_success &&
        dnnl_primitive_desc_create(&made, &d, NULL, c->engine, hint) == dnnl_success;
#endif
    return fits ? made : NULL;
}

#endif
